"""From field indices back to values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from ._binning import NumericField
from ._field import Field
from ._levels import CategoricalField, decode
from ._list_field import PAD, ListField

Codes = NDArray[np.int64]


def check_codes(X: ArrayLike, cardinalities: Codes, slots: Codes, names: Sequence[Any]) -> Codes:
    """Return field indices that are within the cardinalities; -1 pads lists.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_encoded)
        The indices.
    cardinalities : ndarray of shape (n_fields,)
        Number of indices of each field.
    slots : ndarray of shape (n_encoded,)
        Field of each column.
    names : sequence
        Name of each field.
    """
    given, n_encoded = check_array(X), len(slots)
    if given.shape[1] != n_encoded:
        raise ValueError(
            f"X has {given.shape[1]} features, but FieldEncoder is expecting {n_encoded} features "
            "as input."
        )
    codes, least = given.astype(np.int64), np.zeros(n_encoded, dtype=np.int64)
    least[len(cardinalities) :] = PAD
    wrong = (codes != given) | (codes < least) | (codes >= cardinalities[slots])
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        field = slots[j]
        largest = cardinalities[field] - 1
        raise ValueError(f"column {names[field]!r} has indices 0 to {largest}, got {given[i, j]}.")
    return codes


def decode_fields(fields: Sequence[Field], codes: Codes, slots: Codes) -> list[Any]:
    """Return the values of each column that the indices stand for.

    Parameters
    ----------
    fields : sequence of Field
        Of the columns.
    codes : ndarray of shape (n_samples, n_encoded)
        Indices.
    slots : ndarray of shape (n_encoded,)
        Field of each column of these.
    """
    values: dict[int, Any] = {}
    levels = {j: f for j, f in enumerate(fields) if type(f) is CategoricalField}
    if levels:
        decoded = decode(list(levels.values()), codes[:, list(levels)])
        values = dict(zip(levels, decoded, strict=True))
    for j, field in enumerate(fields):
        if isinstance(field, NumericField):
            values[j] = field.decode(codes[:, j])
        elif isinstance(field, ListField):
            values[j] = field.decode(codes[:, slots == j])
    return [values[j] for j in range(len(fields))]
