"""All pairs of fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FieldPairs(nn.Module):
    """Both members of every pair i < j of fields, pairs in the order of their indices.

    Parameters
    ----------
    n_fields : int
        F; there are P = F (F - 1) / 2 pairs.

    Notes
    -----
    Shape: (F, D, B) -> two of (P, D, B): whole fields are copied, and gradients added.

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.baselines._field_pairs import FieldPairs
    >>> left, right = FieldPairs(3)(torch.tensor([[[1]], [[2]], [[3]]]))
    >>> left.flatten().tolist(), right.flatten().tolist()
    ([1, 1, 2], [2, 3, 3])
    """

    left: Tensor
    right: Tensor
    entry: Tensor

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        left, right = torch.triu_indices(n_fields, n_fields, offset=1)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.register_buffer("entry", left * n_fields + right, persistent=False)

    def __len__(self) -> int:
        return len(self.left)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Take the members apart."""
        return x.index_select(0, self.left), x.index_select(0, self.right)

    def entries(self, matrix: Tensor) -> Tensor:
        """Take the entries above the diagonal; (B, F, F) -> (B, P)."""
        return matrix.flatten(1).index_select(1, self.entry)


def fields_first(embedding: Tensor) -> Tensor:
    """Turn the axes; (B, F, D) -> (F, D, B)."""
    return embedding.permute(1, 2, 0).contiguous()


def times_own_matrix(x: Tensor, matrices: Tensor) -> Tensor:
    """Multiply row p of every instance by matrix p; (P, D, B), (P, D, D') -> (P, D', B)."""
    return torch.bmm(matrices.mT, x)
