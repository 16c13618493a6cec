"""Numeric columns: which bin a number falls in, and how bins become field indices.

A binning is a *score*, a function of the number alone, and ascending *thresholds* on the score: the
bin of `v` is the number of thresholds below `score(v)`. Logarithmic binnings score a number by its
bin's id; thresholds then stand half-way between the ids that were seen, so that a number whose
bin was never seen falls in the nearest bin that was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._column import Distinct
from ._field import FIRST_KEPT, MISSING, Field, Indices

Floats = NDArray[np.float64]

# What `binning="auto"` calls count-like.
_MAX_DISTINCT_NEGATIVES = 8
_HEAVY_TAIL = 10.0


def score_winner(v: Floats) -> Floats:
    """⌊(ln v)²⌋ for v > 2; every whole number up to 2 has a bin of its own, below those."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_bin = np.floor(np.log(v) ** 2)
    return np.where(v > 2, log_bin, np.floor(v) - 3)


def score_authors(v: Floats) -> Floats:
    """⌊ln(v² + 1)⌋: the sign is lost."""
    return np.floor(2 * np.log(np.hypot(v, 1)))  # v² + 1 would overflow


def score_literal(v: Floats) -> Floats:
    """⌊ln(v²)⌋: the sign is lost; 0, whose logarithm does not exist, has bin -inf to itself."""
    with np.errstate(divide="ignore"):
        return np.floor(2 * np.log(np.abs(v)))


def score_quantile(v: Floats) -> Floats:
    """Return the number itself."""
    return v


SCORES: dict[str, Callable[[Floats], Floats]] = {
    "winner": score_winner,
    "authors": score_authors,
    "literal": score_literal,
    "quantile": score_quantile,
}
BINNINGS = ("auto", *SCORES)
_SIGNLESS = ("authors", "literal")


@dataclass(frozen=True, eq=False)
class NumericField(Field):
    """A fitted numeric column."""

    name = "numeric"
    is_numeric = True
    binning: str
    thresholds: Floats  # (bins - 1,)
    index: Indices  # (bins,) the index of each bin: 0 if it is too rare
    lower: Floats  # (cardinality - 2,) least and greatest value that a kept bin met in fit
    upper: Floats

    def lookup(self, values: Floats) -> Indices:
        """Return the index of each number; NaN is missing."""
        bins = np.searchsorted(self.thresholds, SCORES[self.binning](values))
        bins[np.isnan(values)] = -1
        return np.append(self.index, np.int32(MISSING))[bins]

    def count_strange(self, distinct: Distinct | None, out: Indices) -> int:
        """Count the numbers beyond the range of `fit`."""
        if distinct is None or not len(self.lower):
            return 0
        values = np.abs(distinct.values) if self.binning in _SIGNLESS else distinct.values
        is_beyond = (values < self.lower[0]) | (values > self.upper[-1])
        if not is_beyond.any():
            return 0
        return int(np.count_nonzero(np.append(is_beyond, False)[distinct.codes]))

    def positions(self) -> Floats:
        """Return the share of the values below the middle of each bin; NaN for index 0 and 1."""
        counts = self.counts[FIRST_KEPT:]
        shares = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
        return np.concatenate([[np.nan, np.nan], shares])

    def decode(self, indices: NDArray[np.integer]) -> Any:
        """Return a value that stands for each index: the middle of what its bin met."""
        middle = np.clip(self.lower / 2 + self.upper / 2, self.lower, self.upper)  # if rounded
        middle = np.concatenate([[np.nan, np.nan], middle])
        return _from_seconds(middle, self.kind)[indices]

    def state_dict(self, label: Any) -> dict[str, Any]:
        """Return all attributes."""
        names = ("kind", "counts", "binning", "thresholds", "index", "lower", "upper")
        return {"is_numeric": True} | {name: getattr(self, name) for name in names}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> NumericField:
        """Return the field that had this state."""
        return cls(**{name: value for name, value in state.items() if name != "is_numeric"})

    def to_frame(self) -> pd.DataFrame:
        """Return the indices with the range and the count of their bins."""
        bounds = {
            name: np.concatenate([[np.nan, np.nan], bound])
            for name, bound in (("lower", self.lower), ("upper", self.upper))
        }
        return pd.DataFrame(
            {name: _from_seconds(bound, self.kind) for name, bound in bounds.items()}
            | {"count": self.counts}
        ).rename_axis("index")


