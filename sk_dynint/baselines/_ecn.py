"""`ecn`: cross layers that double the order; half of their gates comes from the other half."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import BatchNorm, Dense, Output

SecondHalf = Literal["affine", "norm", "mask"]


class LowCostGate(nn.Module):
    r"""Gate of a cross layer, of which a matrix computes the first half only.

    .. math:: g(x) = [c, \hat c] + b, \qquad c = W x

    Parameters
    ----------
    n_first, n_second : int
        Entries of c and of :math:`\hat c`; x has as many as both together, and `n_second` is not
        greater than `n_first`.
    second_half : {"affine", "norm", "mask"}, default="affine"
        :math:`\hat c` is :math:`\gamma \circ c + \beta`, its layer norm
        :math:`\gamma \circ \mathrm{norm}(c) + \beta`, or c masked by the latter,
        :math:`c \circ \mathrm{relu}(\gamma \circ \mathrm{norm}(c) + \beta)`.
    n_heads : int, default=1
        H, number of inputs that share the gate.
    batch_norm : bool, default=False
        Whether [c, ĉ] is normalised, over the entries of each head as well.

    Notes
    -----
    Shape: (B, H, n_first + n_second) -> the same.
    """

    def __init__(
        self,
        n_first: int,
        n_second: int,
        second_half: SecondHalf = "affine",
        *,
        n_heads: int = 1,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.second_half = second_half
        self.n_second = n_second
        self.mix = Dense(n_first + n_second, n_first, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_first + n_second))
        self.norms = nn.ModuleDict(
            {
                "second": nn.LayerNorm(n_second),
                "batch": BatchNorm(n_heads) if batch_norm else nn.Identity(),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gate."""
        c = self.mix(x)
        gate = torch.cat([c, self.second(c[..., : self.n_second])], -1)
        return self.norms["batch"](gate) + self.bias

    def second(self, c: Tensor) -> Tensor:
        """Second half of the gate, from the first; (..., n_second) -> (..., n_second)."""
        norm = self.norms["second"]
        assert isinstance(norm, nn.LayerNorm)
        if self.second_half == "affine":
            return torch.addcmul(norm.bias, norm.weight, c)
        return norm(c) if self.second_half == "norm" else c * torch.relu(norm(c))


class CrossNetwork(Body):
    r"""Cross layers with low-cost gates, and an output unit.

    .. math:: x_{l+1} = a_l \circ g_l(x_l) + x_l

    with a_l = x_l in the exponential network, a polynomial of degree 2^L of the embedding, and
    a_l = x_0 in the linear one, of degree L + 1.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    n_layers : int, default=3
        L, number of cross layers.
    n_heads : int, default=1
        H, parts of an embedding vector that share all weights; the logit is the mean of theirs.
    second_half, batch_norm
        See :class:`LowCostGate`.
    dropout : float, default=0.0
        Probability that an entry of a layer's output is dropped in training.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    exponential: ClassVar[bool]

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        n_layers: int = 3,
        n_heads: int = 1,
        second_half: SecondHalf = "affine",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if second_half not in ("affine", "norm", "mask"):
            raise ValueError(f"{second_half=!r}; it must be 'affine', 'norm' or 'mask'")
        if n_heads < 1 or embedding_dim % n_heads:
            raise ValueError(f"{n_heads=!r}; it must divide {embedding_dim=}")
        self.n_heads = n_heads
        n_second = n_fields * (embedding_dim // n_heads // 2)
        width = n_fields * embedding_dim // n_heads
        self.gates = nn.ModuleList(
            LowCostGate(
                width - n_second, n_second, second_half, n_heads=n_heads, batch_norm=batch_norm
            )
            for _ in range(n_layers)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = Output(width)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        x = x0 = self.heads(embedding)
        for gate in self.gates:
            x = self.dropout(torch.addcmul(x, x if self.exponential else x0, gate(x)))
        return self.output(x).mean(1)

    def heads(self, embedding: Tensor) -> Tensor:
        """Cut vectors in heads: first halves of all fields, then second ones; (B, H, width)."""
        heads = torch.stack(embedding.chunk(self.n_heads, 2), 1)  # (B, H, F, D / H)
        return torch.cat([half.flatten(2) for half in heads.tensor_split(2, -1)], -1)


class ExponentialCrossNetwork(CrossNetwork):
    r"""Exponential cross network: explicit interactions up to order 2^L.

    .. math::

        \mathrm{logit} = w \cdot x_L, \qquad x_{l+1} = x_l \circ ([c_l, \hat c_l] + b_l) + x_l,
        \qquad c_l = W_l x_l

    Parameters
    ----------
    n_fields, embedding_dim, n_layers, n_heads, second_half, dropout, batch_norm
        See :class:`CrossNetwork`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    NOTE[DIFF]: the second half of a gate is γ ∘ c + β by default, as in the authors' code and its
    logs; the first versions of the paper have the self-mask ("mask"), and that code computes the
    layer norm on request ("norm").

    NOTE[DIFF]: b starts at zero like every bias here; the authors' code draws it from [0, 1).

    NOTE[DIFF]: heads cut the vector of length D, so that all models share one D; the authors' code
    gives each head D entries of its own.

    References
    ----------
    Li et al., *FCN: fusing exponential and linear cross network for click-through rate prediction*,
    KDD 2026 (arXiv 2407.13349).
    """

    exponential = True


class LinearCrossNetwork(CrossNetwork):
    """Linear cross network, the half of "fcn" that has interactions up to order L + 1.

    Parameters
    ----------
    n_fields, embedding_dim, n_layers, n_heads, second_half, dropout, batch_norm
        See :class:`CrossNetwork`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    exponential = False
