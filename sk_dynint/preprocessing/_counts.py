"""How often each value of a column occurs: all that levels and bins are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._cells import NO_VALUES, joined_kinds, kinds_of
from ._columns import Column, to_keys


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
    """

    label: Any
    kind: str
    is_numeric: bool
    values: Any
    counts: NDArray[Any]
    missing: float

    @property
    def has_values(self) -> bool:
        """Whether any cell holds a value."""
        return self.kind != NO_VALUES

    def keys(self) -> NDArray[Any]:
        """Return the distinct values as they are compared: numbers, or keys of levels."""
        if self.is_numeric:
            return self.values
        return to_keys(self.values, self.kind)

    def compact(self) -> Counts:
        """Return the same counts with keys instead of values, to be kept."""
        return Counts(
            self.label, self.kind, self.is_numeric, self.keys(), self.counts, self.missing
        )

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both parts.

        Raises
        ------
        ValueError
            If the parts hold values of different kinds.
        """
        missing = self.missing + other.missing
        for part, empty in ((self, other), (other, self)):
            if not empty.has_values:
                return Counts(
                    self.label, part.kind, part.is_numeric, part.keys(), part.counts, missing
                )
        kinds, others = kinds_of(self.kind), kinds_of(other.kind)
        if self.is_numeric != other.is_numeric or not kinds & others:
            raise ValueError(
                f"column {self.label!r} holds {self.kind} in one part and {other.kind} in the "
                "other; read both in the same way"
            )
        keys = np.concatenate([self.keys(), other.keys()])
        counts = np.concatenate([self.counts, other.counts])
        codes, distinct = pd.factorize(keys)
        total = np.zeros(len(distinct), dtype=counts.dtype)
        np.add.at(total, codes, counts)
        kind = joined_kinds(kinds | others)
        return Counts(self.label, kind, self.is_numeric, np.asarray(distinct), total, missing)


def count_column(
    column: Column,
    *,
    is_numeric: bool,
    weight: NDArray[np.float64] | None,
    order: NDArray[np.intp] | None,
) -> tuple[Counts, NDArray[np.intp]]:
    """Count the values of a column; return where they stand in it too, -1 for missing cells.

    `order` is the one in which weights are added, see :func:`summation_order`.
    """
    codes, values = column.distinct_numbers() if is_numeric else column.distinct()
    ordered, ordered_weight = codes, weight
    if order is not None and weight is not None:
        ordered, ordered_weight = codes[order], weight[order]
    counts = np.bincount(ordered + 1, ordered_weight, minlength=len(values) + 1)
    kind = column.kind if counts[1:].any() else NO_VALUES
    return Counts(column.label, kind, is_numeric, values, counts[1:], counts[0]), codes


def summation_order(weight: NDArray[np.float64] | None) -> NDArray[np.intp] | None:
    """Return the order in which to add weights so that the order of rows does not matter.

    Sums of whole numbers are exact in any order; fractions are added from the smallest up.
    """
    if weight is None or (weight == np.floor(weight)).all():
        return None
    return np.argsort(weight, kind="stable")
