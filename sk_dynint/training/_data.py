"""Encoded data: rows as field indices, with targets and weights where they are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sk_dynint.engine import Batch


class EncodedData:
    """Rows that a fitted encoder has encoded.

    The classifiers take it in the place of the raw columns ``X``, in `fit`, `partial_fit` and all
    methods that predict: rows that are encoded once can be trained on many times.  Splitters and
    searches of scikit-learn can index it by rows.

    Parameters
    ----------
    indices : array-like of shape (n_samples, n_fields), int
        Field indices, what ``encoder.transform(X)`` returned.
    target : array-like of shape (n_samples,), default=None
        Targets in {0, 1}; the classifiers take labels from ``y`` instead.
    weight : array-like of shape (n_samples,), default=None
        Weights of the rows; None means 1.
    encoder : FieldEncoder, default=None
        The fitted encoder that made the indices; the classifiers need it.

    Raises
    ------
    ValueError
        If the arrays differ in length, or an index is not one of the encoder's.

    Notes
    -----
    A search that splits rows which were encoded together shows the encoder the validation rows too:
    their levels count as known.  Labels are not shown to it.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier, EncodedData, FieldEncoder
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = ["no", "yes", "yes", "no"] * 50
    >>> encoder = FieldEncoder().fit(X)
    >>> data = EncodedData(encoder.transform(X), encoder=encoder)
    >>> len(data), data.shape, data[:3].indices.tolist()
    (200, (200, 2), [[2, 2], [2, 3], [3, 2]])
    >>> models = [DynIntClassifier(v, random_state=0).fit(data, y) for v in ("pin", "da")]
    >>> [model.predict(X.head(2)).tolist() for model in models]  # raw rows, or encoded ones
    [['no', 'yes'], ['no', 'yes']]
    """

    def __init__(
        self,
        indices: ArrayLike | Tensor,
        target: ArrayLike | Tensor | None = None,
        weight: ArrayLike | Tensor | None = None,
        *,
        encoder: Any = None,
    ) -> None:
        self.indices = _tensor(indices)
        self.target = None if target is None else _tensor(target)
        self.weight = None if weight is None else _tensor(weight)
        self.encoder = encoder
        if self.indices.ndim != 2 or self.indices.is_floating_point():
            raise ValueError(
                f"indices have shape {tuple(self.indices.shape)} and type {self.indices.dtype}; "
                "they must be integers (n_samples, n_fields)"
            )
        for name, values in (("target", self.target), ("weight", self.weight)):
            if values is not None and values.shape != (len(self),):
                raise ValueError(
                    f"{name} has shape {tuple(values.shape)}, but there are {len(self)} rows"
                )
        if encoder is not None:
            check_indices(self.indices, encoder.cardinalities_)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of fields."""
        return len(self.indices), self.indices.shape[1]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: Any) -> EncodedData:
        """Select rows by a slice, positions or a mask."""
        if isinstance(rows, tuple):  # scikit-learn indexes arrays by X[rows, ...]
            rows = rows[0]
        if not isinstance(rows, slice):
            rows = torch.as_tensor(np.asarray(rows))
        target, weight = (None if t is None else t[rows] for t in (self.target, self.weight))
        return self._replaced(self.indices[rows], target, weight)

    def with_target(self, target: ArrayLike, weight: ArrayLike) -> EncodedData:
        """Return the same rows with targets and weights."""
        return self._replaced(self.indices, _tensor(target), _tensor(weight))

    def sorted(self) -> EncodedData:
        """Return the rows in an order that does not depend on the present one."""
        order = np.lexsort((self.batch().target.numpy(), *self.indices.numpy().T))
        return self[order]

    def to(self, dtype: torch.dtype) -> EncodedData:
        """Return the same rows with targets and weights in another precision."""
        return self._replaced(self.indices, *self.batch().to(torch.empty(0, dtype=dtype))[1:])

    def batch(self) -> Batch:
        """Return all rows; rows without weights have weight 1."""
        if self.target is None:
            raise ValueError("these rows have no target, so that nothing can be learnt from them")
        weight = torch.ones_like(self.target) if self.weight is None else self.weight
        return Batch(self.indices, self.target, weight)

    def take(self, rows: slice | Tensor) -> Batch:
        """Return the rows at the given positions."""
        if isinstance(rows, slice):
            return Batch(*(t[rows] for t in self.batch()))
        return Batch(*(t.index_select(0, rows) for t in self.batch()))

    def _replaced(
        self, indices: Tensor, target: Tensor | None, weight: Tensor | None
    ) -> EncodedData:
        """Return other rows of the same encoder, without checking them again."""
        new = object.__new__(EncodedData)
        new.indices, new.target, new.weight, new.encoder = indices, target, weight, self.encoder
        return new


def check_indices(indices: Tensor, cardinalities: ArrayLike) -> None:
    """Refuse field indices that an embedding table of these cardinalities does not have."""
    sizes = torch.as_tensor(cardinalities)
    if indices.shape[1] != len(sizes):
        raise ValueError(
            f"indices have {indices.shape[1]} columns, but the encoder has {len(sizes)} fields"
        )
    wrong = ((indices < 0) | (indices >= sizes.to(indices.device))).nonzero()
    if len(wrong):
        row, field = wrong[0].tolist()
        raise ValueError(
            f"field {field} has indices 0 to {int(sizes[field]) - 1}, but row {row} has "
            f"{int(indices[row, field])}"
        )


def _tensor(values: ArrayLike | Tensor) -> Tensor:
    """Return a tensor that shares memory with the array where it can."""
    return values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
