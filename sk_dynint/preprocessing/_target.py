"""The target as the encoder sees it: folds of the rows, and means of classes out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_consistent_length, column_or_1d

from ._binning import NumericField, fit_numeric
from ._counts import summation_order
from ._field import RARE, Indices

N_FOLDS = 5
SMOOTHING = 10.0
"""Weight of the overall mean in the mean of a level, in rows."""

_SEED = 0
"""Of the permutation that deals rows to folds."""


@dataclass(frozen=True)
class Sample:
    """The weights of the rows of `fit`, their folds, and the classes whose means are wanted.

    Rows of weight 0 have a fold to themselves, so that all other rows are those that count.
    """

    weight: NDArray[np.float64] | None  # (n,)
    order: NDArray[np.intp] | None  # in which to add weights
    fold: NDArray[np.intp]  # (n,) 0 to N_FOLDS
    indicators: list[NDArray[np.bool_]]  # for each mean: which rows are of its class
    classes: list[str]  # their names; none for the greater one of two

    @classmethod
    def of(cls, n_samples: int, y: Any, weight: NDArray[np.float64] | None) -> Sample:
        """Return rows with their folds; without `y` there are no means."""
        counts = np.ones(n_samples, dtype=bool) if weight is None else weight > 0
        fold = np.full(n_samples, N_FOLDS)
        fold[counts] = np.random.default_rng(_SEED).permutation(counts.sum()) % N_FOLDS
        indicators, classes = ([], []) if y is None else class_indicators(y, counts)
        return cls(weight, summation_order(weight), fold, indicators, classes)

    def without(self, rows: NDArray[np.intp]) -> Sample:
        """Return the sample in which some more rows do not count."""
        weight = np.ones(len(self.fold)) if self.weight is None else self.weight.copy()
        fold = self.fold.copy()
        weight[rows], fold[rows] = 0, N_FOLDS
        return replace(self, weight=weight, order=summation_order(weight), fold=fold)

    @property
    def n_fields(self) -> int:
        """Number of fields of a cross: one of its levels, and the means."""
        return 1 + len(self.indicators)

    def count(self, level: NDArray[np.intp], n_levels: int) -> NDArray[Any]:
        """Return the weight of each level; it does not depend on the order of the rows."""
        if self.weight is None or self.order is None:
            return np.bincount(level, self.weight, minlength=n_levels)
        return np.bincount(level[self.order], self.weight[self.order], minlength=n_levels)

    def by_fold(
        self, level: NDArray[np.intp], n_levels: int, of: NDArray[np.bool_] | None = None
    ) -> NDArray[Any]:
        """Return the weight of each level in each fold, or that of some rows only."""
        weight = self.weight
        if of is not None:
            weight = of.astype(np.float64) if weight is None else of * weight
        shape = n_levels, N_FOLDS + 1
        place = np.ravel_multi_index((level, self.fold), shape)
        return np.bincount(place, weight, minlength=n_levels * shape[1]).reshape(shape)


def class_indicators(
    y: Any, counts: NDArray[np.bool_]
) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """Return for each class which rows are of it, and its name; of two classes the greater only.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: strings, bools or integers.
    counts : ndarray of shape (n_samples,)
        Which rows count; the others are of no class.

    Raises
    ------
    ValueError
        If `y` has another length, missing labels, or fractions.
    """
    labels = column_or_1d(np.asarray(y))
    check_consistent_length(counts, labels)
    codes = np.full(len(labels), -1)
    codes[counts], classes = pd.factorize(labels[counts], sort=True)
    if n_missing := int((codes[counts] < 0).sum()):
        raise ValueError(f"Input y contains NaN: {n_missing} of {len(codes)} labels are missing")
    if classes.dtype.kind == "f" and (fractions := classes[classes != np.floor(classes)]).size:
        raise ValueError(
            f"y must hold classes for target_statistics=True, got numbers such as {fractions[0]}; "
            "pass classes, or target_statistics=False"
        )
    if len(classes) <= 2:
        return [codes == len(classes) - 1], []
    return [codes == c for c in range(len(classes))], [str(c) for c in classes]


def fit_statistic(
    sums: NDArray[Any], weights: NDArray[Any], is_known: NDArray[np.bool_], **options: Any
) -> tuple[NumericField, Indices]:
    """Place bins on the mean of a class in each level, out of fold.

    Parameters
    ----------
    sums, weights : ndarray of shape (n_levels, N_FOLDS + 1)
        Weight of the class and of all rows by level and fold.
    is_known : ndarray of shape (n_levels,)
        Whether the level has a mean; one that has not counts in the overall mean only.
    **options
        Of :func:`fit_numeric`.

    Returns
    -------
    bins : NumericField
    indices : ndarray of shape (n_levels, N_FOLDS + 1), int32
        Index of the mean that each level has without each fold. The last fold, without which all
        rows that count are left, is for prediction.
    """
    means = means_out_of_fold(sums, weights)
    means[~is_known] = np.nan
    has_mean = (weights > 0) & ~np.isnan(means)
    values, place = np.unique(means[has_mean], return_inverse=True)
    counts = np.bincount(place, weights[has_mean], minlength=len(values)).astype(weights.dtype)
    bins = fit_numeric(values, counts, missing=0, kind="numbers", binning="quantile", **options)
    bins.counts[RARE] += weights[~has_mean].sum()
    return bins, np.where(np.isnan(means), np.int32(RARE), bins.lookup(means))


def means_out_of_fold(sums: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the smoothed mean of each level without the rows of each fold; NaN if none are left.

    ``(s + m p) / (n + m)`` with the level's sum s and weight n without the fold, m = `SMOOTHING`,
    and the mean p of all rows. (A p without the fold would tell the folds apart, and a row of the
    class by a lower p.) The sums are not differences, which would be rounded.
    """
    others = 1.0 - np.eye(weights.shape[1])
    s, n = (np.einsum("lf,fk->lk", each.astype(float), others) for each in (sums, weights))
    p = sums.sum() / weights.sum()
    return np.where(n > 0, (s + SMOOTHING * p) / (n + SMOOTHING), np.nan)
