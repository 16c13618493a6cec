"""Imports point one way: the floors of the house, read from the source with `ast`."""

import ast
import sys
from pathlib import Path

import pytest

import sk_dynint

PACKAGE = Path(sk_dynint.__file__).parent
EXAMPLES = PACKAGE.parent / "examples"
FILES = sorted(PACKAGE.rglob("*.py"))

# A part is a file or a folder directly below the package.  It may import from lower floors only, so
# that parts on the same floor do not know each other.
FLOORS = {
    # Contracts and guards that every part may import.
    "_body": 0,
    "_compiled": 0,
    "_matmul": 0,
    "_process": 0,
    "_warnings": 0,
    "_version": 0,
    "_display": 0,
    "_files": 0,
    "_plotting": 0,
    "_packing": 0,
    "_archive": 1,
    # Tables in parts, on disk.
    "_sources": 1,
    "_compacting": 1,
    # Leaves.
    "_shared": 0,
    "_pooling": 0,
    "_module": 1,
    "_loss": 1,
    "_validation": 1,
    "_versioned": 1,
    "optim": 1,
    "preprocessing": 2,
    # Formulas.
    "interactions": 2,
    "baselines": 2,
    # Kernels, steps, logits; trial runs.
    "engine": 3,
    "datasets": 3,
    "_trial": 3,
    # Data, schedule, the skorch net.
    "training": 4,
    # Raw rows become encoded data; fit and predict.
    "_parameters": 2,
    "export": 5,
    "_rows": 5,
    "_continuing": 5,
    "_names": 1,
    "_crosses": 6,
    "_lazy": 6,
    "_summary": 6,
    "_net": 6,
    "_training": 6,
    "_base": 7,
    # What users meet.
    "_dynint": 8,
    "_baseline": 8,
    "inspection": 9,
    "_loading": 9,
    "distributed": 9,
    "comparison": 10,
    "command": 11,
    "__init__": 12,
    "__main__": 12,
}
NO_TORCH = {"preprocessing", "datasets", "_sources", "_warnings"}
ONLY_TENSORS = {
    *("_body", "_matmul", "_process", "_shared", "_pooling", "_module"),
    *("interactions", "baselines", "optim", "engine"),
}


def part_of(path):
    """Part of the house that a file of the package belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path, tree=None):
    """Dotted names that a file imports, relative ones resolved; ``TYPE_CHECKING`` counts too."""
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


EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=name_of)


def test_the_reader_understands_every_way_to_import():
    source = """
import torch.nn as nn, sk_dynint.optim
from sk_dynint import _base
from sk_dynint.interactions._pin import PIN
from . import _levels
from ._binning import x
from ..optim import FTRL
if TYPE_CHECKING:
    from sk_dynint.engine import Engine
def f():
    import skorch
