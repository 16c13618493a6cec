"""Which columns are worth a cross: what a cross tells of the target beyond its columns alone.

What the columns tell one by one is a logistic regression on the log-odds of each, after which every
column may shift the logits of its levels once more.  A level of a cross shifts them by what rows of
*other folds* show, and the gain is the logloss that this saves.  The cross that gains most is
confirmed on rows that had no part in any choice.  Then the logits take it in, so that the next one
has to tell something new, and crosses of one more column become candidates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from ._field import Indices
from ._threads import column_threads

Floats = NDArray[np.float64]
Columns = tuple[int, ...]

N_FOLDS = 5
"""Folds that choose; one more confirms."""

SHRINKAGE = 20.0
"""Rows that need no shift, which each level has besides its own."""

MAX_SHIFT = 3.0
"""Greatest shift of a logit."""

MAX_STEPS = 4
"""Shifts by the same levels, at most."""

MAX_ROWS = 16_000, 100_000
"""Rows that all pairs are tried on, and those that are left."""

MAX_LEFT = 32
"""Pairs that are tried again after each choice."""

MAX_REFUSED = 3
"""Crosses that are not confirmed, after which the search ends: of many, one is by chance."""

MIN_GAIN = 5e-4
"""Logloss that a cross has to save."""


class Candidate(NamedTuple):
    """A cross, and the mean logloss that it saves."""

    columns: Columns
    gain: float
    """On rows of the folds that choose."""
    confirmed: float = np.nan
    """On the other rows."""
    error: float = np.nan
    """Standard error of `confirmed`."""

    @property
    def is_kept(self) -> bool:
        """Whether the other rows confirm the gain, or half of it at least.

        A much lower one tells that a cross stands for something that other rows do not have, as the
        day of the month and the day of the week together tell the date, and later rows have others.
        """
        return self.confirmed > max(self.error, self.gain / 2)


@dataclass(frozen=True)
class _Rows:
    """Rows to try crosses on, with the logits that are known of them so far.

    What depends on the rows alone is computed once, for all crosses that are tried on them.
    """

    indices: Indices
    fold: NDArray[np.intp]
    weight: Floats
    indicators: Floats  # (n_classes, n) of each class; of two classes only the second
    logits: Floats  # (n_classes, n)

    def head(self, n: int) -> _Rows:
        """Return the first rows."""
        fold, weight = self.fold[:n], self.weight[:n]
        return _Rows(self.indices[:n], fold, weight, self.indicators[:, :n], self.logits[:, :n])

    @cached_property
    def chooses(self) -> NDArray[np.bool_]:
        """Whether each row is of the folds that choose."""
        return self.fold < N_FOLDS

    @cached_property
    def losses(self) -> Floats:
        """Loss of each row, its weight included, summed over the classes."""
        losses = np.logaddexp(0, self.logits) - self.indicators * self.logits
        return losses.sum(axis=0) * self.weight

    @cached_property
    def teaching(self) -> Floats:
        """Weight of each row as a teacher of others; rows that confirm teach nothing."""
        return np.where(self.chooses, self.weight, 0.0)

    @cached_property
    def slopes(self) -> list[tuple[Floats, np.floating]]:
        """For each class the slope of each row's loss, negated, and the mean curvature."""
        slopes = []
        for indicator, logits in zip(self.indicators, self.logits, strict=True):
            probability = expit(logits)
            curvature = np.average(probability * (1 - probability), weights=self.teaching)
            slopes.append(((indicator - probability) * self.teaching, curvature))
        return slopes

    def shifted(self, shifts: Floats) -> _Rows:
        """Return the same rows with other logits."""
        return replace(self, logits=self.logits + shifts)

    def gain(self, shifts: Floats) -> float:
        """Mean loss that shifts save on the rows of the folds that choose."""
        saved = (self.losses - self.shifted(shifts).losses)[self.chooses]
        return float(saved.sum() / self.weight[self.chooses].sum())

    def confirmed(self, shifts: Floats) -> tuple[float, float]:
        """Return the mean loss that shifts save on the other rows, and its standard error."""
        confirms = ~self.chooses & (self.weight > 0)
        saved = (self.losses - self.shifted(shifts).losses)[confirms]
        total = self.weight[confirms].sum()
        return float(saved.sum() / total), float(np.sqrt(len(saved)) * saved.std() / total)


