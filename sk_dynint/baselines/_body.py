"""The contract of a competitor: from embeddings to one logit, and what it needs beside them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class Body(nn.Module):
    """Base class of every competitor.

    A subclass takes ``n_fields`` and ``embedding_dim``, then its options by keyword.  It adds no
    bias to the logit and applies no sigmoid: the module around it has the bias.

    Attributes
    ----------
    first_order : bool
        Whether the module adds one weight per index, the linear part of the model.
    fixed_embedding_dim : int or None
        Length of the table's rows, where the model leaves no choice.
    only_deep : str or None
        Why there is no form of the model without its DNN; None where there is one.
    block : int or None
        Rows to work on at once, where the engine's number makes arrays too large for the cache.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    first_order: bool = False
    fixed_embedding_dim: ClassVar[int | None] = None
    only_deep: ClassVar[str | None] = None
    block: int | None = None

    @property
    def row_wise(self) -> bool:
        """Whether the rows of a batch do not influence each other: without batch norm."""
        return not any(isinstance(part, nn.BatchNorm1d) for part in self.modules())

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding; (B, F, D) -> (B,)."""
        raise NotImplementedError


def glorot(*shape: int) -> nn.Parameter:
    """Weights of Glorot's uniform distribution over the last two axes, one draw for each matrix."""
    n_outputs, n_inputs = shape[-2:]
    limit = (6 / (n_inputs + n_outputs)) ** 0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-limit, limit))
