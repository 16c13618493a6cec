"""Crosses: fields of several columns together, made of the indices of these columns.

A combination of indices is one number, its *code*: the indices are its digits, and the
cardinalities their bases. A fitted cross is a sorted array of codes and the indices of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._binning import NumericField
from ._field import FIRST_KEPT, RARE, Field, Indices
from ._state import part_of, prefixed
from ._target import Sample, fit_statistic, means_out_of_fold
from ._threads import column_threads

Codes = NDArray[np.int64]

MAX_CODE = 2**62
_SENTINEL = np.iinfo(np.int64).max
_ROWS = 2**16
"""Rows that a thread encodes at once."""


@dataclass(frozen=True)
class Codebook:
    """Turns combinations of indices into codes, and back.

    `prefixes[j]` is there if the codes of j + 1 digits could exceed `MAX_CODE`. It holds the codes
    of j digits that `fit` met, and the position of a code in it takes its place.
    """

    sizes: Codes  # (k,)
    prefixes: dict[int, Codes]

    @classmethod
    def fit(cls, sizes: Codes, parts: Indices) -> Codebook:
        """Return the codebook for combinations (n, k) of indices below `sizes`."""
        prefixes: dict[int, Codes] = {}
        bound = int(sizes[0])
        for j, size in enumerate(sizes.tolist()[1:], start=1):
            if bound * size > MAX_CODE:
                prefixes[j] = _ended(np.unique(cls(sizes[:j], prefixes).codes(parts[:, :j])))
                bound = len(prefixes[j])
            bound *= size
        return cls(sizes, prefixes)

    def codes(self, parts: Indices) -> Codes:
        """Return the code of each combination (n, k); it is negative if a part is rare or unseen.

        Codes are in the order of the combinations.
        """
        codes = parts[:, 0].astype(np.int64)
        for j in range(1, len(self.sizes)):
            if j in self.prefixes:
                codes = _find(self.prefixes[j], codes)
            codes = codes * self.sizes[j] + parts[:, j]
        codes[(parts == RARE).any(axis=1)] = -1
        return codes

    def parts(self, codes: Codes) -> Codes:
        """Return the combination (n, k) of each code."""
        digits = []
        for j in reversed(range(1, len(self.sizes))):
            codes, digit = np.divmod(codes, self.sizes[j])
            digits.append(digit)
            if j in self.prefixes:
                codes = self.prefixes[j][codes]
        return np.column_stack([codes, *reversed(digits)])


@dataclass(frozen=True, eq=False)
class Cross:
    """The fitted fields of a cross: its levels, and for each class a mean of the target."""

    columns: NDArray[np.int64]  # (k,) ascending positions
    codebook: Codebook
    codes: Codes  # (n_levels + 1,) ascending; the last one belongs to no combination
    indices: Indices  # (n_levels + 1, n_fields) of each code; the last row is 0
    counts: NDArray[Any]  # (cardinality,) of the field of levels
    statistics: list[NumericField]
    classes: list[str]  # what the statistics are of, if there are more than two classes

    @property
    def n_fields(self) -> int:
        """Number of fields."""
        return 1 + len(self.statistics)

    @property
    def cardinalities(self) -> list[int]:
        """Number of indices of each field."""
        return [len(self.counts), *(field.cardinality for field in self.statistics)]

    def encode(self, matrix: Indices) -> Indices:
        """Return the indices (n, n_fields) of rows, given those of the columns."""
        codes = self.codebook.codes(matrix[:, self.columns])
        return self.indices[_find(self.codes, codes)]

    def names(self, columns: Sequence[Any]) -> list[str]:
        """Return the name of each field, given those of the columns."""
        name = ":".join(str(columns[j]) for j in self.columns)
        mean = f"target mean of {name}"
        return [
            name,
            *([f"{mean}, class {c}" for c in self.classes] or [mean] * (self.n_fields - 1)),
        ]

    def to_frames(self, columns: Sequence[Field]) -> list[pd.DataFrame]:
        """Return what each index of each field stands for, given the fields of the columns."""
        kept = np.flatnonzero(self.indices[:, 0])
        kept = kept[np.argsort(self.indices[kept, 0])]
        parts = self.codebook.parts(self.codes[kept])
        levels = zip(
            *(_readable(columns[j])[part] for j, part in zip(self.columns, parts.T, strict=True)),
            strict=True,
        )
        level = pd.Series([None, np.nan, *levels], dtype=object)
        frame = pd.DataFrame({"level": level, "count": self.counts}).rename_axis("index")
        return [frame, *(field.to_frame() for field in self.statistics)]

    def equals(self, other: Cross) -> bool:
        """Whether two crosses are of the same columns, and have the same levels and bins."""
        mine, theirs = self.state_dict(), other.state_dict()
        return mine.keys() == theirs.keys() and all(
            np.array_equal(value, theirs[name]) for name, value in mine.items()
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the cross as arrays, numbers and strings."""
        names = ("columns", "codes", "indices", "counts", "classes")
        state = {name: getattr(self, name) for name in names}
        state |= {"sizes": self.codebook.sizes, "n_statistics": len(self.statistics)}
        state |= {f"prefixes.{j}": codes for j, codes in self.codebook.prefixes.items()}
        for i, field in enumerate(self.statistics):
            state |= prefixed(field.state_dict(None), f"statistics.{i}.")
        return state

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Cross:
        """Return the cross that had this state."""
        prefixes = {int(j): codes for j, codes in part_of(state, "prefixes.").items()}
        return cls(
            codebook=Codebook(state["sizes"], prefixes),
            statistics=[
                NumericField.from_state(part_of(state, f"statistics.{i}."))
                for i in range(state["n_statistics"])
            ],
            **{name: state[name] for name in ("columns", "codes", "indices", "counts", "classes")},
        )


