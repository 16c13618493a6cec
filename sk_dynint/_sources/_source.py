"""A table that is read in parts, and a choice of its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._parts import BATCH_ROWS, Part, Table


class Source:
    """A table that is read in parts, as often as it is needed.

    It has a shape, and may be indexed by ascending row numbers, as scikit-learn does it.

    Parameters
    ----------
    parts : sequence of Part
        Where the rows are.
    schema : pyarrow.Schema
        Names and types of the columns.
    is_text : bool, default=False
        Whether all cells are strings, as they are written in a text file.
    categories : collection of str, default=()
        Columns that were written as categories, whatever they are read as.
    fingerprint : str, default=""
        Tells this table from others.
    """

    folder: str | None = None
    """Where to keep what is made of the rows; None means in memory."""
    checked: Any = None
    """A column as it was read once, a polars series, with which it is compared later."""

    def __init__(
        self,
        parts: Sequence[Part],
        schema: Any,
        *,
        is_text: bool = False,
        categories: Collection[str] = (),
        fingerprint: str = "",
    ) -> None:
        self.parts = list(parts)
        self.columns = list(schema.names)
        self.schema = schema
        self.is_text = is_text
        self.categories = frozenset(categories)
        self.fingerprint = fingerprint
        self._mask: NDArray[np.bool_] | None = None
        self._n_rows: int | None = None

    def __len__(self) -> int:
        if self._n_rows is None:
            self._n_rows = self.n_all if self._mask is None else int(self._mask.sum())
        return self._n_rows

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return len(self), len(self.columns)

    @property
    def n_all(self) -> int:
        """Number of rows, those that were not chosen included."""
        return sum(part.count() for part in self.parts)

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Which of all rows are chosen; None means all."""
        return self._mask

    def select(self, columns: Sequence[str]) -> Source:
        """Return the same rows with some of the columns.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        if absent := [name for name in columns if name not in self.columns]:
            raise ValueError(f"the table lacks the columns {absent}; it has {self.columns}")
        return self._with(columns=list(columns))

    def in_folder(self, folder: str | None) -> Source:
        """Return the same table; what is made of its rows is kept in a folder."""
        return self._with(folder=folder)

    def __getitem__(self, rows: Any) -> Source:
        """Choose rows by ascending numbers, or by a mask."""
        rows = np.asarray(rows[0] if isinstance(rows, tuple) else rows)
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        if len(chosen) > 1 and not (np.diff(chosen) > 0).all():
            raise ValueError("rows of a table that is read in parts keep their order")
        mask = np.zeros(self.n_all, dtype=bool)
        mask[chosen if self._mask is None else np.flatnonzero(self._mask)[chosen]] = True
        return self._with(_mask=mask, _n_rows=len(chosen))

    def _with(self, **attributes: Any) -> Source:
        """Return a copy in which some attributes differ."""
        new = object.__new__(type(self))
        new.__dict__.update(vars(self) | attributes)
        return new

    def tables(self, start: int = 0) -> Iterator[tuple[str, Table]]:
        """Yield the chosen rows from the `start`-th on, with the name of their part.

        Raises
        ------
        ValueError
            If the rows are not those that were read before.
        """
        first = start if self._mask is None else _place(self._mask, start)
        columns = self.columns
        if self.checked is not None and self.checked.name not in columns:
            columns = [*columns, self.checked.name]
        end = 0
        for part in self.parts:
            begin, end = end, end + part.count()
            if first >= end:
                continue
            place = max(first, begin)
            for table in part.read(columns, place - begin):
                rows = slice(place, place + len(table))
                place = rows.stop
                self._compare(part.name, table, rows)
                chosen = table.select(self.columns)
                if self._mask is not None:
                    chosen = chosen.filter(_arrow_mask(self._mask[rows]))
                if len(chosen):
                    yield part.name, chosen
            if place != end:
                raise ValueError(
                    f"{part.name} had {end - begin:,} rows at first, and {place - begin:,} now"
                )

    def frame(self, columns: Sequence[str]) -> Any:
        """Return all rows of some columns as a polars frame."""
        import polars as pl

        frames = [as_frame(table) for _, table in self.select(columns).tables()]
        if not frames:
            raise ValueError("Found array with 0 sample(s): the table has no rows.")
        return pl.concat(frames).rechunk()

    def _compare(self, name: str, table: Table, rows: slice) -> None:
        """Compare the column that was read before with what is read now."""
        if self.checked is None:
            return
        column = self.checked.name
        known = self.checked[rows]
        now = as_frame(table.select([column]))[column].cast(known.dtype, strict=False)
        if not now.equals(known):
            raise ValueError(
                f"{name} gave other values of {column!r}, or in another order, than when it was "
                "read at first; give the rows an order (sort, maintain_order=True) or write them "
                "to a file"
            )


def _place(mask: NDArray[np.bool_], number: int) -> int:
    """Return the position of the `number`-th row that is chosen."""
    if number == 0:
        return 0
    done = 0
    for first in range(0, len(mask), BATCH_ROWS):
        block = mask[first : first + BATCH_ROWS]
        here = int(block.sum())
        if done + here > number:
            return first + int(np.flatnonzero(block)[number - done])
        done += here
    return len(mask)


def _arrow_mask(mask: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(mask)


def as_frame(table: Table) -> Any:
    """Return a table as a polars frame."""
    import polars as pl

    return pl.from_arrow(table)
