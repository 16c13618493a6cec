"""`dnn`, and the DNN part of the other models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint._body import Body
from sk_dynint._matmul import linear
from sk_dynint.baselines._init import glorot


class Dense(nn.Module):
    r"""Affine map :math:`W x + b` that starts from Glorot's distribution and zero.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Widths; `n_inputs` may be 0, which leaves the bias.
    bias : bool, default=True
        Whether there is b.

    Notes
    -----
    Shape: (..., n_inputs) -> (..., n_outputs).
    """

    def __init__(self, n_inputs: int, n_outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = glorot(n_outputs, n_inputs)
        self.bias = nn.Parameter(torch.zeros(n_outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply W x + b."""
        return linear(x, self.weight, self.bias)


class Output(Dense):
    """The last unit, ``Dense(1)`` without its bias, which is the module's.  (B, n) -> (B,)."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__(n_inputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply w · x."""
        return super().forward(x).squeeze(-1)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that falls back on its running statistics for a batch of one row."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every column; (B, n) -> (B, n)."""
        if self.training and len(x) < 2:  # no variance: the last batch of a pass may be so short
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(x)


class DNN(nn.Module):
    r"""Hidden layers ``Dense -> [batch norm] -> ReLU -> [dropout]``.

    .. math:: x_{i+1} = \mathrm{relu}(W_i x_i + b_i)

    Parameters
    ----------
    n_inputs : int
        Width of x.
    hidden_units : sequence of int, default=(400, 400)
        Width of every layer; an empty one makes the identity.
    dropout : float, default=0.0
        Probability that a hidden unit is dropped in training.
    batch_norm : bool, default=False
        Whether to normalise before the activation.  Sample weights do not reach the statistics.

    Notes
    -----
    Shape: (B, n_inputs) -> (B, n_outputs), the width of the last layer.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_units: Sequence[int] = (400, 400),
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        check_widths("hidden_units", hidden_units)
        widths = [n_inputs, *hidden_units]
        self.n_outputs = widths[-1]
        self.layers = nn.ModuleList(Dense(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(
            BatchNorm(width) if batch_norm else nn.Identity() for width in hidden_units
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the hidden layers."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(torch.relu(norm(layer(x))))
        return x


class DNNBody(Body):
    r"""Multilayer perceptron on the flat embedding.

    .. math:: \mathrm{logit} = w \cdot DNN(x), \qquad x = \mathrm{flatten}(E)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    only_deep = "the DNN is the whole model"

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
        self.dnn = DNN(
            n_fields * embedding_dim, hidden_units, dropout=dropout, batch_norm=batch_norm
        )
        self.output = Output(self.dnn.n_outputs)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        return self.output(self.dnn(embedding.flatten(1)))


def dnn_beside(
    wanted: bool,
    n_fields: int,
    embedding_dim: int,
    hidden_units: Sequence[int],
    *,
    dropout: float,
    batch_norm: bool,
) -> DNNBody | None:
    """Make the DNN that stands beside an interaction part, or None without `wanted`."""
    if not wanted:
        return None
    return DNNBody(
        n_fields, embedding_dim, hidden_units=hidden_units, dropout=dropout, batch_norm=batch_norm
    )


def check_widths(name: str, widths: Sequence[int]) -> None:
    """Refuse what is not a sequence of positive integers."""
    if isinstance(widths, str) or not all(isinstance(n, Integral) and n > 0 for n in widths):
        raise ValueError(f"{name}={widths!r}; it must hold integers above 0")
