"""`dcn`: cross layers with one weight vector each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import DNN, Dense, Output


class CrossLayer(nn.Module):
    r"""Cross layer of DCN.

    .. math:: x_{l+1} = x_0\,(w_l \cdot x_l) + b_l + x_l

    Parameters
    ----------
    width : int
        Number of entries of x.

    Notes
    -----
    Shape: (B, width), (B, width) -> (B, width).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = Dense(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply the layer to its input ``x`` and the embedding ``x0``."""
        return x0 * self.project(x) + self.bias + x  # Wang 2017, Eq. (3)


class DeepAndCross(Body):
    r"""Deep & Cross Network: cross layers beside a DNN.

    .. math::

        x_{l+1} = x_0\,(w_l \cdot x_l) + b_l + x_l, \qquad
        \mathrm{logit} = w \cdot [x_L, DNN(x_0)], \qquad x_0 = \mathrm{flatten}(E)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN; without it, :math:`\mathrm{logit} = w \cdot x_L`.
    n_layers : int, default=3
        L, number of cross layers.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Wang et al., *Deep & cross network for ad click predictions*, ADKDD 2017.
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        n_layers: int = 3,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        width = n_fields * embedding_dim
        self.cross = nn.ModuleList(CrossLayer(width) for _ in range(n_layers))
        self.dnn = (
            DNN(width, hidden_units, dropout=dropout, batch_norm=batch_norm) if deep else None
        )
        self.output = Output(width + (self.dnn.n_outputs if self.dnn else 0))

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        x = x0 = embedding.flatten(1)
        for layer in self.cross:
            x = layer(x, x0)
        if self.dnn is not None:
            x = torch.cat([x, self.dnn(x0)], 1)
        return self.output(x)
