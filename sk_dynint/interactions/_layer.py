"""The contract of an interaction layer: what a variant is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InteractionLayer(nn.Module):
    r"""One order of interaction: the base class of every variant.

    A subclass takes ``width`` and ``depth``, then its own options by keyword, and overrides
    :meth:`forward`.  Pass the subclass as ``DynIntClassifier(variant=...)`` and its options as
    ``variant_params``.

    Parameters
    ----------
    width : int
        W, number of feature rows that are mixed: fields times sub-spaces.
    depth : int
        d, number of entries of a row: embedding_dim divided by sub-spaces.

    Notes
    -----
    Shape: ``x`` and ``x0`` are (B, d, W), the field axis *last*, so that a mixing matrix is one
    matrix product over (B·d, W).  ``x0`` holds the numbers of the flat embedding, therefore a
    dynamic layer finds its context in ``x0.detach().flatten(1)`` and needs no third argument.

    Examples
    --------
    A layer that mixes with the identity squares every entry:

    >>> import torch
    >>> from sk_dynint.interactions import InteractionLayer
    >>> class Square(InteractionLayer):
    ...     def forward(self, x, x0):
    ...         return x * x0
    >>> Square(width=2, depth=1)(torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[2.0, 3.0]]]))
    tensor([[[4., 9.]]])
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.width = width
        self.depth = depth

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Map the layer's input ``x`` and the embedding ``x0``, both (B, d, W), to (B, d, W)."""
        raise NotImplementedError

    def penalty(self) -> Tensor | float:
        """Regularisation term of the last forward pass, per instance; 0 unless there is one."""
        return 0.0

    def extra_repr(self) -> str:
        """Show the shape in the module's repr."""
        return f"width={self.width}, depth={self.depth}"


def glorot(*shape: int) -> nn.Parameter:
    """Weight matrix of Glorot's uniform distribution."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(*shape)))
