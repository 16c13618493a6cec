"""What the vectors of a field's indices have in common: numbers nearby, levels of like frequency.

A row of the table learns from the rows of data that hold its level, which are few.  What it shares
with others is learnt from more of them, and added to the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

MAX_KNOTS = 1024
"""Most knots of a number, of all scales together."""


class Shared(NamedTuple):
    """What is to be shared, and by which indices; see the two modules."""

    positions: Sequence[ArrayLike | None] = ()
    n_knots: tuple[int, ...] = ()
    frequencies: Sequence[ArrayLike | None] = ()
    popularity: float = 0.0

    @classmethod
    def of(
        cls, encoder: Any, n_knots: int | Sequence[int] | None, popularity: float
    ) -> Shared | None:
        """Return what the options of a classifier ask for, of an encoder that can tell."""
        if not hasattr(encoder, "positions_"):
            return None
        scales = knots_by_scale(n_knots)
        return cls(encoder.positions_, scales, encoder.frequencies_, popularity)

    def numeric(
        self, cardinalities: Sequence[int], embedding_dim: int, init_std: float
    ) -> PiecewiseLinear | None:
        """Return the module of numbers, if there is anything to share."""
        if not self.n_knots:
            return None
        options = self.n_knots, embedding_dim, init_std
        module = PiecewiseLinear(self.positions, cardinalities, *options)
        return module if len(module.columns) else None

    def frequency(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        init_std: float,
        slots: Sequence[int] | None = None,
    ) -> FrequencyVectors | None:
        """Return the module of levels, if there is anything to share."""
        if not self.popularity or all(f is None for f in self.frequencies):
            return None
        scale = self.popularity / len(cardinalities) ** 0.5
        options = scale, embedding_dim, init_std, slots
        return FrequencyVectors(self.frequencies, cardinalities, *options)


class PiecewiseLinear(nn.Module):
    r"""What the bins of a number have in common with their neighbours.

    Bin i of a field, at :math:`p_i` between 0 and 1, has the vector

    .. math:: \sum_J \sum_{j=0}^{J-1} \max(0, 1 - |(J - 1)\, p_i - j|)\; k^{(J)}_j

    with J knots k at equal distances, for each J that is asked for and smaller than the number of
    bins.  Indices that stand nowhere (rare, unseen, missing) have the zero vector.

    Parameters
    ----------
    positions : sequence of (array-like of shape (cardinality,) or None)
        Where the indices of each field stand between 0 and 1, NaN where they stand nowhere; None
        for a field whose indices have no order.
    cardinalities : sequence of int
        Number of indices of each field.
    n_knots : sequence of int
        Each J, at least 2.
    embedding_dim : int
        D.
    init_std : float
        Standard deviation of the knots' normal start.

    Notes
    -----
    Shape: (B, C) int, rows of the table -> (B, S, D), for the S fields that have knots; they are in
    `columns`.

    References
    ----------
    Y. Gorishniy, I. Rubachev and A. Babenko, *On Embeddings for Numerical Features in Tabular Deep
    Learning*, NeurIPS 2022: piecewise-linear encodings, in the place of bins; here they stand
    beside them.
    """

    columns: Tensor
    basis: Tensor  # (S, greatest cardinality, sum of J)
    shifts: Tensor  # (S,) from rows of each field to places in the flat vectors
    places: Tensor  # (rows of the table,) the same for all rows; one beyond the last for most

    def __init__(
        self,
        positions: Sequence[ArrayLike | None],
        cardinalities: Sequence[int],
        n_knots: Sequence[int],
        embedding_dim: int,
        init_std: float,
    ) -> None:
        super().__init__()
        bases = {
            field: knot_weights(np.asarray(given, dtype=np.float64), n_knots)
            for field, given in enumerate(positions)
            if given is not None
        }
        bases = {field: basis for field, basis in bases.items() if basis.any()}
        longest = max(map(len, bases.values()), default=0)
        basis = np.zeros((len(bases), longest, sum(n_knots)))
        for out, own in zip(basis, bases.values(), strict=True):
            out[: len(own)] = own
        ends = np.cumsum(np.asarray(cardinalities, dtype=np.int64))
        places = np.full(ends[-1], len(bases) * longest, dtype=np.int32)
        shifts = np.zeros(len(bases), dtype=np.int64)
        for i, (field, own) in enumerate(bases.items()):
            first = ends[field] - len(own)
            places[first : ends[field]] = np.arange(len(own)) + i * longest
            shifts[i] = i * longest - first
        buffers = {
            "columns": torch.tensor(list(bases), dtype=torch.int64),
            "basis": torch.from_numpy(basis).to(torch.get_default_dtype()),
            "shifts": torch.from_numpy(shifts),
            "places": torch.from_numpy(places),
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        n_rows = basis.shape[0] * basis.shape[2]
        self.knots = nn.Parameter(init_std * torch.randn(n_rows, embedding_dim))
        self._kept: tuple[tuple[int, int], Tensor] | None = None

    def vectors(self) -> Tensor:
        """Vector of each index of each of the fields, (S * greatest cardinality, D).

        They are kept as long as the knots stay what they are, for a service that predicts row by
        row.
        """
        n_fields, _, n_knots = self.basis.shape
        state = self.knots._version, self.knots.data_ptr()
        if self._kept is not None and self._kept[0] == state and not torch.is_grad_enabled():
            return self._kept[1]
        made = torch.bmm(self.basis, self.knots.view(n_fields, n_knots, -1)).flatten(0, 1)
        if not (self.training or torch.is_grad_enabled()):
            self._kept = state, made
        return made

    def train(self, mode: bool = True) -> Self:
        """Forget what is kept: optimizers write to the knots in ways that torch does not count."""
        self._kept = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": None}

    def of_all_rows(self) -> Tensor:
        """Vector of each row of the table, zero where nothing is shared, (rows of the table, D)."""
        vectors = self.vectors()
        nothing = vectors.new_zeros(1, vectors.shape[1])
        return torch.cat([vectors, nothing]).index_select(0, self.places)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors of ``rows`` of the table in those columns."""
        places = rows.index_select(1, self.columns) + self.shifts
        return functional.embedding(places, self.vectors())

    def set_gradient(self, rows: Tensor, values: Tensor) -> None:
        """Set the gradient of the knots, given that of some rows of the table.

        Parameters
        ----------
        rows : Tensor of shape (n,), int
            Distinct and ascending; those of other fields are left out.
        values : Tensor of shape (n, D)
            Their gradients.
        """
        if not self.knots.requires_grad:
            return
        n_fields, longest, n_knots = self.basis.shape
        vectors = values.new_zeros(n_fields * longest + 1, values.shape[1])
        vectors.index_copy_(0, self.places.index_select(0, rows).long(), values)
        by_field = vectors[:-1].view(n_fields, longest, -1)
        self.knots.grad = torch.bmm(self.basis.mT, by_field).view(n_fields * n_knots, -1)


