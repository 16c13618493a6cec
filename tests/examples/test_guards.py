"""The examples use public names only, and neither their functions nor their files grow too long."""

import ast

import pytest

from tests.examples.conftest import ROOT

FILES = sorted((ROOT / "examples").rglob("*.py"))
MAX_LINES_OF_FUNCTION, MAX_LINES_OF_CODE = 50, 300


def private_imports(tree):
    """Names imported from the package of which a part begins with an underscore."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            package, *parts = name.split(".")
            if package == "sk_dynint" and any(part.startswith("_") for part in parts):
                yield name


def docstring_lines(tree):
    """Numbers of the lines that strings without an effect take."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from range(node.lineno, node.end_lineno + 1)


def lines_of_code(source, tree):
    """Numbers of the lines that are neither empty nor a comment nor part of a docstring."""
    code = {
        i
        for i, line in enumerate(source.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    }
    return code - set(docstring_lines(tree))


def long_functions(tree):
    """Names of functions that are too long, docstrings left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = set(range(node.lineno, node.end_lineno + 1)) - set(docstring_lines(node))
            if len(lines) > MAX_LINES_OF_FUNCTION:
                yield node.name


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def source(request):
    return request.param.read_text(encoding="utf-8")


def test_the_readers_find_what_they_look_for():
    source = """
from sk_dynint import _base
from sk_dynint.comparison._runs import Run
import sk_dynint._engine, sk_dynint.engine
from sk_dynint.optim import FTRL
def f():
    '''Two
    lines.'''
    # a comment
    x = 1

    x += 1
"""
    tree = ast.parse(source)
    private = ["sk_dynint._base", "sk_dynint.comparison._runs.Run", "sk_dynint._engine"]
    assert list(private_imports(tree)) == private
    assert lines_of_code(source, tree) == {2, 3, 4, 5, 6, 10, 12}
    assert not list(long_functions(tree))
    body = "    x += 1\n" * MAX_LINES_OF_FUNCTION
    assert list(long_functions(ast.parse(f"def g():\n{body}"))) == ["g"]


def test_no_private_name_is_imported(source):
    assert not list(private_imports(ast.parse(source)))


def test_functions_fit_on_a_screen(source):
    assert not list(long_functions(ast.parse(source)))


def test_files_are_short(source):
    assert len(lines_of_code(source, ast.parse(source))) <= MAX_LINES_OF_CODE
