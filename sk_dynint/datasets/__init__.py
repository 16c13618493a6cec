"""Data to learn from: shipped with the package, made, or read from files you have."""

from ._avazu import read_avazu
from ._criteo import read_criteo
from ._flights import load_flights
from ._ipinyou import read_ipinyou
from ._synthetic import make_ctr_classification
from ._table import read_table, write_table

__all__ = [
    "load_flights",
    "make_ctr_classification",
    "read_avazu",
    "read_criteo",
    "read_ipinyou",
    "read_table",
    "write_table",
]
