"""Means of the target for members of an ensemble, which must not know the labels they stop by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._crosses import encode_means
from ._field import Indices
from ._target import Sample


def means_without(
    encoder: Any,
    indices: Indices,
    y: Any,
    sample_weight: NDArray[np.float64] | None,
    held_out: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[np.intp], list[Indices]]:
    """Return the means of the target of rows that an encoder was fitted to, without some labels.

    Parameters
    ----------
    encoder : FieldEncoder
        Fitted to the rows, with means of the target of crosses.
    indices : ndarray of shape (n_samples, n_encoded)
        What `fit_transform` returned.
    y : array-like of shape (n_samples,)
        Labels.
    sample_weight : ndarray of shape (n_samples,) or None
        How often each row counts.
    held_out : list of ndarray
        For each member the rows whose labels it must not know.

    Returns
    -------
    columns : ndarray of shape (n_means,)
        Columns of the encoded matrix that hold means.
    means : list of ndarray of shape (n_samples, n_means)
        What they hold for each member: as cross-fitted as they are in `indices`.
    """
    columns = np.array([j for j, kind in enumerate(encoder.field_kinds_) if kind == "statistic"])
    sample = Sample.of(len(indices), y, sample_weight)
    means = []
    for rows in held_out:
        others = sample.without(rows)
        made = [encode_means(cross, indices, others) for cross in encoder._crosses]
        means.append(np.concatenate(made, axis=1))
    return columns, means
