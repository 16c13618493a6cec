"""Inspection of fitted classifiers: arrays first, pictures on top."""

from ._explanation import Explanation
from ._shapley import shapley_interactions, shapley_values

__all__ = [
    "Explanation",
    "shapley_interactions",
    "shapley_values",
]
