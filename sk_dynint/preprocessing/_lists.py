"""Columns of lists: cells that hold several values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sk_dynint._warnings import warn

from ._cells import NUMERIC_KINDS, kind_of_cell, plain_cell
from ._column import Column, plain_values

LISTS = (list, set, frozenset, np.ndarray)
"""Types of cells that hold several values.  A tuple is one value, as it is for pandas."""

LIST_KINDS = {f"{each.__name__} objects" for each in LISTS}
"""What such cells are, for a column that holds other cells too."""

_ORDERED = (*NUMERIC_KINDS, "strings", "bytes")
"""Kinds of values of which one is less than the other."""


@dataclass(frozen=True)
class ListColumn(Column):
    """A column of lists; values and codes are those of the elements, one list after the other.

    A missing or empty list has one element, which is missing.
    """

    lengths: NDArray[np.intp] = field(kw_only=True)  # (n,), each at least 1

    is_list = True

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def holds(self) -> str:
        """What the cells hold, for errors."""
        return f"lists of {self.kind}"

    @property
    def is_numeric(self) -> bool:
        """Whether the column is numeric: lists are not."""
        return False

    @property
    def width(self) -> int:  # type: ignore[override]
        """Length of the longest list."""
        return int(self.lengths.max(initial=1))

    @property
    def owners(self) -> NDArray[np.intp]:
        """Row of each element."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def places(self) -> NDArray[np.intp]:
        """Place of each element in its list, from 0."""
        starts = self.lengths.cumsum() - self.lengths
        return np.arange(self.lengths.sum()) - np.repeat(starts, self.lengths)

    def rows(self, mask: NDArray[np.bool_]) -> ListColumn:
        """Return the column with only the rows in `mask`."""
        return self._with(np.repeat(mask, self.lengths), self.lengths[mask])

    def cut(self, width: int) -> ListColumn:
        """Return the column without what lists have beyond `width` elements."""
        if self.width <= width:
            return self
        return self._with(self.places < width, np.minimum(self.lengths, width))

    def _with(self, elements: NDArray[np.bool_], lengths: NDArray[np.intp]) -> ListColumn:
        """Return the column of some elements, in lists of these lengths."""
        column: Any = super().rows(elements)
        return replace(column, lengths=lengths)

    def once_a_row(self, codes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the positions of the elements, but of equal ones of a list the first only."""
        n_codes = codes.max(initial=-1) + 2
        return np.unique(self.owners * n_codes + codes, return_index=True)[1]


def as_lists(column: Column) -> ListColumn:
    """Return a column as one of lists, with one element each if they are none."""
    if isinstance(column, ListColumn):
        return column
    ones = np.ones(len(column), dtype=np.intp)
    return ListColumn(column.label, column.values, column.kind, column.codes, lengths=ones)


def holds_lists(cells: NDArray[np.object_]) -> bool:
    """Whether the first cell that is not missing is a list."""
    return isinstance(next((c for c in cells if not _is_missing(c)), None), LISTS)


def read_lists(label: Any, cells: NDArray[np.object_]) -> ListColumn:
    """Return a column of lists.

    Raises
    ------
    TypeError
        If a cell is something else, or an element is a collection itself.
    """
    lists = [_elements(label, i, cell) for i, cell in enumerate(cells)]
    flat = np.empty(sum(map(len, lists)), dtype=object)
    flat[:] = list(chain.from_iterable(lists))
    for kind in dict.fromkeys(map(type, flat)):
        if issubclass(kind, (*LISTS, dict)):
            raise TypeError(
                f"column {label!r} holds lists of {kind.__name__} objects; the elements of a list "
                "must be strings, numbers or the like"
            )
    lengths = np.fromiter(map(len, lists), dtype=np.intp)
    return ListColumn(label, *plain_values(flat), lengths=lengths)


def split_strings(column: Column, separator: str) -> ListColumn:
    """Return a column of strings as one of lists, of what stands between separators.

    Raises
    ------
    ValueError
        If the column holds anything but strings.
    """
    if column.is_all_missing():
        return as_lists(column)
    if isinstance(column, ListColumn) or column.kind != "strings":
        raise ValueError(
            f"separators has {separator!r} for {column}, which holds {column.holds}, not strings"
        )
    codes, values = column.distinct()
    parts: list[list[Any]] = [[p for p in str(v).split(separator) if p] or [None] for v in values]
    parts.append([None])  # of missing cells, whose code is -1
    found, levels = pd.factorize(np.array(list(chain.from_iterable(parts)), dtype=object))
    sizes = np.array([len(part) for part in parts])
    lengths = sizes[codes]
    lists = ListColumn(column.label, levels, "strings", lengths=lengths)
    firsts = (sizes.cumsum() - sizes)[codes]
    return replace(lists, codes=found[np.repeat(firsts, lengths) + lists.places])


def shortened(columns: Sequence[Column], max_length: int) -> list[Column]:
    """Return columns whose lists have `max_length` elements at most; warn if some have more."""
    if too_long := {column.label: column.width for column in columns if column.width > max_length}:
        warn(
            f"columns hold lists of up to so many elements: {too_long}; of longer ones the first "
            f"{max_length} count (max_list_length)"
        )
    return [
        column.cut(max_length) if isinstance(column, ListColumn) else column for column in columns
    ]


def _elements(label: Any, row: int, cell: Any) -> Sequence[Any]:
    """Return what a cell holds."""
    if isinstance(cell, set | frozenset):
        return sorted(cell, key=_sort_key) or [None]
    if isinstance(cell, np.ndarray) and cell.ndim == 1:
        return (list(cell) if cell.dtype.kind in "mM" else cell.tolist()) or [None]
    if isinstance(cell, list):
        return cell or [None]
    if _is_missing(cell):
        return [None]
    what = f"an array of shape {cell.shape}" if isinstance(cell, np.ndarray) else repr(cell)
    raise TypeError(
        f"column {label!r} holds lists, but {what} in row {row}; every cell must be a list, a set, "
        "a one-dimensional array, or missing"
    )


def _sort_key(element: Any) -> tuple[str, Any]:
    """Return what the elements of a set are sorted by: it has no order, and 1 stands for 1.0."""
    if _is_missing(element):
        return "", ""
    kind, plain = kind_of_cell(element), plain_cell(element)
    return kind, plain if kind in _ORDERED else repr(plain)


def _is_missing(cell: Any) -> bool:
    return not isinstance(cell, LISTS) and pd.api.types.is_scalar(cell) and bool(pd.isna(cell))
