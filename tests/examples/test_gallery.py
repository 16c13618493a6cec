"""The numbered examples are pages of a gallery, and the notebook runs from a clean kernel."""

import ast
import re

import pytest

from tests.examples.conftest import ROOT

FOLDER = ROOT / "examples"
SCRIPTS = sorted(FOLDER.glob("[0-9]*.py"))
NOTEBOOK = FOLDER / "quickstart.ipynb"


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def source(request):
    return request.param.read_text(encoding="utf-8")


def test_numbers_are_those_from_1_on():
    assert [int(path.name[:2]) for path in SCRIPTS] == [*range(1, len(SCRIPTS) + 1)]


def test_a_page_begins_with_its_title(source):
    title, line, *rest = ast.get_docstring(ast.parse(source)).split("\n")
    assert line == "=" * len(title)
    assert "".join(rest)


def cells_after_pictures(source):
    """What follows the cell of each picture."""
    return [text.partition("\n# %%\n")[2] for text in source.split("plt.show()")[1:]]


def test_a_picture_has_its_reading_below(source):
    following = cells_after_pictures(source)
    assert following
    assert all(re.match(r"# \w", text) for text in following)


def test_a_picture_has_labels(source):
    drawn = len(re.findall(r"layout=\"constrained\"", source))
    labelled = len(re.findall(r"xlabel|Display\.from_", source))
    assert labelled >= drawn


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own puts pictures in the output
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "test AUC 0.7" in "".join(output.get("text", "") for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert not list(tmp_path.iterdir())


def test_the_notebook_holds_no_outputs():
    cells = pytest.importorskip("nbformat").read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(code) > 3
    assert not any(cell.outputs or cell.execution_count for cell in code)
