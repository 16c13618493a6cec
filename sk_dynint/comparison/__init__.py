"""Comparing models on a table: the paper's protocol, statistics, a picture, a command."""

from ._cli import main
from ._compare import compare
from ._display import ComparisonDisplay
from ._models import MODELS, make_model
from ._summary import summarize

__all__ = ["MODELS", "ComparisonDisplay", "compare", "main", "make_model", "summarize"]
