"""Reading a frame: the caller's input becomes a list of plain columns.

Everything that depends on the container (pandas, polars, Arrow, NumPy, lists) or on how a column is
stored is handled here. The other modules see the *distinct values* of a column, of which even a
long column has few, and factorize codes, the position of each cell's value among them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ._arrow import arrow_keys, arrow_to_pandas, extension_to_pandas, is_arrow_backed

_KIND_OF_OBJECTS = {
    "string": "strings",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "decimal": "numbers",
    "boolean": "booleans",
    "datetime": "dates",
    "datetime64": "dates",
    "timedelta": "durations",
    "timedelta64": "durations",
    "empty": "missing values",
}
_KIND_OF_DTYPE = {
    "b": "booleans",
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "M": "dates",
    "m": "durations",
    "U": "strings",
}
_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # pandas has no others
NUMERIC_KINDS = ("numbers", "dates", "durations")
ANY_KIND = ("missing values", "mixed objects")


class Truth(enum.Enum):
    """A boolean as a level; Python, pandas and category-encoders hold `True == 1`, we do not."""

    FALSE = False
    TRUE = True


class Distinct(NamedTuple):
    """A column as codes into its distinct values; code -1 is a missing cell."""

    codes: NDArray[np.intp]
    values: Any


@dataclass(frozen=True)
class Column:
    """One column: its label, its values (a 1-D NumPy or pandas array) and what these are."""

    label: Any
    values: Any
    kind: str
    from_objects: bool = False  # an array of objects, whose dtype says nothing about a column

    def __str__(self) -> str:
        return f"column {self.label!r}"

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_numeric(self) -> bool:
        """Whether the column is numeric, going by its dtype."""
        if self.values.dtype.kind == "O":  # objects, but also categories
            return self.from_objects and self.kind == "numbers"
        return self.kind in NUMERIC_KINDS

    def rows(self, mask: NDArray[np.bool_]) -> Column:
        """Return the column with only the rows in `mask`."""
        values = self.values[mask]
        return replace(self, values=values, kind=_kind_of(values))

    def is_all_missing(self) -> bool:
        return bool(pd.isna(self.values).all())

    def distinct(self) -> Distinct:
        """Return codes and distinct values, the latter as they are stored."""
        values = self.values
        if isinstance(values, pd.Categorical):
            return Distinct(values.codes.astype(np.intp), values.categories.array)
        if self.kind == "mixed objects":
            values = _mark_booleans(values)
        try:
            return Distinct(*pd.factorize(values))
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
        if is_arrow_backed(self.values):
            return arrow_keys(self.values)
        if self.kind == "mixed objects":
            codes, keys = self.distinct_keys()
            return np.append(keys, np.nan)[codes]
        keys = to_keys(self.values, self.kind)
        keys[np.asarray(pd.isna(self.values))] = np.nan
        return keys

    def numbers(self) -> NDArray[np.float64]:
        """Return numbers as float64, dates as seconds since 1970 (UTC), durations as seconds."""
        return _to_float(self.values, self.kind)

    def distinct_numbers(self) -> Distinct:
        """Return codes and distinct values of `numbers`."""
        return Distinct(*pd.factorize(self.numbers()))


def to_keys(values: Any, kind: str) -> NDArray[np.object_]:
    """Return new Python objects by which levels are compared: 1 == 1.0, but True is not 1."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "mM":
        keys = np.array(values, dtype=object)
    else:
        # NumPy would make integers of dates, and floats of nullable integers: 2^53 and 2^53 + 1
        # would be one level.
        keys = pd.Series(values).astype(object).to_numpy(copy=True)
    return _mark_booleans(keys) if kind in ("booleans", "mixed objects") else keys


def from_key(key: Any) -> Any:
    """Return the value a key stands for."""
    return key.value if isinstance(key, Truth) else key


