"""Mean pooling: the vector of a field that has several indices in a row, a list, is their mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MeanPooling(nn.Module):
    r"""Mean of the vectors of each field of a row.

    .. math:: E_f = \frac{1}{n_f} \sum_{c\,:\,slot(c) = f} e_c

    over the n places of a field that hold an index; the others hold -1 and do not count.

    Parameters
    ----------
    slots : sequence of int
        Field of each column of the encoded rows: 0 to F - 1, then the fields of further places.

    Notes
    -----
    Shape: (B, C, D), (B, C) int -> (B, F, D).
    """

    slots: Tensor  # (C,)

    def __init__(self, slots: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("slots", torch.as_tensor(slots), persistent=False)
        self.n_fields = int(self.slots.max()) + 1

    def _present(self, X: Tensor, like: Tensor) -> Tensor:
        """Return 1 for each further place that holds an index, and 0 for the others, (B, C - F)."""
        return (X[:, self.n_fields :] >= 0).to(like.dtype)

    def _shares(self, present: Tensor) -> Tensor:
        """Return one over the number of indices of each field, (B, F, 1)."""
        numbers = present.new_ones(present.shape[0], self.n_fields)
        numbers.index_add_(1, self.slots[self.n_fields :], present)
        return numbers.reciprocal_().unsqueeze(2)

    def forward(self, vectors: Tensor, X: Tensor) -> Tensor:
        """Pool the vectors (B, C, D) of indices ``X``; those of places without one do not count."""
        present = self._present(X, vectors)
        first, further = vectors.tensor_split([self.n_fields], 1)
        further = further * present.unsqueeze(2)
        total = first.index_add(1, self.slots[self.n_fields :], further)
        return total * self._shares(present)

    def spread(self, gradient: Tensor, X: Tensor) -> Tensor:
        """Return the gradient of each place, (B, C, D), from that of the fields, (B, F, D)."""
        share = self._shares(self._present(X, gradient))
        return (gradient * share).index_select(1, self.slots)
