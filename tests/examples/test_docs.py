"""docs/paper.md: every name exists, the list of departures is complete, no gap is left out."""

import ast
import importlib
import inspect
import re

import pytest

import sk_dynint
from sk_dynint import baselines, interactions, optim
from tests.examples.conftest import ROOT

PAGE = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", PAGE)
TESTS = sorted({text for text in CODE if "::" in text})
NAMES = sorted({text for text in CODE if text.startswith("sk_dynint.")})
PARAMETERS = sorted({match for text in CODE for match in re.findall(r"^(\w+)\((\w+)=\)$", text)})
PATHS = sorted({text for text in CODE if re.fullmatch(r"examples/[\w/]+\.py", text)})


def test_names_are_found():
    assert len(TESTS) > 30
    assert len(NAMES) > 15
    assert len(PARAMETERS) > 15
    assert len(PATHS) == 2


@pytest.mark.parametrize("text", TESTS)
def test_tests_exist(text):
    file, name = text.split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions


@pytest.mark.parametrize("text", NAMES)
def test_classes_and_functions_exist(text):
    module, _, name = text.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(("owner", "parameter"), PARAMETERS)
def test_parameters_exist(owner, parameter):
    (found,) = {
        getattr(module, owner)
        for module in (sk_dynint, baselines, interactions, optim)
        if hasattr(module, owner)
    }
    assert parameter in inspect.signature(found).parameters


@pytest.mark.parametrize("path", PATHS)
def test_files_exist(path):
    assert (ROOT / path).is_file()


def departures_in_code():
    """File, and what follows the tag on its line."""
    package = ROOT / "sk_dynint"
    for path in sorted(package.rglob("*.py")):
        for words in re.findall(r"NOTE\[DIFF\]:? *(.+)", path.read_text(encoding="utf-8")):
            yield path.relative_to(package).as_posix(), words


def departures_in_page():
    section = PAGE.split("## Departures")[1].split("\n## ")[0]
    return re.findall(r"^\| `([\w/]+\.py)` \| (.+?) \|", section, re.MULTILINE)


def test_list_of_departures_is_that_of_the_code():
    code, page = list(departures_in_code()), departures_in_page()
    listed = [
        [words for file, words in page if file == f and text.startswith(words)] for f, text in code
    ]
    unlisted = [place for place, words in zip(code, listed, strict=True) if len(words) != 1]
    assert not unlisted, "add these to docs/paper.md, section Departures"
    assert len(page) == len(code), "docs/paper.md lists what is not in the code"


def test_every_gap_is_there_in_order():
    rows = re.findall(r"^\| (A\d+) \|", PAGE, re.MULTILINE)
    assert rows == [f"A{i}" for i in range(1, 34)]


def test_equations_are_all_there():
    section = PAGE.split("## Equations")[1].split("Section 4:")[0]
    cells = re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
    assert {int(n) for cell in cells for n in cell.split(",")} == set(range(1, 13))
