"""Dynamic feature-interaction models for click-through-rate prediction (DynInt)."""

from sk_dynint._baseline import BaselineClassifier
from sk_dynint._dynint import DynIntClassifier
from sk_dynint.comparison import ComparisonDisplay, compare, summarize
from sk_dynint.preprocessing import FieldEncoder

__version__ = "0.1.0"

__all__ = [
    "BaselineClassifier",
    "ComparisonDisplay",
    "DynIntClassifier",
    "FieldEncoder",
    "__version__",
    "compare",
    "summarize",
]