def find_crosses(
    indices: Indices,
    target: NDArray[np.float64],
    weight: Floats | None = None,
    *,
    confirming: tuple[Indices, Floats, Floats] | None = None,
    max_crosses: int = 6,
    max_columns: int = 3,
) -> list[Candidate]:
    """Choose crosses one after the other, the one that gains most first.

    Parameters
    ----------
    indices : ndarray of shape (n_samples, n_columns), int32
        Encoded columns.
    target : ndarray of shape (n_samples,)
        Classes as numbers.
    weight : ndarray of shape (n_samples,), default=None
        Weights of the rows; None means 1.
    confirming : tuple of (indices, target, weight), default=None
        Rows to confirm the gains on; None sets a sixth of the rows aside.
    max_crosses, max_columns : int
        Number of crosses, and of columns in one, at most.

    Returns
    -------
    list of Candidate
        In the order of their choice, those that were not confirmed included.
    """
    n_few, n_rows = MAX_ROWS
    order = np.random.default_rng(0).permutation(len(target))[:n_rows]
    fold = np.arange(len(order)) % (N_FOLDS + (confirming is None))
    weight = np.ones(len(target)) if weight is None else weight
    indices, target, weight = indices[order], target[order], weight[order]
    if confirming is not None:
        fold = np.append(fold, np.full(len(confirming[1]), N_FOLDS))
        indices = np.concatenate([indices, confirming[0]])
        target = np.concatenate([target, confirming[1]])
        weight = np.concatenate([weight, confirming[2]])
    rows = _additive(indices, target, weight, fold)
    few = rows.head(n_few)
    varying = [j for j in range(indices.shape[1]) if indices[:, j].min() < indices[:, j].max()]
    left = [each.columns for each in _ranked(few, combinations(varying, 2))[:MAX_LEFT]]
    chosen: list[Candidate] = []
    n_kept = 0
    while left and n_kept < max_crosses and len(chosen) - n_kept < MAX_REFUSED:
        best, *others = _ranked(rows, left)
        if best.gain < MIN_GAIN:
            break
        shifts = _shifts(rows, best.columns)
        best = Candidate(*best[:2], *rows.confirmed(shifts))
        chosen.append(best)
        left = [each.columns for each in others]
        if best.is_kept:
            n_kept += 1
            rows = _taken_in(rows, best.columns)
            if len(best.columns) < max_columns:
                longer = {tuple(sorted({*best.columns, j})) for j in varying}
                left += sorted(longer - {each.columns for each in chosen} - set(left))
    return chosen


def _additive(indices: Indices, target: Floats, weight: Floats, fold: NDArray[np.intp]) -> _Rows:
    """Predict rows by single columns."""
    classes = np.unique(target)
    indicators = np.equal.outer(classes if len(classes) > 2 else classes[1:], target).astype(float)
    rates = np.average(indicators, axis=1, weights=weight)
    base = np.repeat(logit(rates)[:, None], len(target), axis=1)
    rows = _Rows(indices, fold, weight, indicators, base)
    columns: list[Columns] = [(j,) for j in range(indices.shape[1])]
    features = np.stack([_shifts(rows, column) for column in columns], axis=2)
    some = rows.chooses
    models = [
        LogisticRegression(max_iter=200).fit(z[some], y[some], weight[some])
        for z, y in zip(features, indicators, strict=True)
    ]
    logits = [m.decision_function(z) for m, z in zip(models, features, strict=True)]
    rows = replace(rows, logits=np.stack(logits))
    for candidate in _ranked(rows, columns):
        rows = _taken_in(rows, candidate.columns)
    return rows


def _taken_in(rows: _Rows, columns: Columns) -> _Rows:
    """Shift the logits by levels, again and again while it helps: one shift is a cautious step."""
    for _ in range(MAX_STEPS):
        shifts = _shifts(rows, columns)
        if not rows.gain(shifts) > 0:
            break
        rows = rows.shifted(shifts)
    return rows


def _ranked(rows: _Rows, crosses: Iterable[Columns]) -> list[Candidate]:
    """Return crosses with what each gains beside the present logits, the best one first."""

    def candidate(columns: Columns) -> Candidate:
        return Candidate(columns, rows.gain(_shifts(rows, columns)))

    with column_threads(len(rows.fold)) as map_crosses:
        return sorted(map_crosses(candidate, crosses), key=lambda each: -each.gain)


def _shifts(rows: _Rows, columns: Columns) -> Floats:
    """Return how other folds' rows of the same level would shift each logit, (n_classes, n).

    One step of Newton's method for an offset of the level, from the present logits.
    """
    level, n_levels = _levels(rows.indices[:, columns])
    size, place = n_levels * (N_FOLDS + 1), level * (N_FOLDS + 1) + rows.fold

    def others(values: Floats) -> Floats:
        sums = np.bincount(place, values, size).reshape(n_levels, -1)
        return sums.sum(axis=1, keepdims=True) - sums

    number = others(rows.teaching) + SHRINKAGE
    shifts = [others(slope) / (curvature * number) for slope, curvature in rows.slopes]
    return np.stack([shift.clip(-MAX_SHIFT, MAX_SHIFT).ravel()[place] for shift in shifts])


def _levels(parts: Indices) -> tuple[NDArray[np.intp], int]:
    """Return a number for each combination of indices (n, k), and a bound on them."""
    codes, n_codes = np.zeros(len(parts), dtype=np.intp), 1
    for part in parts.T:
        size = int(part.max()) + 1
        codes, n_codes = codes * size + part, n_codes * size
        if n_codes > 4 * len(parts):  # most codes have no rows
            distinct, codes = np.unique(codes, return_inverse=True)
            n_codes = len(distinct)
    return codes, n_codes
