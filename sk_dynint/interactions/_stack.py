"""DynInt's body: a stack of interaction layers over sub-spaces, and the output layer."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.interactions._layer import InteractionLayer
from sk_dynint.interactions._pin import PIN

AUTO_MAX_SUBSPACES, AUTO_MAX_ENTRIES = 4, 2**25
"""Limits of ``n_subspaces="auto"``: sub-spaces, and entries of the matrices of all layers."""


def split_subspaces(embedding: Tensor, n_subspaces: int) -> Tensor:
    """Cut the embedding axis into H slices and lay them side by side on the field axis.

    Entry j of field f in slice s comes to row s·F + f; the field axis becomes the last one.
    Shape: (B, F, D) -> (B, d, W) with d = D / H and W = F·H.

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.interactions import split_subspaces
    >>> split_subspaces(torch.tensor([[[1, 2], [3, 4]]]), n_subspaces=2)
    tensor([[[1, 3, 2, 4]]])
    """
    batch, n_fields, embedding_dim = embedding.shape
    depth = embedding_dim // n_subspaces
    slices = embedding.view(batch, n_fields, n_subspaces, depth)
    return slices.permute(0, 3, 2, 1).reshape(batch, depth, n_subspaces * n_fields)


def merge_subspaces(x: Tensor, n_subspaces: int) -> Tensor:
    """Undo :func:`split_subspaces`.  Shape: (B, d, W) -> (B, F, D)."""
    batch, depth, width = x.shape
    n_fields = width // n_subspaces
    slices = x.view(batch, depth, n_subspaces, n_fields)
    return slices.permute(0, 3, 2, 1).reshape(batch, n_fields, n_subspaces * depth)


def auto_subspaces(n_fields: int, embedding_dim: int, n_layers: int) -> int:
    """Return the number of sub-spaces that ``n_subspaces="auto"`` stands for.

    Examples
    --------
    >>> auto_subspaces(40, 8, 3), auto_subspaces(40, 15, 3), auto_subspaces(2_000, 8, 3)
    (4, 3, 1)
    """
    divisors = [h for h in range(1, AUTO_MAX_SUBSPACES + 1) if embedding_dim % h == 0]
    affordable = [h for h in divisors if n_layers * (n_fields * h) ** 2 <= AUTO_MAX_ENTRIES]
    return max(affordable, default=1)


class InteractionStack(Body):
    r"""From embeddings to one logit: sub-spaces, L interaction layers, output (paper, Eq. 1-4).

    .. math:: \mathrm{logit} = (w_{out} X_L)\,\mathbf{1}

    Parameters
    ----------
    n_fields : int
        F.
    embedding_dim : int
        D.
    layer : type, default=PIN
        The :class:`InteractionLayer` subclass of the variant.
    n_layers : int, default=3
        L.  With 0 the model is logistic regression.
    n_subspaces : int or "auto", default=1
        H; must divide `embedding_dim`.  1 mixes whole vectors, D mixes single entries.  "auto"
        takes the largest divisor up to 4, or less where the (W, W) matrices of the layers would
        have more than 2^25 entries together.
    output : {"merge", "split"}, default="merge"
        One output weight for a field, sub-spaces merged first, or one for each of the W rows.
    **layer_options
        Passed to every layer.

    Notes
    -----
    NOTE[DIFF]: Eq. (2) adds b_out to each of the D columns, D·b_out in all.  Here that number
    is the one bias of the module, which represents the same functions.

    Shape: (B, F, D) -> (B,).
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        layer: type[InteractionLayer] = PIN,
        n_layers: int = 3,
        n_subspaces: int | Literal["auto"] = 1,
        output: Literal["merge", "split"] = "merge",
        **layer_options: Any,
    ) -> None:
        super().__init__()
        if n_subspaces == "auto":
            n_subspaces = auto_subspaces(n_fields, embedding_dim, n_layers)
        if embedding_dim % n_subspaces:
            raise ValueError(
                f"n_subspaces={n_subspaces} does not divide embedding_dim={embedding_dim}"
            )
        if output not in ("merge", "split"):
            raise ValueError(f"{output=!r}; it must be 'merge' or 'split'")
        self.n_subspaces = n_subspaces
        self.n_repeats = n_subspaces if output == "merge" else 1
        width, depth = n_fields * n_subspaces, embedding_dim // n_subspaces
        self.layers = nn.ModuleList(layer(width, depth, **layer_options) for _ in range(n_layers))
        n_weights = width // self.n_repeats
        self.output = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, n_weights))[0])

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding; (B, F, D) -> (B,)."""
        x = x0 = split_subspaces(embedding, self.n_subspaces)
        for layer in self.layers:
            x = layer(x, x0)
        return (x @ self.output.repeat(self.n_repeats)).sum(1)  # Eq. (2)

    def penalty(self) -> Tensor | float:
        """Sum of the layers' penalties in the last forward pass."""
        return sum(layer.penalty() for layer in self.layers)  # type: ignore[operator]
