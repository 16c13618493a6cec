"""What a fitted encoder tells of its fields."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._binning import NumericField
from ._crosses import Cross
from ._field import Field, frequencies


class FieldsMixin:
    """Attributes that follow from the fields of columns and of crosses."""

    _fields: list[Field]
    _crosses: list[Cross]

    @property
    def value_kinds_(self) -> list[str]:
        """What each column held in `fit`."""
        return [field.held for field in self._fields]

    @property
    def levels_(self) -> list[pd.DataFrame]:
        """What each index of each field stands for."""
        frames = [field.to_frame() for field in self._fields]
        for cross in self._crosses:
            frames += cross.to_frames(self._fields)
        return frames

    @property
    def positions_(self) -> list[NDArray[np.float64] | None]:
        """Where the bins of each numeric field stand between 0 and 1."""
        return [f.positions() if isinstance(f, NumericField) else None for f in self._all_fields()]

    @property
    def frequencies_(self) -> list[NDArray[np.float64] | None]:
        """Where the levels of each field stand between the rarest and the most frequent ones."""
        fields = self._all_fields()
        return [None if isinstance(f, NumericField) else frequencies(f.counts) for f in fields]

    @property
    def field_columns_(self) -> list[NDArray[np.int64]]:
        """Positions of the columns that each field is made of: several for those of a cross."""
        single = [np.array([j]) for j in range(len(self._fields))]
        return [*single, *(cross.columns for cross in self._crosses for _ in cross.cardinalities)]

    def _all_fields(self) -> Iterator[Field | Cross]:
        """Iterate over the fields of columns and of crosses, in the order of their indices."""
        yield from self._fields
        for cross in self._crosses:
            yield cross
            yield from cross.statistics
