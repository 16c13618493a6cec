"""Data to learn from: shipped with the package, or made."""

from ._flights import load_flights
from ._synthetic import make_ctr_classification

__all__ = ["load_flights", "make_ctr_classification"]
