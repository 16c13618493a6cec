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