class FrequencyVectors(nn.Module):
    r"""What the levels of a field have in common, by how frequent they are.

    Level i of a field, at :math:`p_i` between 0 (the rarest ones) and 1 (the most frequent), has
    the vector

    .. math:: s\, ((1 - p_i)\, a + p_i\, b)

    with two vectors a and b of the field.  Indices that stand nowhere have the zero vector.

    Parameters
    ----------
    frequencies : sequence of (array-like of shape (cardinality,) or None)
        Where the levels of each field stand, NaN where they stand nowhere; None for a field whose
        levels have nothing in common.
    cardinalities : sequence of int
        Number of indices of each field.
    scale : float
        s: the share learns at a rate that goes with its square.
    embedding_dim : int
        D.
    init_std : float
        Standard deviation of the normal start of a and b.
    slots : sequence of int, default=None
        Field of each column of the encoded rows; None: as many as there are fields.

    Notes
    -----
    Shape: (B, C) int, rows of the table -> (B, S, D), for the S columns whose fields share
    something; they are in `columns`.
    """

    fields: Tensor  # that share something
    columns: Tensor  # of those fields
    owners: Tensor  # (S,) position of the field of each of these columns in `fields`
    weights: Tensor  # (rows of the table, 2) of a and b
    firsts: Tensor  # (F,) first row of each field

    def __init__(
        self,
        frequencies: Sequence[ArrayLike | None],
        cardinalities: Sequence[int],
        scale: float,
        embedding_dim: int,
        init_std: float,
        slots: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        fields = [i for i, given in enumerate(frequencies) if given is not None]
        weights = [np.zeros((int(size), 2)) for size in cardinalities]
        for i in fields:
            p = np.asarray(frequencies[i], dtype=np.float64)
            weights[i] = np.nan_to_num(scale * np.stack([1 - p, p], axis=1))
        sizes = torch.as_tensor(cardinalities, dtype=torch.int64)
        known = torch.tensor(fields, dtype=torch.int64)
        of_column = torch.arange(len(sizes)) if slots is None else torch.as_tensor(slots)
        columns = torch.isin(of_column, known).nonzero().squeeze(1)
        buffers = {
            "fields": known,
            "columns": columns,
            "owners": torch.searchsorted(known, of_column[columns]),
            "weights": torch.from_numpy(np.concatenate(weights)).to(torch.get_default_dtype()),
            "firsts": sizes.cumsum(0) - sizes,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self.ends = nn.Parameter(init_std * torch.randn(2 * len(fields), embedding_dim))

    def of_all_rows(self) -> Tensor:
        """Vector of each row of the table, zero where nothing is shared, (rows of the table, D)."""
        rows = torch.arange(len(self.weights), device=self.weights.device)
        field = torch.searchsorted(self.firsts, rows, right=True) - 1
        by_field = self.ends.new_zeros(2, len(self.firsts), self.ends.shape[1])
        by_field[:, self.fields] = torch.stack(self.ends.chunk(2))
        a, b = (ends.index_select(0, field) for ends in by_field)
        return torch.addcmul(self.weights[:, :1] * a, self.weights[:, 1:], b)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors of ``rows`` of the table in those columns."""
        a, b = (ends.index_select(0, self.owners) for ends in self.ends.chunk(2))
        weights = functional.embedding(rows.index_select(1, self.columns), self.weights)
        return torch.addcmul(weights[..., :1] * a, weights[..., 1:], b)

    def set_gradient(self, rows: Tensor, values: Tensor) -> None:
        """Set the gradient of a and b, given that of some rows of the table.

        Parameters
        ----------
        rows : Tensor of shape (n,), int
            Distinct and ascending; those of other fields are left out.
        values : Tensor of shape (n, D)
            Their gradients.
        """
        if not self.ends.requires_grad:
            return
        weights = self.weights.index_select(0, rows)
        starts = torch.searchsorted(rows, self.firsts.to(rows.dtype))
        order = torch.arange(len(rows), device=rows.device)
        sums = [
            functional.embedding_bag(
                order, values, starts, mode="sum", per_sample_weights=weight.contiguous()
            )
            for weight in weights.unbind(1)
        ]
        self.ends.grad = torch.cat([by_field.index_select(0, self.fields) for by_field in sums])


def knot_weights(positions: NDArray[np.float64], n_knots: Sequence[int]) -> NDArray[np.float64]:
    """Return how much of each knot each index takes, (cardinality, sum of J)."""
    placed = np.isfinite(positions)
    weights = np.zeros((len(positions), sum(n_knots)))
    start = 0
    for J in n_knots:
        if np.count_nonzero(placed) > J:  # as many knots would be the bins themselves
            distance = np.abs((J - 1) * positions[placed, np.newaxis] - np.arange(J))
            weights[placed, start : start + J] = np.maximum(0, 1 - distance)
        start += J
    return weights


def knots_by_scale(n_knots: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return the number of knots of each scale, as the classifiers are given it: one, many, none.

    Raises
    ------
    ValueError
        If one of them is no whole number or less than 2, or if there are too many.
    """
    numbers = (n_knots,) if isinstance(n_knots, int | Integral) else tuple(n_knots or ())
    if not all(isinstance(n, Integral) and n > 1 for n in numbers) or sum(numbers) > MAX_KNOTS:
        raise ValueError(
            f"n_knots={n_knots!r}; each must be a whole number of 2 or more, and their sum at most "
            f"{MAX_KNOTS:,}"
        )
    return tuple(map(int, numbers))
