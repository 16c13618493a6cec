"""What a fitted column of lists is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._column import Column
from ._field import Indices
from ._levels import CategoricalField
from ._lists import ListColumn, as_lists

PAD = -1
"""Index in the place of an element that a list does not have."""

MAX_WIDTH = 2**20
"""Most elements that a state may claim, for which there is room in every encoded row."""


@dataclass(frozen=True, eq=False)
class ListField(CategoricalField):
    """The field of the elements of lists, and the number of elements that it has room for."""

    name = "list"
    is_list = True
    width: int = 1

    @property
    def held(self) -> str:
        """What the cells held in `fit`."""
        return f"lists of {self.kind}"

    def encode_lists(self, column: Column, out: Indices) -> tuple[float, Indices]:
        """Write the index of the first element of each list; return those of the others, padded.

        Returns
        -------
        share : float
            See `encode`.
        others : ndarray of shape (n, width - 1)
        """
        lists = as_lists(column).cut(self.width)
        indices = np.empty(len(lists.owners), dtype=np.int32)
        share = self.encode(lists, indices)
        return share, padded(lists, indices, self.width, out)

    def decode(self, indices: NDArray[np.integer]) -> pd.Series:
        """Return a list of levels for each row of indices (n, width); missing if it has none."""
        levels = self.to_frame()["level"].to_numpy()
        lists = [[levels[i] for i in row if i != PAD] for row in indices]
        kept = (None if all(pd.isna(v) for v in elements) else elements for elements in lists)
        return pd.Series(list(kept), dtype=object)

    def state_dict(self, label: Any) -> dict[str, Any]:
        """Return kind, counts, levels and width."""
        return super().state_dict(label) | {"width": self.width}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return the field that had this state."""
        if not 1 <= state["width"] <= MAX_WIDTH:
            raise ValueError(f"lists of {state['width']:,} elements; allowed are {MAX_WIDTH:,}")
        field: Any = super().from_state(state)
        return replace(field, width=state["width"])


def padded(lists: ListColumn, indices: Indices, width: int, out: Indices) -> Indices:
    """Write the indices of first elements to `out`; return those of the others (n, width - 1)."""
    matrix = np.full((len(lists), width), PAD, dtype=np.int32)
    matrix[lists.owners, lists.places] = indices
    out[:] = matrix[:, 0]
    return matrix[:, 1:]
