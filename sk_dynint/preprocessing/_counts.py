"""How often each value of a column occurs: all that levels and bins are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._cells import NO_VALUES, joined_kinds, kinds_of
from ._column import Column, to_keys
from ._lists import ListColumn


@dataclass(frozen=True, eq=False)
class Counts:
    """The weighted count of each distinct value of a column; counts of parts can be added.

    The sum of the counts of two parts is that of the whole: exactly if the weights are whole
    numbers or multiples of a power of two, otherwise up to the rounding of sums in another order.

    Parameters
    ----------
    label : object
        Name or position of the column.
    kind : str
        What the values are, see :class:`Column`.
    is_numeric : bool
        Whether they are binned; levels otherwise.
    values : array
        The distinct values: numbers as float64, others as they are stored.
    counts : ndarray of shape (n_values,)
        Their counts, whole numbers without weights.
    missing : float
        Count of the missing cells.
    width : int, default=None
        Length of the longest list in a column of lists; None for other columns.
    """

    label: Any
    kind: str
    is_numeric: bool
    values: Any
    counts: NDArray[Any]
    missing: float
    width: int | None = None

    @property
    def has_values(self) -> bool:
        """Whether any cell holds a value."""
        return self.kind != NO_VALUES

    @property
    def holds(self) -> str:
        """What the cells hold, for errors."""
        return self.kind if self.width is None else f"lists of {self.kind}"

    def keys(self) -> NDArray[Any]:
        """Return the distinct values as they are compared: numbers, or keys of levels."""
        if self.is_numeric:
            return self.values
        return to_keys(self.values, self.kind)

    def compact(self) -> Counts:
        """Return the same counts with keys instead of values, to be kept."""
        return replace(self, values=self.keys())

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both parts.

        Raises
        ------
        ValueError
            If the parts hold values of different kinds.
        """
        missing = self.missing + other.missing
        width = max((part.width for part in (self, other) if part.width), default=None)
        for part, empty in ((self, other), (other, self)):
            if not empty.has_values:
                return replace(part.compact(), missing=missing, width=width)
        kinds, others = kinds_of(self.kind), kinds_of(other.kind)
        are_alike = (self.is_numeric, self.width is None) == (other.is_numeric, other.width is None)
        if not are_alike or not kinds & others:
            raise ValueError(
                f"column {self.label!r} holds {self.holds} in one part and {other.holds} in the "
                "other; read both in the same way"
            )
        keys = np.concatenate([self.keys(), other.keys()])
        counts = np.concatenate([self.counts, other.counts])
        codes, distinct = pd.factorize(keys)
        total = np.zeros(len(distinct), dtype=counts.dtype)
        np.add.at(total, codes, counts)
        kind = joined_kinds(kinds | others)
        values = np.asarray(distinct)
        return Counts(self.label, kind, self.is_numeric, values, total, missing, width)


def count_column(
    column: Column,
    *,
    is_numeric: bool,
    weight: NDArray[np.float64] | None,
    order: NDArray[np.intp] | None,
) -> tuple[Counts, NDArray[np.intp]]:
    """Count the values of a column; return where they stand in it too, -1 for missing cells.

    `order` is the one in which weights are added, see :func:`summation_order`.  An element that a
    list has twice counts once.
    """
    codes, values = column.distinct_numbers() if is_numeric else column.distinct()
    counted, width = codes, None
    if isinstance(column, ListColumn):
        places, width = column.once_a_row(codes), column.width
        counted = codes[places]
        if weight is not None:
            weight = weight[column.owners[places]]
            order = summation_order(weight)
    if order is not None and weight is not None:
        counted, weight = counted[order], weight[order]
    counts = np.bincount(counted + 1, weight, minlength=len(values) + 1)
    kind = column.kind if counts[1:].any() else NO_VALUES
    return Counts(column.label, kind, is_numeric, values, counts[1:], counts[0], width), codes


def summation_order(weight: NDArray[np.float64] | None) -> NDArray[np.intp] | None:
    """Return the order in which to add weights so that the order of rows does not matter.

    Sums of whole numbers are exact in any order; fractions are added from the smallest up.
    """
    if weight is None or (weight == np.floor(weight)).all():
        return None
    return np.argsort(weight, kind="stable")