def fit_crosses(
    crosses: Sequence[Sequence[int]],
    matrix: Indices,
    fields: Sequence[Field],
    sample: Sample,
    **options: Any,
) -> list[Cross]:
    """Fit crosses to the indices of the columns, and fill in those of the crosses' fields.

    Parameters
    ----------
    crosses : list of tuple
        Positions of the columns of each.
    matrix : ndarray of shape (n_samples, n_columns + n_fields), int32
        Indices of the columns; the other columns are written, by cross-fitted statistics.
    fields : list of Field
        Of the columns.
    sample : Sample
        Weights, folds and classes of the rows.
    **options
        Of :func:`fit_cross`.
    """
    sizes = np.array([field.cardinality for field in fields], dtype=np.int64)

    def work(i: int) -> Cross:
        first = len(fields) + i * sample.n_fields
        cross, indices = fit_cross(crosses[i], matrix, sizes, sample, **options)
        matrix[:, first : first + sample.n_fields] = indices
        return cross

    with column_threads(len(matrix)) as map_crosses:
        return list(map_crosses(work, range(len(crosses))))


def fit_cross(
    columns: Sequence[int],
    matrix: Indices,
    sizes: Codes,
    sample: Sample,
    *,
    n_bins: int,
    min_count: float,
    min_count_numeric: float,
) -> tuple[Cross, Indices]:
    """Fit a cross; return it, and the indices (n_samples, n_fields) of the rows of `fit`."""
    positions = np.array(sorted(columns), dtype=np.int64)
    parts = matrix[:, positions]
    counted = parts if sample.weight is None else parts[sample.weight > 0]
    codebook = Codebook.fit(sizes[positions], counted)
    codes, level = np.unique(codebook.codes(parts), return_inverse=True)
    is_known = codes >= 0
    index, counts = _rank(sample.count(level, len(codes)), is_known, min_count)
    by_level, by_row, statistics = [index], [index[level]], []
    if sample.indicators:
        weights = sample.by_fold(level, len(codes))
    for indicator in sample.indicators:
        sums = sample.by_fold(level, len(codes), indicator)
        bins, indices = fit_statistic(
            sums, weights, is_known, n_bins=n_bins, min_count=min_count_numeric
        )
        by_level.append(indices[:, -1])
        by_row.append(indices[level, sample.fold])
        statistics.append(bins)
    table = np.column_stack(by_level)
    used = table.any(axis=1)
    cross = Cross(
        columns=positions,
        codebook=codebook,
        codes=_ended(codes[used]),
        indices=np.append(table[used], np.zeros((1, table.shape[1]), np.int32), axis=0),
        counts=counts,
        statistics=statistics,
        classes=sample.classes,
    )
    return cross, np.column_stack(by_row)


