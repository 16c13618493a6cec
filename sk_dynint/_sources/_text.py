"""Cells of text files: which are missing, and which columns are numbers."""

from __future__ import annotations

from typing import Any

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""What separates the cells of a text file, by the end of its name."""

MISSING_TEXTS = (
    *("", "NA", "N/A", "#N/A", "#N/A N/A", "#NA", "<NA>", "n/a", "nan", "NaN", "-nan", "-NaN"),
    *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Cells of a text file that are missing values, except in columns called categorical, where only an
empty one is."""


def numbers_of_texts(texts: Any) -> Any:
    """Return a polars series of strings as numbers, or None if one of them is no number.

    Parameters
    ----------
    texts : polars.Series
        Cells as they are written; what is missing is null.
    """
    import polars as pl

    numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == texts.null_count() else None


def without_missing_texts(texts: Any) -> Any:
    """Return a polars series of strings in which what means a missing value is null."""
    return texts.set(texts.is_in(list(MISSING_TEXTS)), None)
