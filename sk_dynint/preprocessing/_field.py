"""What a fitted column is: a field, which gives each value of the column an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._columns import Column

Indices = NDArray[np.int32]

RARE, MISSING, FIRST_KEPT = 0, 1, 2
DIRECT_LOOKUP_MAX_ROWS = 64
"""Up to so many rows, all values are looked up: finding the distinct ones first takes longer."""


@dataclass(frozen=True, eq=False)
class Field(ABC):
    """A fitted column: the kind of its values and the count of each index."""

    is_numeric: ClassVar[bool]
    kind: str
    counts: NDArray[Any]  # (cardinality,)

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

    def encode(self, column: Column, out: Indices) -> None:
        """Write the indices of a column."""
        if len(column) <= DIRECT_LOOKUP_MAX_ROWS:
            out[:] = self.lookup(column.numbers() if self.is_numeric else column.keys())
        else:
            distinct = column.distinct_numbers() if self.is_numeric else column.distinct_keys()
            gather(self.lookup(distinct.values), distinct.codes, out)


def gather(index: Indices, codes: NDArray[np.intp], out: Indices) -> None:
    """Write the index of each factorize code; code -1 takes the appended index, that of missing."""
    np.take(np.append(index, np.int32(MISSING)), codes, out=out, mode="wrap")
