"""Dynamic feature-interaction models for click-through-rate prediction (DynInt)."""

import importlib
from typing import TYPE_CHECKING, Any

from sk_dynint._version import __version__

if TYPE_CHECKING:
    from sk_dynint._baseline import BaselineClassifier
    from sk_dynint._dynint import DynIntClassifier
    from sk_dynint._loading import load
    from sk_dynint.comparison import ComparisonDisplay, compare, summarize
    from sk_dynint.preprocessing import FieldEncoder
    from sk_dynint.training import EncodedData

__all__ = [
    "BaselineClassifier",
    "ComparisonDisplay",
    "DynIntClassifier",
    "EncodedData",
    "FieldEncoder",
    "__version__",
    "compare",
    "load",
    "summarize",
]

_HOMES = {
    "BaselineClassifier": "_baseline",
    "ComparisonDisplay": "comparison",
    "DynIntClassifier": "_dynint",
    "EncodedData": "training",
    "FieldEncoder": "preprocessing",
    "compare": "comparison",
    "load": "_loading",
    "summarize": "comparison",
}
"""Public name -> module of the package, imported when the name is first used."""


def __getattr__(name: str) -> Any:
    """Import what is asked for: the encoder needs no torch, and a command's help needs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