"""
    names = imports(PACKAGE / "preprocessing" / "_x.py", ast.parse(source))
    assert own_parts(names) == {"optim", "_base", "interactions", "preprocessing", "engine"}
    assert libraries(names) == {"torch", "skorch"}
    names = imports(PACKAGE / "_x.py", ast.parse("from ._module import y\nfrom . import _base"))
    assert own_parts(names) == {"_module", "_base"}


def test_files_are_found():
    assert {"_module", "interactions", "optim"} <= {part_of(path) for path in FILES}


@EVERY_FILE
def test_every_part_has_a_floor(path):
    assert part_of(path) in FLOORS, "a new part of the house: give it a floor here and in the docs"


@EVERY_FILE
def test_imports_come_from_lower_floors(path):
    part = part_of(path)
    for other in own_parts(imports(path)) - {part}:
        assert FLOORS[other] < FLOORS[part], f"{name_of(path)} imports {other}"


def modules_in(names, folder):
    """Modules directly below a folder that dotted names lie in; its `__init__` is the folder."""
    prefix = ("sk_dynint", *folder.relative_to(PACKAGE).parts)
    found = set()
    for name in names:
        parts = tuple(name.split("."))
        if parts[: len(prefix)] == prefix:
            found.add(parts[len(prefix)] if len(parts) > len(prefix) else "__init__")
    return found


def cycle(graph):
    """Nodes on a circle of a graph, a list that is empty if there is none."""
    graph = {node: set(others) & set(graph) - {node} for node, others in graph.items()}
    while ends := [node for node, others in graph.items() if not others]:
        graph = {n: others - set(ends) for n, others in graph.items() if n not in ends}
    return sorted(graph)


def test_a_circle_is_found():
    assert cycle({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]
    assert not cycle({"a": {"b", "a"}, "b": {"c"}, "c": set()})


FOLDERS = sorted({path.parent for path in FILES})


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_no_circle_within_a_folder(folder):
    """A folder inside the folder counts as one module."""
    graph = {}
    for path in folder.rglob("*.py"):
        module = path.relative_to(folder).parts[0].removesuffix(".py")
        graph.setdefault(module, set()).update(modules_in(imports(path), folder))
    assert not cycle(graph)


def private_parts(names, part):
    """Imported names with a private module of another part, such as `sk_dynint.optim._ftrl`."""
    return [
        name
        for name in names
        if name.startswith("sk_dynint.")
        and name.split(".")[1] != part
        and any(piece.startswith("_") for piece in name.split(".")[2:])
    ]


@EVERY_FILE
def test_no_private_module_of_another_part(path):
    assert not private_parts(imports(path), part_of(path))


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.py")), ids=lambda path: path.name)
def test_examples_use_public_modules_only(path):
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [name for name in names if name.startswith("sk_dynint")]
    assert not [name for name in ours if any(p.startswith("_") for p in name.split("."))]


@EVERY_FILE
def test_skorch_is_imported_in_one_file(path):
    if name_of(path) != "training/_net.py":
        assert "skorch" not in libraries(imports(path))


@EVERY_FILE
def test_numba_is_imported_in_one_file(path):
    if name_of(path) != "_compiled/_jit.py":
        assert "numba" not in libraries(imports(path))


@EVERY_FILE
def test_libraries_stay_in_their_parts(path):
    found = libraries(imports(path))
    if part_of(path) in NO_TORCH:
        assert "torch" not in found
    if part_of(path) in ONLY_TENSORS:
        assert found <= {"torch", "numpy"}


@EVERY_FILE
def test_functions_import_nothing_of_ours(path):
    """A cycle is not dodged; optional dependencies are the reason for an import in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not own_parts(imports(path, node)), f"{name_of(path)}: {node.name}"


# --- one owner each, and sizes


OWNERS = {
    "set_num_threads": {"_process.py"},
    "binary_cross_entropy_with_logits": {"_loss.py"},
    "cross_entropy": {"_loss.py"},
    "expit": {"_loss.py", "datasets/_truth.py", "preprocessing/_screening.py"},
    "'first_order.*'": {"_module.py"},
    "'embedding.*'": {"_module.py"},
}
"""Name or string -> files that may use it: torch's threads, the cross-entropy and its link, and the
names of the tables each have one owner (synthetic data has a true probability of its own, and the
search for crosses a regression)."""


def words(path):
    """Names, attributes and strings of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield repr(node.value)


@pytest.mark.parametrize("word", OWNERS)
def test_one_owner(word):
    found = {name_of(path) for path in FILES if word in words(path)}
    assert found <= OWNERS[word], f"{word} belongs to {OWNERS[word]}"
    assert found & OWNERS[word]


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "interactions").glob("*.py")), ids=lambda path: path.name
)
def test_formulas_know_no_kernel(path):
    assert not [word for word in words(path) if "kernel" in word.lower() and " " not in word]


def code_lines(node, source):
    """Numbers of the lines that hold code: no docstrings, comments or blanks."""
    lines = set(range(node.lineno, node.end_lineno + 1)) if hasattr(node, "lineno") else None
    lines = lines or set(range(1, len(source) + 1))
    for inner in ast.walk(node):
        if isinstance(inner, ast.Expr) and isinstance(getattr(inner.value, "value", None), str):
            lines -= set(range(inner.lineno, inner.end_lineno + 1))
    return {n for n in lines if source[n - 1].strip() and not source[n - 1].strip().startswith("#")}


ALL_SOURCES = [*FILES, *sorted(EXAMPLES.rglob("*.py"))]


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_functions_and_files_are_short(path):
    text = path.read_text(encoding="utf-8")
    tree, source = ast.parse(text), text.splitlines()
    assert len(code_lines(tree, source)) <= 300
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
            assert len(code_lines(node, source)) <= 50, node.name
