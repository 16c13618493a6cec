"""Fitting and encoding tables that are read in parts: what `fit` and `transform` do of a frame.

A column is fitted by its distinct values and their counts, as if these were rows with weights,
which give the same field to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_dynint._sources import (
    Source,
    Store,
    Table,
    as_frame,
    count_values,
    folder_for,
    merged_values,
    n_entries,
    numbers_of_texts,
    release_memory,
    values_by_file,
    without_missing_texts,
)

from ._advice import warn_of_strangers
from ._arrow import arrow_to_pandas
from ._column import Column
from ._columns import read_column
from ._counts import Counts, count_column
from ._crosses import Cross, encode_crosses, fit_crosses
from ._field import Field, Indices
from ._fitting import encode_columns, n_slots
from ._lists import shortened, split_strings
from ._roles import (
    columns_named,
    named_categorical,
    resolve_binning,
    resolve_categorical,
    resolve_separators,
)
from ._target import Sample

Floats = NDArray[np.float64]

MAX_VALUES = 2**22
"""With more distinct numbers in a column, its bins are placed by a sample of the rows."""

SAMPLE_ROWS = 2**20
"""Expected size of that sample."""


class Reader(NamedTuple):
    """How the cells of a table that is read in parts become columns."""

    labels: list[str]
    is_text: bool
    categories: frozenset[str]  # columns that are so in the table
    is_named: list[bool]  # which columns were called categorical
    separators: dict[int, str]
    max_list_length: int

    @classmethod
    def of(cls, encoder: Any, source: Source) -> Reader:
        """Return the reader of an encoder's columns."""
        labels = list(source.columns)
        named = named_categorical(encoder.categorical_features, labels)
        separators = resolve_separators(encoder.separators, columns_named(labels))
        return cls(
            labels, source.is_text, source.categories, named, separators, encoder.max_list_length
        )

    def columns(self, name: str, table: Table, fields: Sequence[Field]) -> list[Column]:
        """Return the columns of a table, to be encoded; `name` says where it comes from."""
        if self.is_text:
            table = self._typed(table, fields)
        try:
            frame = arrow_to_pandas(table)
            return [self._column(j, series) for j, (_, series) in enumerate(frame.items())]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error

    def merged(
        self, j: int, files: Sequence[Any], share: float, *, as_numbers: bool
    ) -> tuple[Column, Floats]:
        """Return the distinct values of a column in all files of counts, and their counts.

        With less than 1, `share` is that of the rows which are drawn to be counted.
        """
        read = None
        if self.is_text:
            read = partial(self.cells, j, as_numbers=as_numbers)
        found = merged_values(files, j, read=read, share=share)
        found = found.filter(found["n"] > 0)
        frame = arrow_to_pandas(found["v"].alias(self.labels[j]).to_frame())
        column = self._column(j, frame[self.labels[j]])
        (column,) = shortened([column], self.max_list_length)
        if self.labels[j] in self.categories and column.codes is None:
            codes, categories = column.distinct()
            column = replace(column, codes=codes, values=categories)
        return column, found["n"].to_numpy().astype(np.float64)

    def is_of_numbers(self, j: int, source: Source, files: Sequence[Any]) -> bool:
        """Whether a column holds numbers, or texts that all are, and was not called categorical."""
        import pyarrow.types as types

        if self.is_named[j] or self.labels[j] in self.categories or j in self.separators:
            return False
        if self.is_text:
            texts = (without_missing_texts(values) for values in values_by_file(files, j))
            return all(numbers_of_texts(each) is not None for each in texts)
        kind = source.schema.field(self.labels[j]).type
        return types.is_floating(kind) or types.is_integer(kind)

    def cells(self, j: int, texts: Any, *, as_numbers: bool) -> Any:
        """Return what texts stand for, a polars series."""
        if self.is_named[j]:
            return texts
        texts = without_missing_texts(texts)
        return numbers_of_texts(texts) if as_numbers else texts

    def _column(self, j: int, series: pd.Series) -> Column:
        column = read_column(self.labels[j], series)
        return split_strings(column, self.separators[j]) if j in self.separators else column

    def _typed(self, table: Table, fields: Sequence[Field]) -> Table:
        """Return a table of texts with numbers for those columns that were numbers in `fit`."""
        import polars as pl

        made = []
        for j, (texts, field) in enumerate(zip(as_frame(table), fields, strict=True)):
            cells = self.cells(j, texts, as_numbers=field.is_numeric)
            made.append(texts if cells is None else cells)  # which is refused by its kind
        return pl.DataFrame(made)


def fit_fields(
    encoder: Any, source: Source, weight: Floats | None, store: Store
) -> tuple[list[Field], list[Counts]]:
    """Count the values of all columns; return their fields and the counts.

    Parameters
    ----------
    encoder : FieldEncoder
        Has the parameters.
    source : Source
        The rows.
    weight : ndarray of shape (n_samples,) or None
        How often each row counts.
    store : Store
        Keeps the counts.
    """
    reader = Reader.of(encoder, source)
    store.check_space(len(source) * len(source.columns) * 4, "counting and encoding these rows")
    count_values(source, weight, store, _refuse_infinite)
    files, limits = store.counts(), encoder._limits()
    columns = columns_named(reader.labels)
    binnings = resolve_binning(encoder.binning, columns, [False] * len(columns))
    fields, all_counts = [], []
    for j, binning in enumerate(binnings):
        of_numbers, share = reader.is_of_numbers(j, source, files), 1.0
        if of_numbers and weight is None and n_entries(files, j) >= MAX_VALUES:
            share = min(SAMPLE_ROWS / len(source), 1.0)
        column, counted = reader.merged(j, files, share, as_numbers=of_numbers)
        (is_categorical,) = resolve_categorical("from_dtype", [column])
        is_numeric = not (is_categorical or reader.is_named[j])
        counts, _ = count_column(column, is_numeric=is_numeric, weight=counted, order=None)
        if weight is None:
            whole = np.rint(counts.counts / share).astype(np.int64)
            counts = replace(counts, counts=whole, missing=round(counts.missing / share))
        fields.append(limits.fit(counts, binning)[0])
        if not (is_numeric or encoder.keep_counts):
            counts = replace(counts, values=counts.values[:0])
        all_counts.append(counts)
    resolve_binning(encoder.binning, all_counts, [not c.is_numeric for c in all_counts])
    return fields, all_counts


