"""Double precision, as for the interaction layers."""

from tests.interactions.conftest import _double_precision  # noqa: F401
