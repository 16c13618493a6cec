"""What a fitted column is: a field, which gives each value of the column an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._cells import NO_VALUES, NUMERIC_KINDS, kinds_of
from ._column import Column, Distinct

Indices = NDArray[np.int32]

RARE, MISSING, FIRST_KEPT = 0, 1, 2
DIRECT_LOOKUP_MAX_ROWS = 64
"""Up to so many rows, all values are looked up: finding the distinct ones first takes longer."""

MIN_LEVELS = 5
"""With fewer levels, how frequent they are tells nothing that they do not tell themselves."""

STRANGE_MIN_ROWS = 100
"""With fewer values that are present, it says little that `fit` never met most of them."""


@dataclass(frozen=True, eq=False)
class Field(ABC):
    """A fitted column: the kind of its values and the count of each index."""

    name: ClassVar[str]
    is_numeric: ClassVar[bool]
    kind: str
    counts: NDArray[Any]  # (cardinality,)

    is_list = False  # no annotation: no field of the dataclass
    width = 1
    """Most values that a cell holds."""

    @property
    def held(self) -> str:
        """What the cells held in `fit`."""
        return self.kind

    @property
    def cardinality(self) -> int:
        """Number of indices."""
        return len(self.counts)

    @abstractmethod
    def lookup(self, values: Any) -> Indices:
        """Return the index of each value; NaN is missing."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return what each index stands for, and its count."""

    def equals(self, other: Field) -> bool:
        """Whether two fields have the same kind, counts and levels or bins."""
        mine, theirs = vars(self), vars(other)
        return type(self) is type(other) and all(
            value.equals(theirs[name])
            if isinstance(value, pd.Index)
            else np.array_equal(value, theirs[name])
            for name, value in mine.items()
        )

    @abstractmethod
    def state_dict(self, label: Any) -> dict[str, Any]:
        """Return the field as arrays, numbers and strings; `label` is for errors."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the field that had this state."""

    def check_kind(self, column: Column) -> None:
        """Refuse a column that holds something else than in `fit`, instead of calling it unseen."""
        known = set(NUMERIC_KINDS) if self.is_numeric else kinds_of(column.kind)
        if self.kind != NO_VALUES:
            known = kinds_of(self.kind)
        fits = kinds_of(column.kind) <= known and column.is_list == self.is_list
        if not fits and not column.is_all_missing():
            what = "" if self.is_list else f"it is {self.name} and "
            raise ValueError(f"{column} holds {column.holds}, but {what}held {self.held} in fit.")

    def encode(self, column: Column, out: Indices) -> float:
        """Write the indices of a column.

        Returns
        -------
        float
            Share of the present values that `fit` never met; 0 for few rows.
        """
        if len(column) <= DIRECT_LOOKUP_MAX_ROWS:
            out[:] = self.lookup(column.numbers() if self.is_numeric else column.keys())
            return 0.0
        distinct = column.distinct_numbers() if self.is_numeric else column.distinct_keys()
        gather(self.lookup(distinct.values), distinct.codes, out)
        return self.strange_share(distinct, out)

    def strange_share(self, distinct: Distinct | None, out: Indices) -> float:
        """Return the share of the present values that `fit` never met; 0 if they are few."""
        n_present = np.count_nonzero(out != MISSING)
        if n_present < STRANGE_MIN_ROWS:
            return 0.0
        return self.count_strange(distinct, out) / n_present

    @abstractmethod
    def count_strange(self, distinct: Distinct | None, out: Indices) -> int:
        """Count the values that `fit` never met."""

    def usual_share(self) -> float:
        """Return the share of the rows of `fit` that have index 0."""
        present = self.counts.sum() - self.counts[MISSING]
        return float(self.counts[RARE] / present) if present else 1.0


def gather(index: Indices, codes: NDArray[np.intp], out: Indices) -> None:
    """Write the index of each factorize code; code -1 takes the appended index, that of missing."""
    np.take(np.append(index, np.int32(MISSING)), codes, out=out, mode="wrap")


def frequencies(counts: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return where levels stand between the rarest and the most frequent one, given their counts.

    Index 0 stands with the rarest, and index 1 (missing) nowhere.
    """
    kept = np.log1p(counts[FIRST_KEPT:])
    if len(kept) < MIN_LEVELS or not np.ptp(kept) > 0:
        return None
    return np.concatenate([[0, np.nan], (kept - kept.min()) / np.ptp(kept)])
