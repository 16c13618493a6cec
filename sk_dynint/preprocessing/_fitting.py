"""Columns become fields: counted, fitted and encoded, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._binning import fit_numeric
from ._column import Column
from ._counts import Counts, count_column, summation_order
from ._crosses import Cross, fit_crosses
from ._field import Field, Indices, gather
from ._levels import fit_levels
from ._list_field import ListField, padded
from ._lists import ListColumn
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
            levels, index = fit_levels(
                counts.values, counts.counts, min_count=self.min_count, **common
            )
            return (
                ListField(**vars(levels), width=counts.width) if counts.width else levels
            ), index
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
        n_crossed = len(self.crosses) * self.sample.n_fields
        indices, fields, counts = self._fit_encode_columns(n_crossed)
        crosses = fit_crosses(self.crosses, indices, fields, self.sample, **self.limits._asdict())
        return indices, fields, counts, crosses

    def _fit_encode_columns(self, n_crossed: int) -> tuple[Indices, list[Field], list[Counts]]:
        """Fit and encode the columns; return a matrix that has room for the crosses."""
        if self.weight is not None and not self.weight.all():
            # Rows of weight 0 are encoded, but must leave no trace in the levels.
            fields, counts = self.fit_columns()
            indices, _ = encode_columns(self.columns, fields, n_crossed)
            return indices, fields, counts

        def work(task: tuple[Column, Count, str], out: Indices) -> tuple[Field, Counts, Any]:
            column, count, binning = task
            counts, codes = count()
            field, index = self.limits.fit(counts, binning)
            if not isinstance(column, ListColumn):
                gather(index, codes, out)
                return field, counts, None
            gather(index, codes, elements := np.empty(len(codes), dtype=np.int32))
            return field, counts, padded(column, elements, column.width, out)

        tasks = [(column, *task) for column, task in zip(self.columns, self.tasks, strict=True)]
        n_free = n_crossed + n_slots(self.columns)
        indices, results = fill_matrix(work, tasks, self.n_samples, n_free)
        fields, counts, others = map(list, zip(*results, strict=True))
        write_last(indices, others)
        return indices, fields, counts


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
    columns: Sequence[Column], fields: Sequence[Field], n_crossed: int
) -> tuple[Indices, tuple[float, ...]]:
    """Encode columns; return a matrix that has room for the fields of crosses, and strange shares.

    The latter are those of the values of each column that `fit` never met.
    """
    for column, field in zip(columns, fields, strict=True):
        field.check_kind(column)

    def work(pair: tuple[Field, Column], out: Indices) -> tuple[float, Indices | None]:
        field, column = pair
        if isinstance(field, ListField):
            return field.encode_lists(column, out)
        return field.encode(column, out), None

    pairs, n_free = list(zip(fields, columns, strict=True)), n_crossed + n_slots(fields)
    indices, results = fill_matrix(work, pairs, len(columns[0]), n_free)
    shares, others = zip(*results, strict=True)
    write_last(indices, others)
    return indices, shares


def n_slots(parts: Sequence[Column | Field]) -> int:
    """Return the number of columns that a matrix has for further elements of lists, at its end."""
    return sum(part.width - 1 for part in parts)


def write_last(matrix: Indices, blocks: Sequence[Indices | None]) -> None:
    """Write blocks of columns, where there are any, side by side at the end of a matrix."""
    if given := [block for block in blocks if block is not None]:
        joined = np.concatenate(given, axis=1)
        matrix[:, matrix.shape[1] - joined.shape[1] :] = joined
