"""Preprocessing: a table of columns becomes a matrix of field indices."""

from ._encoder import FieldEncoder

__all__ = ["FieldEncoder"]
