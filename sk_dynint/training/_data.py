"""Encoded data: rows as field indices, with targets and weights where they are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from torch import Tensor

from sk_dynint._process import lazy_property
from sk_dynint.engine import Batch, MemberBatch


class EncodedData:
    """Rows that a fitted encoder has encoded.

    The classifiers take it in the place of the raw columns ``X``, in `fit`, `partial_fit` and all
    methods that predict: rows that are encoded once can be trained on many times.  Splitters and
    searches of scikit-learn can index it by rows.

    Parameters
    ----------
    indices : array-like of shape (n_samples, n_encoded), int
        Field indices, what ``encoder.transform(X)`` returned; for training rows of an encoder with
        means of the target (`crosses`) what ``encoder.fit_transform(X, y)`` returned.
    target : array-like of shape (n_samples,), default=None
        Positions of the classes, from 0; the classifiers take labels from ``y`` instead.
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
    their levels count as known.  Labels are not shown to it, unless it has `crosses`: means of the
    target are made of the labels of validation rows, too.  Search over raw columns then.

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

    window: int | None = None
    """Rows that are shuffled at once, if they are on the disk; None means all."""

    def __init__(
        self,
        indices: ArrayLike,
        target: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        *,
        encoder: Any = None,
    ) -> None:
        self.indices = _array(indices)
        self.target = None if target is None else _array(target)
        self.weight = None if weight is None else _array(weight)
        self.encoder = encoder
        if self.indices.ndim != 2 or self.indices.dtype.kind not in "iu":
            raise ValueError(
                f"indices have shape {self.indices.shape} and type {self.indices.dtype}; "
                "they must be integers (n_samples, n_fields)"
            )
        for name, values in (("target", self.target), ("weight", self.weight)):
            if values is not None and values.shape != (len(self),):
                raise ValueError(f"{name} has shape {values.shape}, but there are {len(self)} rows")
        if encoder is not None:
            slots = getattr(encoder, "slots_", None)
            check_indices(self.indices, encoder.cardinalities_, slots)

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
        target, weight = (None if t is None else t[rows] for t in (self.target, self.weight))
        return self._replaced(self.indices[rows], target, weight)

    def with_target(self, target: ArrayLike, weight: ArrayLike | None) -> EncodedData:
        """Return the same rows with targets and weights."""
        weight = None if weight is None else _array(weight)
        return self._replaced(self.indices, _array(target), weight)

    def sorted(self) -> EncodedData:
        """Return the rows in an order that does not depend on the present one."""
        return self[np.lexsort((self.targets(), *self.indices.T))]

    def astype(self, dtype: DTypeLike) -> EncodedData:
        """Return the same rows with targets and weights in another precision."""
        with np.errstate(over="ignore"):  # a weight that becomes infinite shows in the loss
            target, weight = self.targets().astype(dtype), self.weights().astype(dtype)
        return self._replaced(self.indices, target, weight)

    def weights(self) -> NDArray[np.floating]:
        """Return the weights; rows without weights have weight 1."""
        return np.broadcast_to(1.0, len(self)) if self.weight is None else self.weight

    @lazy_property
    def batch(self) -> Batch:
        """All rows as tensors, which share the memory of the arrays."""
        arrays = self.indices, self.targets(), self.weights()
        return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))

    def take(self, rows: slice | Tensor) -> Batch:
        """Return the rows at the given positions as tensors."""
        if isinstance(rows, slice):
            return Batch(*(t[rows] for t in self.batch))
        return Batch(*(t.index_select(0, rows) for t in self.batch))

    def targets(self) -> NDArray[np.floating]:
        """Return the targets, or say that there are none."""
        if self.target is None:
            raise ValueError("these rows have no target, so that nothing can be learnt from them")
        return self.target

    def _replaced(self, indices: Any, target: Any, weight: Any) -> EncodedData:
        """Return other rows of the same encoder, without checking them again."""
        new = object.__new__(EncodedData)
        new.indices, new.target, new.weight, new.encoder = indices, target, weight, self.encoder
        new.window = self.window
        return new

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tensors, which are the same numbers, out of copies and pickles."""
        return {name: value for name, value in vars(self).items() if name != "batch"}


class Own(NamedTuple):
    """What some columns of encoded data hold for the rows of one member."""

    columns: NDArray[np.intp]  # (k,)
    values: NDArray[np.int32]  # (n_rows, k)


class Selection:
    """Some rows of encoded data, which are not copied.

    Parameters
    ----------
    data : EncodedData
        All rows.
    rows : ndarray of int
        Positions of those that belong here.
    window : int, default=None
        Rows that are shuffled at once; None means all.
    own : Own, default=None
        Columns that hold something else here.
    """

    def __init__(
        self,
        data: EncodedData,
        rows: NDArray[np.intp],
        window: int | None = None,
        own: Own | None = None,
    ) -> None:
        self.data = data
        self.rows = torch.from_numpy(rows)
        self.window = window
        self._own = None if own is None else tuple(map(torch.from_numpy, own))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: slice | Tensor) -> Batch:
        """Return the rows at the given positions among those that belong here."""
        batch = self.data.take(self.rows[rows])
        if self._own is not None:
            columns, values = self._own
            batch.indices[:, columns] = values[rows]
        return batch


class MemberData:
    """Encoded data, of which each member of an ensemble has its own rows.

    Parameters
    ----------
    data : EncodedData
        All rows.
    rows : sequence of ndarray of int
        Positions of each member's rows.
    own : sequence of Own, default=None
        Columns that hold something else for each member.
    """

    def __init__(
        self,
        data: EncodedData,
        rows: Sequence[NDArray[np.intp]],
        own: Sequence[Own] | None = None,
    ) -> None:
        self.data = data
        self.rows = rows
        self.own = own

    @classmethod
    def divided(
        cls,
        data: EncodedData,
        parts: Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]],
        own: Sequence[Own] | None = None,
    ) -> tuple[MemberData, MemberData]:
        """Return training and validation data from the row numbers of both for each member.

        `own` are columns of all rows that hold something else for each member.
        """
        train, valid = (
            cls(
                data,
                rows,
                own and [Own(o.columns, o.values[r]) for o, r in zip(own, rows, strict=True)],
            )
            for rows in zip(*parts, strict=True)
        )
        return train, valid

    def __len__(self) -> int:
        """Return the greatest number of rows of a member."""
        return max(map(len, self.rows))

    @lazy_property
    def parts(self) -> list[Selection]:
        """Rows of each member."""
        window = self.data.window
        each = None if window is None else window // len(self.rows)
        own: Sequence[Own | None] = self.own or [None] * len(self.rows)
        pairs = zip(self.rows, own, strict=True)
        return [Selection(self.data, rows, each, values) for rows, values in pairs]

    def astype(self, dtype: DTypeLike) -> MemberData:
        """Return the same rows with targets and weights in another precision."""
        return MemberData(self.data.astype(dtype), self.rows, self.own)

    def take(self, rows: slice) -> MemberBatch:
        """Return the rows at the given positions of each member."""
        return MemberBatch(part.take(rows) for part in self.parts)

    @property
    def batch(self) -> MemberBatch:
        """All rows of each member."""
        return self.take(slice(None))

    def weights(self) -> NDArray[np.floating]:
        """Return the weights, one member after the other."""
        return self.data.weights()[np.concatenate(self.rows)]

    def targets(self) -> NDArray[np.floating]:
        """Return the targets, one member after the other."""
        return self.data.targets()[np.concatenate(self.rows)]


def _array(values: ArrayLike) -> NDArray[Any]:
    """Return an array; a copy of one that may not be written to, which torch would warn about."""
    array = np.asarray(values)
    return array if array.flags.writeable else array.copy()


def check_indices(
    indices: NDArray[np.integer], cardinalities: ArrayLike, slots: ArrayLike | None = None
) -> None:
    """Refuse field indices that an embedding table of these cardinalities does not have.

    `slots` are the fields of the columns: each once, then those of further elements of lists, which
    may have -1 in their place.
    """
    sizes = np.asarray(cardinalities)
    fields = np.arange(len(sizes)) if slots is None else np.asarray(slots)
    if indices.shape[1] != len(fields):
        raise ValueError(
            f"indices have {indices.shape[1]} columns, but the encoder has {len(sizes)} fields"
            + (f" in {len(fields)} columns" if len(fields) > len(sizes) else "")
        )
    if not len(indices):
        return
    sizes, least = sizes[fields], np.where(np.arange(len(fields)) < len(sizes), 0, -1)
    wrong = (indices.min(0) < least) | (indices.max(0) >= sizes)
    if wrong.any():
        place = int(wrong.argmax())
        column = indices[:, place]
        row = int(((column < least[place]) | (column >= sizes[place])).argmax())
        raise ValueError(
            f"field {fields[place]} has indices 0 to {sizes[place] - 1}, but row {row} has "
            f"{column[row]}"
        )
