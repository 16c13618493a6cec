"""A column as plain values: what all other modules see of it.

They see the *distinct values* of a column, of which even a long column has few, and factorize
codes, the position of each cell's value among them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._arrow import arrow_keys, is_arrow_backed
from ._cells import NUMERIC_KINDS, plain_objects, truths

_KIND_OF_DTYPE = {
    "b": "booleans",
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "M": "dates",
    "m": "durations",
}
_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # pandas has no others


class Distinct(NamedTuple):
    """A column as codes into its distinct values; code -1 is a missing cell."""

    codes: NDArray[np.intp]
    values: Any


@dataclass(frozen=True)
class Column:
    """One column: its label, its values (a 1-D NumPy or pandas array) and what these are.

    A column of categories has their codes, and `values` are the categories.
    """

    label: Any
    values: Any
    kind: str
    codes: NDArray[np.intp] | None = None

    is_list = False  # no annotation: no field of the dataclass
    width = 1
    """Most values that a cell holds."""

    @property
    def holds(self) -> str:
        """What the cells hold, for errors."""
        return self.kind

    def __str__(self) -> str:
        return f"column {self.label!r}"

    def __len__(self) -> int:
        return len(self.values if self.codes is None else self.codes)

    @property
    def is_numeric(self) -> bool:
        """Whether the column is numeric, going by its values; one of categories is not."""
        return self.codes is None and self.kind in NUMERIC_KINDS

    def rows(self, mask: NDArray[np.bool_]) -> Column:
        """Return the column with only the rows in `mask`."""
        if self.codes is not None:
            return replace(self, codes=self.codes[mask])
        values, kind = plain_values(self.values[mask])
        return replace(self, values=values, kind=kind)

    def is_all_missing(self) -> bool:
        if self.codes is not None:
            return bool((self.codes < 0).all())
        return bool(pd.isna(self.values).all())

    def distinct(self) -> Distinct:
        """Return codes and distinct values, the latter as they are stored."""
        if self.codes is not None:
            return Distinct(self.codes, self.values)
        try:
            return Distinct(*pd.factorize(self.values))
        except TypeError as error:
            raise TypeError(
                "A level's argument must be a string or a number (or anything hashable), "
                f"but {self} holds something else: {error}."
            ) from error

    def distinct_keys(self) -> Distinct:
        """Return codes and distinct keys (see `to_keys`), except that Arrow strings stay so."""
        codes, values = self.distinct()
        return Distinct(codes, values if is_arrow_backed(values) else to_keys(values, self.kind))

    def keys(self) -> NDArray[np.object_]:
        """Return the key of each cell, NaN where it is missing."""
        if self.codes is not None:
            return np.append(to_keys(self.values, self.kind), np.nan)[self.codes]
        if is_arrow_backed(self.values):
            return arrow_keys(self.values)
        keys = to_keys(self.values, self.kind)
        keys[np.asarray(pd.isna(self.values))] = np.nan
        return keys

    def numbers(self) -> NDArray[np.float64]:
        """Return numbers as float64, dates as seconds since 1970 (UTC), durations as seconds."""
        if self.codes is not None:
            return np.append(to_float(self.values, self.kind), np.nan)[self.codes]
        return to_float(self.values, self.kind)

    def distinct_numbers(self) -> Distinct:
        """Return codes and distinct values of `numbers`."""
        return Distinct(*pd.factorize(self.numbers()))


def to_keys(values: Any, kind: str) -> NDArray[np.object_]:
    """Return new Python objects by which levels are compared: 1 == 1.0, but True is not 1."""
    if is_arrow_backed(values):
        return arrow_keys(values)
    if isinstance(values, np.ndarray) and values.dtype.kind not in "mM":
        keys = np.array(values, dtype=object)
    else:
        # NumPy would make integers of dates, and floats of nullable integers: 2^53 and 2^53 + 1
        # would be one level.
        keys = pd.Series(values).astype(object).to_numpy(copy=True)
    return truths(keys) if kind == "booleans" else keys


def plain_values(values: Any) -> tuple[Any, str]:
    """Return the values of a series or an array as a plain array, and their kind.

    A plain array is a NumPy array of numbers, booleans, datetime64 (UTC), timedelta64 or objects,
    or an array of pandas' strings or nullable numbers.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        values = values.sparse.to_dense() if isinstance(values, pd.Series) else values.to_dense()
        return plain_values(values)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return pd.Series(values).dt.tz_convert(None).to_numpy(), "dates"
    if dtype in (np.float16, np.longdouble):
        return np.asarray(values, np.float64), "numbers"  # pandas cannot hash these
    if isinstance(dtype, pd.StringDtype):
        return getattr(values, "array", values), "strings"
    if kind := _KIND_OF_DTYPE.get(dtype.kind):
        if isinstance(dtype, np.dtype):
            return np.asarray(values), kind
        if dtype.kind in "biuf":
            return getattr(values, "array", values), kind
    # Objects; also Period, Interval, ...
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    return plain_objects(series.astype(object).to_numpy())


def to_float(values: Any, kind: str) -> NDArray[np.float64]:
    if kind in ("dates", "durations"):
        return _seconds(values)
    if isinstance(values, np.ndarray) and values.dtype != object:
        return values.astype(np.float64)
    numbers = np.full(len(values), np.nan)
    present = np.asarray(pd.notna(values))
    numbers[present] = np.asarray(values[present], dtype=np.float64)
    return numbers


def _seconds(times: NDArray[Any]) -> NDArray[np.float64]:
    """Return datetime64 or timedelta64 as float seconds, the same from every resolution."""
    per_second = _TICKS_PER_SECOND[np.datetime_data(times.dtype)[0]]
    whole, part = np.divmod(times.astype(np.int64), per_second)
    return np.where(np.isnat(times), np.nan, whole + part / per_second)
