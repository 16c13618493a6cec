"""`deepcrossing`: residual units on the flat embedding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import DNN, Dense, Output, check_widths


class ResidualUnit(nn.Module):
    r"""Two dense layers around which the input is carried.

    .. math:: y = \mathrm{relu}\bigl(x + W_2\,\mathrm{relu}(W_1 x + b_1) + b_2\bigr)

    Parameters
    ----------
    width : int
        Number of entries of x and y.
    n_hidden : int
        Width between the two layers.
    dropout, batch_norm
        Of the layer between, see :class:`DNN`.

    Notes
    -----
    Shape: (B, width) -> (B, width).
    """

    def __init__(
        self, width: int, n_hidden: int, *, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.hidden = DNN(width, (n_hidden,), dropout=dropout, batch_norm=batch_norm)
        self.back = Dense(n_hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit."""
        return torch.relu(x + self.back(self.hidden(x)))


class DeepCrossing(Body):
    r"""Deep Crossing: residual units, then one unit.

    .. math:: x_{i+1} = residual_i(x_i), \qquad \mathrm{logit} = w \cdot x_n

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    hidden_units : sequence of int, default=(400, 400)
        One residual unit for each entry, which is its inner width.
    dropout, batch_norm
        See :class:`ResidualUnit`.

    Notes
    -----
    NOTE[DIFF]: no ReLU on the embeddings, which its paper has; fields share one table here.

    Shape: (B, F, D) -> (B,).

    References
    ----------
    Shan et al., *Deep Crossing: web-scale modeling without manually crafted combinatorial
    features*, KDD 2016, Eq. (3).
    """

    only_deep = "its residual units are a DNN"

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_widths("hidden_units", hidden_units)
        width = n_fields * embedding_dim
        self.units = nn.Sequential(
            *(
                ResidualUnit(width, n_hidden, dropout=dropout, batch_norm=batch_norm)
                for n_hidden in hidden_units
            )
        )
        self.output = Output(width)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        return self.output(self.units(embedding.flatten(1)))
