"""`dcnv2`: cross layers with a weight matrix each, whole or of low rank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import DNN, Dense, Output


class CrossLayerV2(nn.Module):
    r"""Cross layer of DCN V2.

    .. math:: x_{l+1} = x_0 \circ (W_l x_l + b_l) + x_l

    Parameters
    ----------
    width : int
        Number of entries of x.
    rank : int, default=None
        With a rank, :math:`W = U V^T` with U and V (width, rank); None: any matrix.

    Notes
    -----
    Shape: (B, width), (B, width) -> (B, width).
    """

    def __init__(self, width: int, rank: int | None = None) -> None:
        super().__init__()
        self.mix = (
            Dense(width, width)
            if rank is None
            else nn.Sequential(Dense(width, rank, bias=False), Dense(rank, width))
        )

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply the layer to its input ``x`` and the embedding ``x0``."""
        return torch.addcmul(x, x0, self.mix(x))  # Wang 2021, Eq. (1) and (2)


class DeepAndCrossV2(Body):
    r"""DCN V2: cross layers beside a DNN, or below it.

    .. math::

        x_{l+1} = x_0 \circ (W_l x_l + b_l) + x_l, \qquad
        \mathrm{logit} = w \cdot [x_L, DNN(x_0)] \ \text{or} \ w \cdot DNN(x_L)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN; without it, :math:`\mathrm{logit} = w \cdot x_L`.
    n_layers : int, default=3
        L, number of cross layers.
    structure : {"parallel", "stacked"}, default="parallel"
        DNN on the embedding, beside the cross layers, or on what they return.
    rank : int, default=None
        Rank of the matrices; None: no restriction.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Wang et al., *DCN V2: improved deep & cross network and practical lessons for web-scale
    learning to rank systems*, WWW 2021.
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        n_layers: int = 3,
        structure: Literal["parallel", "stacked"] = "parallel",
        rank: int | None = None,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if structure not in ("parallel", "stacked"):
            raise ValueError(f"{structure=!r}; it must be 'parallel' or 'stacked'")
        if rank is not None and rank < 1:
            raise ValueError(f"{rank=!r}; it must be None or at least 1")
        width = n_fields * embedding_dim
        self.structure = structure
        self.cross = nn.ModuleList(CrossLayerV2(width, rank) for _ in range(n_layers))
        self.dnn = (
            DNN(width, hidden_units, dropout=dropout, batch_norm=batch_norm) if deep else None
        )
        n_deep = self.dnn.n_outputs if self.dnn else 0
        self.output = Output(n_deep if deep and structure == "stacked" else width + n_deep)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        x = x0 = embedding.flatten(1)
        for layer in self.cross:
            x = layer(x, x0)
        if self.dnn is not None:
            x = self.dnn(x) if self.structure == "stacked" else torch.cat([x, self.dnn(x0)], 1)
        return self.output(x)
