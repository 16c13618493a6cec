"""Comparison of models on a frame by the paper's protocol: splits, runs, statistics, a plot."""

from ._compare import compare
from ._display import ComparisonDisplay
from ._fingerprint import fingerprint
from ._models import MODELS, make_model
from ._runs import RunsFile
from ._splits import Parts, split_at_random, split_by_time
from ._summary import Interval, paired_t, summarize

__all__ = [
    "MODELS",
    "ComparisonDisplay",
    "Interval",
    "Parts",
    "RunsFile",
    "compare",
    "fingerprint",
    "make_model",
    "paired_t",
    "split_at_random",
    "split_by_time",
    "summarize",
]
