"""Rows as dicts, such as a web service gets: encoded without a frame.

A frame takes longer to make than a network to predict.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import isinf, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from ._binning import SCORES, NumericField
from ._cells import Truth, kinds_of
from ._field import MISSING, RARE, Field, Indices
from ._levels import CategoricalField

Row = Mapping[Any, Any]

MAX_ROWS = 64
"""Up to so many rows are read cell by cell; a frame of more takes less time."""

DICT_MAX_LEVELS = 4096
"""Up to so many levels are also kept as a dict, which answers sooner than pandas does."""


class UnusualCellError(Exception):
    """A cell that only the way by a frame can judge."""


def as_dicts(X: Any) -> list[Row] | None:
    """Return rows that are given as one dict or as several; None for anything else."""
    if isinstance(X, Mapping) and not issparse(X):  # SciPy's dictionaries of keys are dicts, too
        return [X]
    if isinstance(X, list | tuple) and X and isinstance(X[0], Mapping):
        return list(X)
    return None


def to_frame(rows: Sequence[Row], names: Sequence[Any]) -> pd.DataFrame:
    """Return rows as a frame of objects with columns of these names.

    Raises
    ------
    ValueError
        If a row has other keys.
    """
    known = set(names)
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.keys() == known:
            continue
        if absent := [name for name in names if name not in row]:
            raise ValueError(f"row {i} lacks {absent}; None is a missing value")
        unknown = [name for name in row if name not in known]
        raise ValueError(f"row {i} has {unknown}, which fit did not; it has {list(names)}")
    columns = {j: _objects([row[name] for row in rows]) for j, name in enumerate(names)}
    return pd.DataFrame(columns).set_axis(list(names), axis=1)


def _objects(cells: Sequence[Any]) -> pd.Series:
    """Return cells as a series of objects, whatever they are."""
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    return pd.Series(values, dtype=object)


class RowReader:
    """Gives the cells of a row their indices, one after the other.

    Parameters
    ----------
    fields : list of Field
        The fields of the columns.
    names : list
        Names of the columns.
    """

    def __init__(self, fields: Sequence[Field], names: Sequence[Any]) -> None:
        self.names = names
        self.levels = [
            (j, _finder(field), _makers_of_keys(field))
            for j, field in enumerate(fields)
            if isinstance(field, CategoricalField) and not field.is_list
        ]
        numeric = [(j, f) for j, f in enumerate(fields) if isinstance(f, NumericField)]
        numeric = [(j, field) for j, field in numeric if field.kind == "numbers"]
        self.bins = {
            name: [
                (j, field.thresholds.tolist(), field.index.tolist())
                for j, field in numeric
                if field.binning == name
            ]
            for name in dict.fromkeys(field.binning for _, field in numeric)
        }
        self.reads_all = len(self.levels) + len(numeric) == len(fields)

    def read(self, rows: Sequence[Row], out: Indices) -> bool:
        """Write the indices of a few rows, if they hold nothing unusual.

        Parameters
        ----------
        rows : sequence of dict
            The rows.
        out : ndarray of shape (n_samples, n_columns or more), int32
            Where to write.

        Returns
        -------
        bool
            Whether they were written; otherwise they have to be read by way of a frame, which
            tells what is wrong.
        """
        if not self.reads_all or len(rows) > MAX_ROWS:
            return False
        names = self.names
        try:
            for row, indices in zip(rows, out, strict=True):
                if len(row) != len(names):
                    return False
                self._read_row([row[name] for name in names], indices)
        except (UnusualCellError, KeyError, TypeError, OverflowError):
            return False
        return True

    def _read_row(self, cells: Sequence[Any], out: Indices) -> None:
        for j, find, makers in self.levels:
            cell = cells[j]
            make_key = makers.get(type(cell))
            if cell is None or cell != cell:
                out[j] = MISSING
            elif make_key is None:
                raise UnusualCellError
            else:
                out[j] = find(make_key(cell), RARE)
        for name, fields in self.bins.items():
            numbers = np.array([_number(cells[j]) for j, *_ in fields])
            scores = SCORES[name](numbers).tolist()
            for (j, thresholds, index), score in zip(fields, scores, strict=True):
                out[j] = MISSING if score != score else index[bisect_left(thresholds, score)]


def _finder(field: CategoricalField) -> Callable[[Any, int], int]:
    """Return what tells the index of a key, or a default."""
    if len(field.levels) > DICT_MAX_LEVELS:
        return field.index_of
    return {key: index for index, key in enumerate(field.levels, start=MISSING)}.get


def _makers_of_keys(field: Field) -> dict[type, Callable[[Any], Any]]:
    """Return what makes the key of a cell, by its type."""
    return {kind: make for known in kinds_of(field.kind) for kind, make in _KEYS.get(known, ())}


def _finite(number: Any) -> Any:
    """Return a finite number as it is."""
    if isinf(number):  # whole numbers beyond those of double precision overflow
        raise UnusualCellError
    return number


def _number(cell: Any) -> float:
    """Return the number of a cell, NaN if it is missing."""
    if cell is None:
        return nan
    if type(cell) not in _NUMBERS:
        raise UnusualCellError
    return float(_finite(cell))


_NUMBERS = (float, int, np.float64, np.int64)
_KEYS: dict[str, list[tuple[type, Callable[[Any], Any]]]] = {
    "strings": [(str, str)],
    "numbers": [(kind, _finite) for kind in _NUMBERS],
    "booleans": [(bool, Truth)],
}
"""Kind of a column -> types of cells that need no closer look, and what makes their keys."""
