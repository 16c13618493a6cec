"""All pairs of fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pairs(nn.Module):
    """Both members of every pair i < j of fields, pairs in the order of their indices.

    Parameters
    ----------
    n_fields : int
        F; there are P = F (F - 1) / 2 pairs.

    Notes
    -----
    Shape: (B, F, D) -> two of (B, P, D).

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.baselines._pairs import Pairs
    >>> left, right = Pairs(3)(torch.tensor([[[1], [2], [3]]]))
    >>> left.flatten().tolist(), right.flatten().tolist()
    ([1, 1, 2], [2, 3, 3])
    """

    left: Tensor
    right: Tensor

    def __init__(self, n_fields: int) -> None:
        super().__init__()
        left, right = torch.triu_indices(n_fields, n_fields, offset=1)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)

    def __len__(self) -> int:
        return len(self.left)

    def forward(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Take the members apart."""
        return embedding[:, self.left], embedding[:, self.right]


def times_own_matrix(x: Tensor, matrices: Tensor) -> Tensor:
    """Multiply row p of every instance by matrix p; (B, P, D), (P, D, D') -> (B, P, D')."""
    return torch.bmm(x.transpose(0, 1), matrices).transpose(0, 1)
