"""Columns become fields: counted, fitted and encoded, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._advice import warn_of_strangers
from ._binning import fit_numeric
from ._columns import Column
from ._counts import Counts, count_column, summation_order
from ._crosses import Cross, fit_crosses
from ._field import Field, Indices, gather
from ._levels import fit_levels
from ._roles import resolve_binning, resolve_categorical
from ._target import Sample
from ._threads import column_threads, fill_matrix

Count = Callable[[], tuple[Counts, NDArray[np.intp]]]
"""Counts a column; see `count_column`."""


class Limits(NamedTuple):
    """Parameters of the encoder that decide which levels and bins there are."""

    n_bins: int
    min_count: float
    min_count_numeric: float

    def fit(self, counts: Counts, binning: str) -> tuple[Field, Indices]:
        """Choose levels or bins; return the field and the index of each distinct value."""
        common: dict[str, Any] = {"missing": counts.missing, "kind": counts.kind}
        if not counts.is_numeric:
            return fit_levels(counts.values, counts.counts, min_count=self.min_count, **common)
        bins = fit_numeric(
            counts.values,
            counts.counts,
            binning=binning,
            n_bins=self.n_bins,
            min_count=self.min_count_numeric,
            **common,
        )
        return bins, bins.lookup(counts.values)


class Fitting(NamedTuple):
    """What `fit` was given and asked for, checked."""

    columns: list[Column]
    weight: NDArray[np.float64] | None
    tasks: list[tuple[Count, str]]
    limits: Limits
    crosses: list[tuple[int, ...]]
    sample: Sample | None  # without crosses none is needed

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    def fit_columns(self) -> tuple[list[Field], list[Counts]]:
        """Count the values of the columns; return their fields and the counts."""

        def work(task: tuple[Count, str]) -> tuple[Field, Counts]:
            count, binning = task
            counts, _ = count()
            return self.limits.fit(counts, binning)[0], counts

        with column_threads(self.n_samples) as map_columns:
            results = list(map_columns(work, self.tasks))
        return [field for field, _ in results], [counts for _, counts in results]

    def fit_encode(self) -> tuple[Indices, list[Field], list[Counts], list[Cross]]:
        """Fit all fields, and encode the rows: by cross-fitted statistics, if there are any."""
        if self.sample is None:
            return *self._fit_encode_columns(0), []
        n_extra = len(self.crosses) * self.sample.n_fields
        indices, fields, counts = self._fit_encode_columns(n_extra)
        crosses = fit_crosses(self.crosses, indices, fields, self.sample, **self.limits._asdict())
        return indices, fields, counts, crosses

    def _fit_encode_columns(self, n_extra: int) -> tuple[Indices, list[Field], list[Counts]]:
        """Fit and encode the columns; return a matrix that has room for the crosses."""
        if self.weight is not None and not self.weight.all():
            # Rows of weight 0 are encoded, but must leave no trace in the levels.
            fields, counts = self.fit_columns()
            labels = [column.label for column in self.columns]
            return encode_columns(self.columns, fields, labels, n_extra), fields, counts

        def work(task: tuple[Count, str], out: Indices) -> tuple[Field, Counts]:
            count, binning = task
            counts, codes = count()
            field, index = self.limits.fit(counts, binning)
            gather(index, codes, out)
            return field, counts

        indices, results = fill_matrix(work, self.tasks, self.n_samples, n_extra)
        return indices, [field for field, _ in results], [counts for _, counts in results]


def count_tasks(
    columns: Sequence[Column],
    weight: NDArray[np.float64] | None,
    categorical_features: str | ArrayLike,
    binning: str | Mapping[Any, str],
) -> list[tuple[Count, str]]:
    """Resolve what depends on all columns; return how to count each one, and its binning."""
    if weight is not None and not weight.all():
        columns, weight = [column.rows(weight > 0) for column in columns], weight[weight > 0]
    order = summation_order(weight)
    is_categorical = resolve_categorical(categorical_features, columns)
    binnings = resolve_binning(binning, columns, is_categorical)
    counts = [
        partial(count_column, column, is_numeric=not categorical, weight=weight, order=order)
        for column, categorical in zip(columns, is_categorical, strict=True)
    ]
    return list(zip(counts, binnings, strict=True))


def encode_columns(
    columns: Sequence[Column], fields: Sequence[Field], labels: Sequence[Any], n_extra: int
) -> Indices:
    """Encode columns; return a matrix that has room for the fields of crosses."""
    for column, field in zip(columns, fields, strict=True):
        field.check_kind(column)
    encodings = [
        partial(field.encode, column) for field, column in zip(fields, columns, strict=True)
    ]
    n_samples = len(columns[0])
    indices, shares = fill_matrix(lambda encode, out: encode(out), encodings, n_samples, n_extra)
    warn_of_strangers(labels, fields, shares)
    return indices
