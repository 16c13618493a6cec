"""Docstrings of constants: the string that follows an assignment."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path


def constant_docs(package: Path) -> dict[str, str]:
    """Return the docstring of each constant that has one, in whatever file it is defined.

    Parameters
    ----------
    package : Path
        Folder of the package.

    Returns
    -------
    dict
        Name -> docstring.
    """
    found = {}
    for path in sorted(package.rglob("*.py")):
        for one, two in pairwise(ast.parse(path.read_text(encoding="utf-8")).body):
            if not (isinstance(two, ast.Expr) and isinstance(two.value, ast.Constant)):
                continue
            if isinstance(one, ast.Assign | ast.AnnAssign) and isinstance(two.value.value, str):
                targets = one.targets if isinstance(one, ast.Assign) else [one.target]
                found |= {t.id: two.value.value for t in targets if isinstance(t, ast.Name)}
    return found
