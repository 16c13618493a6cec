"""What a fitted column is: a field, which gives each value of the column an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._columns import Column

Indices = NDArray[np.int32]

RARE, MISSING, FIRST_KEPT = 0, 1, 2
# Up to this many rows, looking some values up twice is cheaper than finding the distinct ones.
SHORT = 64


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
    def table(self) -> pd.DataFrame:
        """Return what each index stands for, and its count."""

    def encode(self, column: Column, out: Indices) -> None:
        """Write the indices of a column."""
        if len(column) <= SHORT:
            out[:] = self.lookup(column.numbers() if self.is_numeric else column.keys())
        else:
            distinct = column.distinct_numbers() if self.is_numeric else column.distinct_keys()
            gather(self.lookup(distinct.values), distinct.codes, out)


def gather(index: Indices, codes: NDArray[np.intp], out: Indices) -> None:
    """Write the index of each code; code -1 wraps around to the appended one for missing."""
    np.take(np.append(index, np.int32(MISSING)), codes, out=out, mode="wrap")
