"""Dynamic feature-interaction models for click-through-rate prediction (DynInt)."""

from sk_dynint._baseline import BaselineClassifier
from sk_dynint._dynint import DynIntClassifier
from sk_dynint.comparison import ComparisonDisplay, compare, summarize
from sk_dynint.preprocessing import FieldEncoder
from sk_dynint.training import EncodedData

__version__ = "0.1.0"

__all__ = [
    "BaselineClassifier",
    "ComparisonDisplay",
    "DynIntClassifier",
    "EncodedData",
    "FieldEncoder",
    "__version__",
    "compare",
    "summarize",
]
