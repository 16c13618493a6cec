"""Vectors of numbers that change steadily from bin to bin: piecewise linear, between knots."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional


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
    n_knots : sequence of int
        Each J, at least 2.
    embedding_dim : int
        D.
    init_std : float
        Standard deviation of the knots' normal start.

    Notes
    -----
    Shape: (B, F) int -> (B, S, D), for the S fields that have knots; they are in `fields`.

    References
    ----------
    Y. Gorishniy, I. Rubachev and A. Babenko, *On Embeddings for Numerical Features in Tabular Deep
    Learning*, NeurIPS 2022: piecewise-linear encodings, in the place of bins; here they stand
    beside them.
    """

    fields: Tensor
    basis: Tensor  # (S, greatest cardinality, sum of J)
    starts: Tensor  # (S,) first row of each field in the flat vectors

    def __init__(
        self,
        positions: Sequence[ArrayLike | None],
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
        dtype = torch.get_default_dtype()
        buffers = {
            "fields": torch.tensor(list(bases), dtype=torch.int64),
            "basis": torch.from_numpy(basis).to(dtype),
            "starts": torch.arange(len(bases)) * longest,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        n_rows = basis.shape[0] * basis.shape[2]
        self.knots = nn.Parameter(init_std * torch.randn(n_rows, embedding_dim))

    def vectors(self) -> Tensor:
        """Vector of each index of each of the fields, (S * greatest cardinality, D)."""
        n_fields, _, n_knots = self.basis.shape
        return torch.bmm(self.basis, self.knots.view(n_fields, n_knots, -1)).flatten(0, 1)

    def forward(self, X: Tensor) -> Tensor:
        """Vectors of the indices ``X`` (B, F) in those fields."""
        return functional.embedding(X.index_select(1, self.fields) + self.starts, self.vectors())

    def gradient(self, places: Tensor, values: Tensor) -> Tensor:
        """Gradient of the knots, given that of some :meth:`vectors`; it is 0 for the others.

        Parameters
        ----------
        places : Tensor of shape (n,), int
            Positions of distinct vectors; those beyond the last are left out.
        values : Tensor of shape (n, D)
            Their gradients.
        """
        n_fields, longest, n_knots = self.basis.shape
        vectors = values.new_zeros(n_fields * longest + 1, values.shape[1])
        vectors.index_copy_(0, places, values)
        by_field = vectors[:-1].view(n_fields, longest, -1)
        return torch.bmm(self.basis.mT, by_field).view(n_fields * n_knots, -1)


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
        If one of them is no whole number, or less than 2.
    """
    numbers = (n_knots,) if isinstance(n_knots, int | Integral) else tuple(n_knots or ())
    if not all(isinstance(n, Integral) and n > 1 for n in numbers):
        raise ValueError(f"n_knots={n_knots!r}; each must be a whole number of 2 or more")
    return tuple(map(int, numbers))
