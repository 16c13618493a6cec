"""Double precision and one seed for the comparisons with NumPy."""

import pytest


@pytest.fixture(autouse=True)
def _double_precision(double_precision):
    """Every test has it."""
