"""The encoder over again, in loops over cells, as slow and plain as can be."""

import math
import numbers
from collections import Counter

import numpy as np
import pandas as pd


def bin_of(v, binning):
    """The bin of one number, by the formula as it is written; any labels that sort will do."""
    if binning == "winner":  # 3 Idiots: special levels up to 2
        return (1, math.floor(math.log(v) ** 2)) if v > 2 else (0, math.floor(v))
    if binning == "authors":
        return (0, math.floor(math.log(v * v + 1)))
    if binning == "literal":
        return (0, 0) if v == 0 else (1, math.floor(math.log(v * v)))
    raise ValueError(binning)


def is_missing(v):
    return v is None or v is pd.NA or v is pd.NaT or (isinstance(v, float) and math.isnan(v))


def same_level(v):
    """What two cells share if they hold one level: 1 and 1.0, not 1 and True or 1 and "1"."""
    if isinstance(v, bool | np.bool_):
        return ("bool", bool(v))
    if isinstance(v, numbers.Real):
        return ("number", float(v))
    return ("text", str(v)) if isinstance(v, str) else (type(v).__name__, v)


def encode_levels(fit_cells, cells, min_count, weights=None):
    """Indices of `cells` and the table [(level, count), ...] after a fit on `fit_cells`."""
    weights = [1] * len(fit_cells) if weights is None else weights
    count, missing = Counter(), 0
    for cell, weight in zip(fit_cells, weights, strict=True):
        if is_missing(cell):
            missing += weight
        elif weight > 0:
            count[same_level(cell)] += weight
    kept = sorted((k for k in count if count[k] >= min_count), key=lambda k: (-count[k], k))
    rare = sum(count.values()) - sum(count[k] for k in kept)
    index = {key: 2 + i for i, key in enumerate(kept)}
    indices = [1 if is_missing(c) else index.get(same_level(c), 0) for c in cells]
    return indices, [(None, rare), (None, missing)] + [(key[1], count[key]) for key in kept]


def encode_bins(fit_cells, cells, binning):
    """Indices of numbers whose bins were all seen."""
    seen = sorted({bin_of(v, binning) for v in fit_cells if not is_missing(v)})
    return [1 if is_missing(v) else 2 + seen.index(bin_of(v, binning)) for v in cells]


def encode_cross(fit_rows, rows, min_count, weights=None):
    """Indices of combinations of indices, and the table [(combination, count), ...]."""
    count = Counter()
    for row, weight in zip(fit_rows, weights or [1] * len(fit_rows), strict=True):
        count[tuple(row)] += weight
    known = [row for row in count if 0 not in row and count[row] > 0]
    kept = sorted(
        (row for row in known if count[row] >= min_count), key=lambda row: (-count[row], row)
    )
    rare = sum(count[row] for row in count if row not in kept)
    indices = [kept.index(tuple(row)) + 2 if tuple(row) in kept else 0 for row in rows]
    return indices, [(None, rare), (None, 0)] + [(row, count[row]) for row in kept]


def target_means(rows, is_of_class, weights, cross_fitted):
    """Smoothed share of a class among the rows of each row's combination that are not in its fold.

    Rows of weight 0 are in no fold. NaN if the others do not hold the combination, or if a part of
    it is index 0. If not `cross_fitted`, all rows are taken in, as for prediction.
    """
    counted = [i for i, weight in enumerate(weights) if weight > 0]
    dealt = np.random.default_rng(0).permutation(len(counted)) % 5
    fold = dict(zip(counted, dealt.tolist(), strict=True)) if cross_fitted else {}
    overall = sum(w * v for w, v in zip(weights, is_of_class, strict=True)) / sum(weights)
    means = []
    for i, row in enumerate(rows):
        s = n = 0.0
        for j in counted:
            if rows[j] == row and (i not in fold or fold[j] != fold[i]):
                s, n = s + weights[j] * is_of_class[j], n + weights[j]
        means.append(math.nan if n == 0 or 0 in row else (s + 10 * overall) / (n + 10))
    return means