def _refuse_infinite(name: str, table: Table) -> None:
    import pyarrow.compute as pc
    import pyarrow.types as types

    for field, column in zip(table.schema, table.itercolumns(), strict=True):
        if types.is_floating(field.type) and pc.any(pc.is_inf(column)).as_py():
            raise ValueError(
                f"{name}: Input X contains infinity in column {field.name!r}; a missing value is "
                "NaN or null, and all else must be finite."
            )


def fit_source(
    encoder: Any,
    source: Source,
    weight: Floats | None,
    crosses: Sequence[tuple[int, ...]],
    sample: Sample | None,
    *,
    encodes: bool,
) -> tuple[Indices | None, tuple[list[Field], list[Counts], list[Cross]]]:
    """Fit all fields, and encode the rows if they are wanted.

    Parameters
    ----------
    encoder : FieldEncoder
        Has the parameters.
    source : Source
        The rows; the matrix is on the disk if it has a folder.
    weight : ndarray of shape (n_samples,) or None
        How often each row counts.
    crosses : list of tuple
        Positions of the columns of each.
    sample : Sample or None
        What crosses need to know of the rows.
    encodes : bool
        Whether the rows are wanted; with crosses they have to be encoded.
    """
    with folder_for(source.folder) as folder:
        kept = source.in_folder(folder)
        labels = [] if sample is None else sample.indicators
        store = Store(kept, encoder.get_params(), weight, *labels)
        fields, counts = fit_fields(encoder, kept, weight, store)
        if not encodes:
            return None, (fields, counts, [])
        n_crossed = len(crosses) * sample.n_fields if sample else 0
        used = store if source.folder else None
        matrix = _encode(encoder, source, fields, [], n_crossed, used)
        fitted = []
        if sample is not None:
            options = encoder._limits()._asdict()
            fitted = fit_crosses(crosses, matrix, fields, sample, **options)
        return matrix, (fields, counts, fitted)


def transform_source(encoder: Any, source: Source) -> Indices:
    """Encode the rows by a fitted encoder; the matrix is on the disk if the source has a folder."""
    fields, crosses = encoder._fields, encoder._crosses
    store = None
    if source.folder is not None:
        state = encoder.state_dict()
        store = Store(source, *(x for item in state.items() for x in item))
    n_crossed = sum(cross.n_fields for cross in crosses)
    return _encode(encoder, source, fields, crosses, n_crossed, store)


def encoded_parts(
    encoder: Any, source: Source, keep: Sequence[str] = ()
) -> Iterator[tuple[Table, Indices]]:
    """Yield the rows, some at a time: a table of the columns to `keep`, and their indices."""
    fields, crosses = encoder._fields, encoder._crosses
    n_crossed = sum(cross.n_fields for cross in crosses)
    chosen = source.select(list(dict.fromkeys([*encoder._labels(), *keep])))
    for table, indices in _encoded(encoder, chosen, fields, crosses, n_crossed):
        yield table.select(list(keep)), indices


def _encode(
    encoder: Any,
    source: Source,
    fields: Sequence[Field],
    crosses: Sequence[Cross],
    n_crossed: int,
    store: Store | None,
) -> Indices:
    """Encode the rows: in memory, or in a file of a store, from where it was left."""
    shape = len(source), len(fields) + n_crossed + n_slots(fields)
    end, matrix = 0, None
    if store is None:
        matrix = np.empty(shape, dtype=np.int32)
    else:
        end = min(store.n_encoded(), len(source))
        store.check_space((shape[0] - end) * shape[1] * 4, "encoding these rows")
    if end < len(source):
        for _, indices in _encoded(encoder, source, fields, crosses, n_crossed, end):
            if store is not None:
                store.keep_encoded(indices, end)
            elif matrix is not None:
                matrix[end : end + len(indices)] = indices
            end += len(indices)
    release_memory()
    return matrix if store is None else store.encoded(*shape)  # type: ignore[return-value]


def _encoded(
    encoder: Any,
    source: Source,
    fields: Sequence[Field],
    crosses: Sequence[Cross],
    n_crossed: int,
    start: int = 0,
) -> Iterator[tuple[Table, Indices]]:
    """Yield the rows from a position on, with their indices; warn of strange ones at the end."""
    labels = source.columns[: len(fields)]
    reader = Reader.of(encoder, source.select(labels))
    strange, n_rows = np.zeros(len(fields)), 0
    for name, table in source.tables(start):
        columns = reader.columns(name, table.select(labels), fields)
        indices, shares = encode_columns(columns, fields, n_crossed)
        encode_crosses(crosses, indices, len(fields))
        strange += np.multiply(shares, len(indices))
        n_rows += len(indices)
        yield table, indices
    warn_of_strangers(labels, fields, (strange / max(n_rows, 1)).tolist())
