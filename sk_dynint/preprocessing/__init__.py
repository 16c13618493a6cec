"""Preprocessing: a table of columns becomes a matrix of field indices."""

from ._columns import check_table
from ._encoder import FieldEncoder

__all__ = ["FieldEncoder", "check_table"]
