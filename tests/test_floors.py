"""Imports point one way: the floors of the house, read from the source with `ast`."""

import ast
import sys
from pathlib import Path

import pytest

import sk_dynint

PACKAGE = Path(sk_dynint.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# A part is a file or a folder directly below the package; it may import from lower floors only.
# The parts of floor 0 are leaves: of ours, they import their folder and the floor below only.
FLOORS = {
    "_body": -1,
    "_matmul": -1,
    "_warnings": -1,
    "preprocessing": 0,
    "interactions": 0,
    "baselines": 0,
    "optim": 0,
    "datasets": 0,
    "_module": 1,
    "_engine": 2,
    "_training": 3,
    "_base": 4,
    "_dynint": 5,
    "_baseline": 5,
    "inspection": 5,
    "export": 5,
    "distributed": 5,
    "streaming": 5,
    "comparison": 6,
    "__init__": 7,
    "__main__": 7,
}
NO_TORCH = {"preprocessing", "datasets"}
ONLY_TORCH = {"_body", "_matmul", "interactions", "baselines", "optim", "_module", "_engine"}


def part_of(path):
    """Part of the house that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path, tree=None):
    """Dotted names that a file imports, relative ones resolved."""
    package = ("sk_dynint", *path.relative_to(PACKAGE).parent.parts)
    names = []
    for node in ast.walk(tree or ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) + 1 - node.level]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            # `from sk_dynint import x` names the part x
            names += (
                [f"{module}.{a.name}" for a in node.names] if module == "sk_dynint" else [module]
            )
    return names


def own_parts(names):
    """Parts of our package among imported names."""
    ours = [name.split(".") for name in names if name.split(".")[0] == "sk_dynint"]
    return {name[1] if len(name) > 1 else "__init__" for name in ours}


def libraries(names):
    """Packages among imported names that are neither ours nor Python's."""
    return {name.split(".")[0] for name in names} - {"sk_dynint"} - sys.stdlib_module_names


def name_of(path):
    return str(path.relative_to(PACKAGE))


def test_the_reader_understands_every_way_to_import():
    source = """
import torch.nn as nn, sk_dynint.optim
from sk_dynint import _base
from sk_dynint.interactions._pin import PIN
from . import _levels
from ._binning import x
from ..optim import FTRL
def f():
    import skorch
"""
    names = imports(PACKAGE / "preprocessing" / "_x.py", ast.parse(source))
    assert own_parts(names) == {"optim", "_base", "interactions", "preprocessing"}
    assert libraries(names) == {"torch", "skorch"}
    names = imports(PACKAGE / "_x.py", ast.parse("from ._module import y\nfrom . import _base"))
    assert own_parts(names) == {"_module", "_base"}


def test_files_are_found():
    assert {"_module", "interactions", "optim"} <= {part_of(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_part_has_a_floor(path):
    assert part_of(path) in FLOORS, "a new part of the house: give it a floor here and in the docs"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_come_from_lower_floors(path):
    part = part_of(path)
    for other in own_parts(imports(path)) - {part}:
        assert FLOORS[other] < FLOORS[part], f"{name_of(path)} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_skorch_is_imported_in_one_file(path):
    if path.name != "_training.py":
        assert "skorch" not in libraries(imports(path))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_libraries_stay_in_their_parts(path):
    found = libraries(imports(path))
    if part_of(path) in NO_TORCH:
        assert "torch" not in found
    if part_of(path) in ONLY_TORCH:
        assert found <= {"torch"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_import_nothing_of_ours(path):
    """A cycle is not dodged; optional dependencies are the reason for an import in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not own_parts(imports(path, node)), f"{name_of(path)}: {node.name}"