def fit_numeric(
    values: Floats,
    counts: NDArray[Any],
    *,
    missing: float,
    kind: str,
    binning: str,
    n_bins: int,
    min_count: float,
) -> NumericField:
    """Fit bins to distinct values and their counts."""
    order = np.argsort(values)
    values, counts = values[order], counts[order]
    if binning == "auto":
        binning = "winner" if is_count_like(values, counts, n_bins) else "quantile"
    score = SCORES[binning](values)
    thresholds = (
        quantile_thresholds(values, counts, n_bins)
        if binning == "quantile"
        else _between(np.unique(score))
    )
    bins = np.searchsorted(thresholds, score)
    n = len(thresholds) + 1 if len(values) else 0
    bin_counts = np.bincount(bins, counts, minlength=n).astype(counts.dtype)
    kept = bin_counts >= min_count
    position = np.abs(values) if binning in _SIGNLESS else values
    lower, upper = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lower, bins, position)
    np.maximum.at(upper, bins, position)
    index = np.where(kept, np.cumsum(kept) + 1, 0).astype(np.int32)
    return NumericField(
        binning=binning,
        kind=kind,
        thresholds=thresholds,
        index=index if n else np.zeros(1, np.int32),
        lower=lower[kept],
        upper=upper[kept],
        counts=np.concatenate([[bin_counts[~kept].sum(), missing], bin_counts[kept]]),
    )


def is_count_like(values: Floats, counts: NDArray[Any], n_bins: int) -> bool:
    """Whether ascending distinct values look like counts of something.

    They do if they are whole numbers, too many for a bin each, with few negative ones (codes such
    as -1 for "unknown") and a heavy tail: the 99th percentile is at least 10 times the median.
    """
    if len(values) <= n_bins or (values != np.floor(values)).any():
        return False
    if np.searchsorted(values, 0) > _MAX_DISTINCT_NEGATIVES:
        return False
    cumulated = np.cumsum(counts)
    median, high = values[np.searchsorted(cumulated, cumulated[-1] * np.array([0.5, 0.99]))]
    return bool(high >= _HEAVY_TAIL * max(median, 1))


def quantile_thresholds(values: Floats, counts: NDArray[Any], n_bins: int) -> Floats:
    """Return thresholds that part ascending distinct values into bins of about equal weight.

    With at most `n_bins` values each has a bin of its own. Else so has every value that weighs at
    least as much as a fair bin of those that have none, and the others share what is left of
    `n_bins`. (After the zeros of a column that is mostly zero, common amounts are heavy too.)
    Counts are cumulated over distinct values, so that a row of weight 2 and two equal rows give the
    same thresholds to the bit.
    """
    between = _between(values)
    if len(values) <= n_bins:
        return between
    heavy = np.zeros(len(values), dtype=bool)
    n_heavy = -1
    while n_heavy < heavy.sum():  # removing heavy values lowers the bound for the others
        n_heavy = int(heavy.sum())
        n_shared = max(n_bins - n_heavy, 1)
        heavy |= counts * n_shared >= counts[~heavy].sum()
    cumulated = np.cumsum(np.where(heavy, 0, counts))
    cuts = np.searchsorted(cumulated, cumulated[-1] * (np.arange(1, n_shared) / n_shared))
    is_cut = heavy[:-1] | heavy[1:]
    is_cut[cuts[cuts < len(between)]] = True
    return between[is_cut]


def _between(values: Floats) -> Floats:
    """Return thresholds t with a ≤ t < b, half-way if rounding allows, for neighbours a < b."""
    a, b = values[:-1], values[1:]
    middle = a / 2 + b / 2
    return np.where((a <= middle) & (middle < b), middle, a)


def _from_seconds(numbers: Floats, kind: str) -> Any:
    """Return seconds as dates (UTC) or durations if that is what they were."""
    if kind == "dates":
        return (numbers * 1e6).round().astype("datetime64[us]")
    if kind == "durations":
        return (numbers * 1e6).round().astype("timedelta64[us]")
    return numbers
