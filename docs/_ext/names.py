"""Names of the package: docstrings of constants, and references to names that have no page."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from typing import Any

from constants import constant_docs
from docutils import nodes
from sphinx.util.nodes import make_refnode

import sk_dynint

PACKAGE = Path(inspect.getfile(sk_dynint)).parent


CONSTANTS = constant_docs(PACKAGE)


@cache
def defined_names() -> set[str]:
    """Return the names of all modules, classes, functions and methods, private ones included."""
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    files = list(PACKAGE.rglob("*.py"))
    nodes = (n for path in files for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {n.name for n in nodes if isinstance(n, kinds)} | {path.stem for path in files}


def _document_constant(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Give a constant the docstring that autodoc finds only in the module of its definition."""
    if what == "data" and (doc := CONSTANTS.get(name.rpartition(".")[2])):
        lines[:] = inspect.cleandoc(doc).splitlines()


def _sign(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show the parameters of `__init__`, where `__new__` takes any to explain wrong names."""
    if what != "class" or "__new__" not in {a for c in obj.__mro__[:-1] for a in vars(c)}:
        return None
    if not hasattr(obj, "get_params"):
        return None
    parameters = inspect.signature(obj.__init__).parameters.values()
    bare = [p.replace(annotation=p.empty) for p in parameters][1:]
    return str(inspect.Signature(bare)), returns


def _resolve(app: Any, env: Any, node: nodes.Element, text: nodes.Element) -> Any:
    """Link a short name to its page, if one name ends so; show a private name as it is."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    domain = env.get_domain("py")
    full = [n for n in domain.objects if n == target or n.endswith("." + target)]
    if len(full) == 1:
        entry = domain.objects[full[0]]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text)
    return text if target.rpartition(".")[2] in defined_names() else None


def setup(app: Any) -> dict[str, Any]:
    """Connect all."""
    app.connect("autodoc-process-signature", _sign)
    app.connect("autodoc-process-docstring", _document_constant)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
