"""What an import of the package brings with it."""

import subprocess
import sys

import pytest


def modules_after(statement):
    """Modules that are there after a statement in a new process."""
    code = f"{statement}; import sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


@pytest.mark.parametrize("statement", ["import sk_dynint", "import sk_dynint.preprocessing"])
def test_inspection_is_imported_when_it_is_asked_for(statement):
    found = modules_after(statement)
    assert "sk_dynint.inspection" not in found
    assert "torch" not in found


def test_inspection_needs_neither_matplotlib_nor_shap():
    found = modules_after("import sk_dynint.inspection")
    assert not {"matplotlib", "shap"} & found
