"""Categorical columns: which levels are kept, and their indices.

category-encoders' `OrdinalEncoder` decodes. It would also encode, but row by row; here each
distinct value is looked up once in the same mapping, which gives the same indices (a test compares
the two) in a tenth of the time or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from category_encoders import OrdinalEncoder
from numpy.typing import NDArray

from sk_dynint._warnings import warnings_ignored

from ._arrow import arrow_keys, arrow_positions, is_arrow_backed
from ._cells import from_key, is_mixed
from ._column import Column, Distinct, to_keys
from ._field import DIRECT_LOOKUP_MAX_ROWS, FIRST_KEPT, RARE, Field, Indices
from ._state import pack_keys, part_of, prefixed, unpack_keys


@dataclass(frozen=True, eq=False)
class CategoricalField(Field):
    """A fitted categorical column.

    `levels` starts with NaN, so that a level's index is its position plus one: NaN, which is
    missing, has 1, and what is not found (position -1) has 0.
    """

    name = "categorical"
    is_numeric = False
    levels: pd.Index  # (cardinality - 1,)

    def encode(self, column: Column, out: Indices) -> float:
        """Write the indices of a column; return the share of those unseen."""
        # Arrow looks up faster than it finds distinct values.
        if column.codes is None and self._suits_arrow(column.values):
            out[:] = self.lookup(column.values)
            return self.strange_share(None, out)
        return super().encode(column, out)

    def count_strange(self, distinct: Distinct | None, out: Indices) -> int:
        """Count the cells that have index 0."""
        return int(np.count_nonzero(out == RARE))

    def lookup(self, values: Any) -> Indices:
        """Return the index of each key, or of each string of an Arrow array; NaN is missing."""
        return (self._positions(values) + 1).astype(np.int32)

    def _positions(self, values: Any) -> NDArray[np.integer]:
        """Return positions in `levels`, by the way that is fastest for such values."""
        if self._suits_arrow(values):
            with suppress(UnicodeEncodeError):  # a level that Arrow cannot hold
                return arrow_positions(self.levels, values)
        keys = arrow_keys(values) if is_arrow_backed(values) else values
        if len(keys) <= DIRECT_LOOKUP_MAX_ROWS:
            return np.array([self.index_of(key) - 1 for key in keys], dtype=np.intp)
        return self.levels.get_indexer(pd.Index(keys, dtype=object))

    def _suits_arrow(self, values: Any) -> bool:
        """Whether there are so many strings that Arrow may well hash all levels for them.

        The index of levels is hashed once and for all, but takes longer for each value.
        """
        n_least = max(len(self.levels), DIRECT_LOOKUP_MAX_ROWS + 1)
        return self.kind == "strings" and is_arrow_backed(values) and len(values) >= n_least

    def index_of(self, key: Any, default: int = RARE) -> int:
        """Return the index of a key, `default` if it is none of the levels."""
        try:
            return 1 + self.levels.get_loc(key)
        except KeyError:
            return default

    def state_dict(self, label: Any) -> dict[str, Any]:
        """Return kind, counts and levels."""
        keys = prefixed(pack_keys(self.levels[1:], label), "levels.")
        return {"is_numeric": False, "kind": self.kind, "counts": self.counts} | keys

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> CategoricalField:
        """Return the field that had this state."""
        keys = unpack_keys(part_of(state, "levels."))
        levels = np.concatenate([np.array([np.nan], dtype=object), keys])
        index = pd.Index(levels, dtype=object)
        return cls(kind=state["kind"], counts=state["counts"], levels=index)

    def to_frame(self) -> pd.DataFrame:
        """Return the level and the count of each index."""
        level = pd.Series([None, *map(from_key, self.levels)], dtype=object)
        return pd.DataFrame({"level": level, "count": self.counts}).rename_axis("index")


def fit_levels(
    values: Any, counts: NDArray[Any], *, missing: float, kind: str, min_count: float
) -> tuple[CategoricalField, Indices]:
    """Keep the levels that are frequent enough; return the field and the index of each value."""
    is_kept = (counts >= min_count) & (counts > 0)
    rare = np.sort(counts[~is_kept]).sum()  # fractions: the same sum whatever order they came in
    kept = np.flatnonzero(is_kept)
    keys = to_keys(values[kept], kind)
    order = _order(values[kept], keys, kind)
    order = order[np.argsort(-counts[kept][order], kind="stable")]
    kept, keys = kept[order], keys[order]
    index = np.zeros(len(counts), dtype=np.int32)
    index[kept] = np.arange(FIRST_KEPT, FIRST_KEPT + len(kept))
    levels = np.empty(1 + len(keys), dtype=object)
    levels[0], levels[1:] = np.nan, keys
    field = CategoricalField(
        kind=kind,
        levels=pd.Index(levels, dtype=object),
        counts=np.concatenate([[rare, missing], counts[kept]]).astype(counts.dtype),
    )
    return field, index


def make_ordinal_encoder(fields: Sequence[CategoricalField]) -> OrdinalEncoder:
    """Return a fitted category-encoders encoder with the mappings of the fields, in their order.

    It shares the levels of the fields, but gives unseen ones the index -1. It is fitted on one row
    of missing values, because `fit` transforms what it is given.
    """
    mapping = [
        {
            "col": j,
            "mapping": pd.Series(np.arange(1, 1 + len(field.levels)), index=field.levels),
            "data_type": object,
        }
        for j, field in enumerate(fields)
    ]
    encoder = OrdinalEncoder(cols=list(range(len(fields))), mapping=mapping)
    # category-encoders reads a pandas option that pandas 3 deprecates.
    with warnings_ignored("'future.no_silent_downcasting'"):
        return encoder.fit(pd.DataFrame([[np.nan] * len(fields)], dtype=object))


def _order(values: Any, keys: NDArray[np.object_], kind: str) -> NDArray[np.intp]:
    """Return the ascending order of levels, given as they are stored and as keys."""
    if kind != "booleans" and not is_mixed(kind):
        with suppress(TypeError):  # objects that have no order
            return values.argsort()
    return _mixed_order(keys)


def _mixed_order(keys: NDArray[np.object_]) -> NDArray[np.intp]:
    """Return the order of keys that do not compare: numbers first, then by type and text."""
    sort_keys = [_sort_key(key) for key in keys]
    return np.array(sorted(range(len(keys)), key=sort_keys.__getitem__), dtype=np.intp)


def _sort_key(key: Any) -> tuple[Any, ...]:
    if isinstance(key, Real):
        return (0, key, "")
    return (1, 0, f"{type(key).__name__} {from_key(key)!r}")


def decode(fields: Sequence[CategoricalField], indices: NDArray[np.int64]) -> list[pd.Series]:
    """Return the levels of field indices, one series per field."""
    try:
        # In category-encoders, with pandas 2.
        with warnings_ignored("Dtype inference on a pandas object"):
            frame = make_ordinal_encoder(fields).inverse_transform(pd.DataFrame(indices))
        columns = [frame[j] for j in frame.columns]
    except UnicodeEncodeError:  # a lone surrogate: a string, but none that pandas would infer
        columns = [
            np.append(np.nan, field.levels.to_numpy())[indices[:, j]]
            for j, field in enumerate(fields)
        ]
    return [_inferred(pd.Series([from_key(k) for k in keys], dtype=object)) for keys in columns]


def _inferred(levels: pd.Series) -> pd.Series:
    """Return levels with the type that holds them, unless it would round whole numbers."""
    try:
        inferred = levels.infer_objects()
    except UnicodeEncodeError:  # a lone surrogate, which Arrow cannot hold
        return levels
    if inferred.dtype == np.float64 and any(
        isinstance(level, int) and abs(level) > 2**53 for level in levels
    ):
        return levels
    return inferred