def encode_crosses(crosses: Sequence[Cross], matrix: Indices, n_columns: int) -> None:
    """Fill in the indices of the fields of crosses, which come after those of the columns."""
    if not crosses:
        return

    def work(start: int) -> None:
        rows, first = matrix[start : start + _ROWS], n_columns
        for cross in crosses:
            rows[:, first : first + cross.n_fields] = cross.encode(rows)
            first += cross.n_fields

    with column_threads(len(matrix)) as map_blocks:
        list(map_blocks(work, range(0, len(matrix), _ROWS)))


def encode_means(cross: Cross, matrix: Indices, sample: Sample) -> Indices:
    """Return the indices (n, n_statistics) of means that are made of the rows of a sample anew.

    Parameters
    ----------
    cross : Cross
        Fitted on all of these rows; its bins stay what they are.
    matrix : ndarray of shape (n_samples, n_columns or more), int32
        Indices of the columns.
    sample : Sample
        Rows whose labels count.  Theirs are cross-fitted; others have the means of all of them.
    """
    codes, level = np.unique(cross.codebook.codes(matrix[:, cross.columns]), return_inverse=True)
    weights, made = sample.by_fold(level, len(codes)), []
    for indicator, bins in zip(sample.indicators, cross.statistics, strict=True):
        means = means_out_of_fold(sample.by_fold(level, len(codes), indicator), weights)
        means[codes < 0] = np.nan
        indices = np.where(np.isnan(means), np.int32(RARE), bins.lookup(means))
        made.append(indices[level, sample.fold])
    return np.column_stack(made)


def _rank(
    counts: NDArray[Any], is_known: NDArray[np.bool_], min_count: float
) -> tuple[Indices, NDArray[Any]]:
    """Return the index of each level, the most frequent first, and the count of each index."""
    is_kept = is_known & (counts >= min_count) & (counts > 0)
    kept = np.flatnonzero(is_kept)
    kept = kept[np.argsort(-counts[kept], kind="stable")]
    index = np.zeros(len(counts), dtype=np.int32)
    index[kept] = np.arange(FIRST_KEPT, FIRST_KEPT + len(kept))
    rare = np.sort(counts[~is_kept]).sum()  # fractions: the same sum in whatever order they came
    return index, np.array([rare, 0, *counts[kept]], dtype=counts.dtype)


def _ended(codes: Codes) -> Codes:
    """Return ascending codes without negative ones, and with a last one that nothing has."""
    return np.append(codes[codes >= 0], _SENTINEL)


def _find(known: Codes, codes: Codes) -> Codes:
    """Return the positions of codes among those known, see :func:`_ended`; -1 if unknown."""
    position = np.searchsorted(known, codes)
    return np.where(known[position] == codes, position, -1)


def _readable(field: Field) -> NDArray[np.object_]:
    """Return what each index of a field stands for: a level, a number or an interval."""
    frame = field.to_frame()
    if "level" in frame:
        return frame["level"].to_numpy()
    bins = [
        lower if lower == upper else pd.Interval(lower, upper, closed="both")
        for lower, upper in zip(frame["lower"][2:], frame["upper"][2:], strict=True)
    ]
    readable = np.empty(len(frame), dtype=object)
    readable[:] = list(chain([None, np.nan], bins))
    return readable