def check_frame(estimator: BaseEstimator, X: Any, *, reset: bool) -> pd.DataFrame | NDArray[Any]:
    """Check a table against (or, with `reset`, into) the estimator: its shape and its names.

    An array gets the names that the estimator knows, so that a later check does not warn again that
    it has none.
    """
    X = arrow_to_pandas(X)
    if isinstance(X, pd.DataFrame):
        _check_shape_and_names(X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return X
    # A list of rows such as ["a", 1] must not become an array of strings.
    dtype = None if hasattr(X, "dtype") or hasattr(X, "__array__") else object
    X = validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False)
    names = getattr(estimator, "feature_names_in_", None)
    return X if names is None else pd.DataFrame(X, columns=names, copy=False)


def read_columns(estimator: BaseEstimator, X: Any, *, reset: bool) -> list[Column]:
    """Check a table and return its columns."""
    X = check_frame(estimator, X, reset=reset)
    if isinstance(X, pd.DataFrame):
        columns = [_read_series(label, series) for label, series in X.items()]
    else:
        columns = [_read_array(label, values) for label, values in enumerate(X.T)]
    for column in columns:
        _check_finite(column)
    return columns


def _check_shape_and_names(X: pd.DataFrame) -> None:
    """Refuse what scikit-learn's `check_array` would refuse in an array."""
    for size, what in zip(X.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={X.shape}) while a minimum of 1 is required."
            )
    if not X.columns.is_unique:
        repeated = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"Expected column names that differ, got more than one of {repeated}.")


def _read_series(label: Any, series: pd.Series) -> Column:
    values = _plain_values(series)
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {label!r}.")
    return Column(label, values, _kind_of(values))


def _plain_values(series: pd.Series) -> Any:
    """Return a NumPy, categorical, string or nullable array; others become one of these."""
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return _plain_values(extension_to_pandas(series))
    if isinstance(dtype, pd.SparseDtype):
        return _plain_values(series.sparse.to_dense())
    if isinstance(dtype, pd.DatetimeTZDtype):
        return series.dt.tz_convert(None).to_numpy()  # in UTC
    if dtype in (np.float16, np.longdouble):
        return series.to_numpy(np.float64)  # pandas cannot hash these
    if isinstance(dtype, np.dtype):
        return series.to_numpy()
    if isinstance(dtype, pd.CategoricalDtype | pd.StringDtype) or dtype.kind in "biuf":
        return series.array
    return series.astype(object).to_numpy()  # Period, Interval, ...


def _read_array(label: int, values: NDArray[Any]) -> Column:
    is_object = values.dtype == object
    column = _read_series(label, pd.Series(values, dtype=object if is_object else None))
    return replace(column, from_objects=is_object)


def _kind_of(values: Any) -> str:
    """Return what the values are, whatever they are stored in."""
    if isinstance(values, pd.Categorical):
        return _kind_of(values.categories.array)
    if isinstance(values.dtype, pd.StringDtype):
        return "strings"
    if values.dtype.kind == "O":
        return _KIND_OF_OBJECTS.get(infer_dtype(values, skipna=True), "mixed objects")
    return _KIND_OF_DTYPE.get(values.dtype.kind, "mixed objects")


def _mark_booleans(values: Any) -> NDArray[np.object_]:
    marked = (Truth(bool(v)) if isinstance(v, bool | np.bool_) else v for v in values)
    return np.fromiter(marked, dtype=object, count=len(values))


def _check_finite(column: Column) -> None:
    values = column.values
    if isinstance(values, pd.Categorical):
        values = values.categories.array
    if column.kind != "numbers" or values.dtype.kind in "iu":
        return
    try:
        finite = not np.isinf(_to_float(values, "numbers")).any()
    except OverflowError:  # Python's integers are unbounded
        finite = False
    if not finite:
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype('float64') in {column}; "
            "a missing value is NaN or None, and all else must be finite."
        )


def _to_float(values: Any, kind: str) -> NDArray[np.float64]:
    if isinstance(values, pd.Categorical):
        values = np.asarray(values)
    if kind == "dates":
        return _seconds(pd.to_datetime(values, utc=True).tz_localize(None).to_numpy())
    if kind == "durations":
        return _seconds(pd.to_timedelta(values).to_numpy())
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
