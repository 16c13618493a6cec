"""Reading a frame: the caller's input becomes a list of plain columns.

Everything that depends on the container (pandas, polars, Arrow, NumPy, lists) or on how a column is
stored is handled here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from sk_dynint._sources import Source

from ._arrow import arrow_to_pandas, extension_to_pandas
from ._cells import is_mixed, kinds_of
from ._column import Column, plain_values, to_float
from ._lists import LIST_KINDS, holds_lists, read_lists


def check_frame(estimator: BaseEstimator, X: Any, *, reset: bool) -> pd.DataFrame | NDArray[Any]:
    """Check a table against (or, with `reset`, into) the estimator: its shape and its names.

    An array gets the names that the estimator knows, so that a later check does not warn again that
    it has none.
    """
    X = arrow_to_pandas(X)
    if isinstance(X, pd.DataFrame):
        _check_shape_and_names(X)
        if not reset:
            _check_labels(estimator, X)
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if reset:
            named = hasattr(estimator, "feature_names_in_")
            estimator._labels_in = None if named else list(X.columns)
        return X
    # A list of rows such as ["a", 1] must not become an array of strings.
    dtype = None if hasattr(X, "dtype") or hasattr(X, "__array__") else object
    X = validate_data(estimator, X, reset=reset, dtype=dtype, ensure_all_finite=False)
    if reset:
        estimator._labels_in = None
    names = getattr(estimator, "feature_names_in_", None)
    return X if names is None else pd.DataFrame(X, columns=names, copy=False)


def check_source(estimator: BaseEstimator, source: Source) -> None:
    """Give the estimator the number and the names of the columns of a table read in parts."""
    _check_shape(source.shape)
    estimator.n_features_in_ = len(source.columns)
    estimator.feature_names_in_ = np.array(source.columns, dtype=object)
    estimator._labels_in = None


def read_columns(estimator: BaseEstimator, X: Any, *, reset: bool) -> list[Column]:
    """Check a table and return its columns."""
    X = check_frame(estimator, X, reset=reset)
    if isinstance(X, pd.DataFrame):
        return [read_column(label, series) for label, series in X.items()]
    return [_read_array(label, values) for label, values in enumerate(X.T)]


def read_column(label: Any, series: pd.Series) -> Column:
    """Return a column as plain values; refuse infinite ones."""
    column = _read_column(label, series)
    _check_finite(column)
    return column


def column_labels(estimator: BaseEstimator) -> list[Any]:
    """Return the names of the columns of `fit`, or their positions."""
    labels = getattr(estimator, "_labels_in", None) or range(estimator.n_features_in_)
    return list(getattr(estimator, "feature_names_in_", labels))


def unfrozen(encoder: Any) -> Any:
    """Return an encoder, out of a `FrozenEstimator` if it is in one."""
    return getattr(encoder, "estimator", encoder)


def _check_shape_and_names(X: pd.DataFrame) -> None:
    """Refuse what scikit-learn's `check_array` would refuse in an array."""
    _check_shape(X.shape)
    if not X.columns.is_unique:
        repeated = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"Expected column names that differ, got more than one of {repeated}.")


def _check_shape(shape: tuple[int, ...]) -> None:
    """Refuse a table without rows or columns."""
    for size, what in zip(shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required."
            )


def _check_labels(estimator: BaseEstimator, X: pd.DataFrame) -> None:
    """Hold labels that are not strings, which scikit-learn does not look at, to their order."""
    known = getattr(estimator, "_labels_in", None) or []
    for position, (ours, theirs) in enumerate(zip(known, X, strict=False)):
        if ours != theirs:
            raise ValueError(
                "The columns must be those of fit, in the same order: column "
                f"{position} is {theirs!r}, but was {ours!r} in fit."
            )


def _read_array(label: int, values: NDArray[Any]) -> Column:
    dtype = object if values.dtype == object else None
    return read_column(label, pd.Series(values, dtype=dtype))


def _read_column(label: Any, series: pd.Series) -> Column:
    if isinstance(series.dtype, pd.ArrowDtype):
        series = extension_to_pandas(series)
    if series.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {label!r}.")
    if series.dtype == object and holds_lists(series.to_numpy()):
        return read_lists(label, series.to_numpy())
    if not isinstance(series.dtype, pd.CategoricalDtype):
        values, kind = plain_values(series)
        if kinds_of(kind) & LIST_KINDS:  # though the first cell is no list
            return read_lists(label, series.to_numpy())
        return Column(label, values, kind)
    categories = series.cat.categories.to_series()
    codes = series.cat.codes.to_numpy().astype(np.intp)
    plain = _read_column(label, categories)
    if plain.is_list:
        return _read_column(label, series.astype(object))
    if is_mixed(plain.kind) and len(used := np.unique(codes[codes >= 0])) < len(categories):
        plain = _read_column(label, categories.iloc[used])  # what no cell holds has no kind
        codes = np.where(codes < 0, -1, np.searchsorted(used, codes))
    if categories.dtype == object and plain.kind != "strings":  # several may mean the same
        merged, values = plain.distinct()
        codes = np.append(merged, -1)[codes]
        plain = replace(plain, values=values)
    return replace(plain, codes=codes)


def _check_finite(column: Column) -> None:
    values = column.values
    if column.kind != "numbers" or values.dtype.kind in "iu":
        return
    try:
        finite = not np.isinf(to_float(values, "numbers")).any()
    except OverflowError:  # Python's integers are unbounded
        finite = False
    if not finite:
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype('float64') in {column}; "
            "a missing value is NaN or None, and all else must be finite."
        )
