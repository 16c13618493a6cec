"""`dgp`: dynamic generated parameters, a low-rank matrix made for each instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint._warnings import warn
from sk_dynint.interactions._gate import GateInput, GateNetwork
from sk_dynint.interactions._layer import InteractionLayer, glorot
from sk_dynint.interactions._penalty import PenaltyKind, orthogonal_penalty

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: 2 * torch.sigmoid(x),
    "softplus": functional.softplus,
    "linear": lambda x: x,
}


class DynamicGeneratedParameters(InteractionLayer):
    r"""DynInt-DGP: mixing matrices generated from the instance (paper, Eq. 5, 7, 8).

    .. math::

        X_l = X_{l-1} \circ \bigl(U_{l-1} \Sigma_{l-1}^{(i)} V_{l-1}^T X_0\bigr) + X_{l-1},
        \qquad \Sigma_{l-1}^{(i)} = \mathrm{diag}\bigl(act(net_{l-1}(x))\bigr)

    U and V are shared by all instances; the product is taken from right to left, so the
    (B, W, W) matrices are never formed.

    Parameters
    ----------
    width, depth : int
        W and d, see :class:`InteractionLayer`.
    rank : int, default=None
        K; None means the smaller of 16 and ``width``.  The paper searches 16 to 128.  A rank
        above ``width`` works, with a warning: the columns of U and V cannot be orthogonal then.
    reduction : int, default=16
        r of the network that generates Σ.
    activation : {"sigmoid", "softplus", "linear"}, default="sigmoid"
        "sigmoid" is 2σ: not negative, as singular values are, and near 1 at the start.
        NOTE[DIFF]: the paper names none.  Used if Σ is diagonal.
    init : {"orthogonal", "glorot"}, default="orthogonal"
        Initial values of U and V.  "orthogonal": orthonormal columns, scaled so that U V^T has the
        entry variance 1/W of a Glorot (W, W) matrix; the penalty starts at 0.
    sigma : {"diagonal", "full"}, default="diagonal"
        Σ diagonal (K numbers for each instance), or the identity plus any K x K matrix (K²).
    gate_input : {"flatten", "pooled"}, default="flatten"
        See :class:`GateNetwork`.
    penalty_kind : {"absolute", "squared"}, default="absolute"
        See :func:`orthogonal_penalty`.
    normalize_penalty : bool, default=False
        Divide the penalty by its number of terms, so that one coefficient suits every rank.

    Notes
    -----
    Shape: ``u`` and ``v`` are (W, K); (B, d, W), (B, d, W) -> (B, d, W).
    U = V = 0 is a stationary point for every parameter of the layer.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        rank: int | None = None,
        reduction: int = 16,
        activation: Literal["sigmoid", "softplus", "linear"] = "sigmoid",
        init: Literal["orthogonal", "glorot"] = "orthogonal",
        sigma: Literal["diagonal", "full"] = "diagonal",
        gate_input: GateInput = "flatten",
        penalty_kind: PenaltyKind = "absolute",
        normalize_penalty: bool = False,
    ) -> None:
        super().__init__(width, depth)
        if activation not in ACTIVATIONS:
            raise ValueError(f"{activation=!r}; it must be one of {sorted(ACTIVATIONS)}")
        if init not in ("orthogonal", "glorot"):
            raise ValueError(f"{init=!r}; it must be 'orthogonal' or 'glorot'")
        if sigma not in ("diagonal", "full"):
            raise ValueError(f"{sigma=!r}; it must be 'diagonal' or 'full'")
        if rank is None:
            rank = min(16, width)
        elif rank > width:
            warn(
                f"rank={rank} is above width={width} (fields times sub-spaces): the columns of "
                "U and V cannot be orthogonal"
            )
        self.rank = rank
        self.activation = activation
        self.penalty_kind = penalty_kind
        self.normalize_penalty = normalize_penalty
        start = _scaled_orthogonal if init == "orthogonal" else glorot
        self.u = start(width, rank)
        self.v = start(width, rank)
        self.sigma = sigma
        n_outputs = rank if sigma == "diagonal" else rank * rank
        self.gate = GateNetwork(width, depth, n_outputs, reduction=reduction, gate_input=gate_input)

    def generate(self, x0: Tensor) -> Tensor:
        """Σ of every instance: its diagonal (B, K), or the whole (B, K, K) if `sigma="full"`."""
        if self.sigma == "full":
            s = self.gate(x0).view(-1, self.rank, self.rank)
            return s + torch.eye(self.rank, dtype=s.dtype, device=s.device)
        return ACTIVATIONS[self.activation](self.gate(x0))

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (8), right to left."""
        q = x0 @ self.v  # (B, d, K)
        sigma = self.generate(x0)
        q = q * sigma.unsqueeze(1) if self.sigma == "diagonal" else q @ sigma.mT
        return torch.addcmul(x, x, functional.linear(q, self.u))  # Eq. (8)

    def penalty(self) -> Tensor | float:
        """Overlap of the columns of U and of V (paper, Eq. 11)."""
        return sum(
            orthogonal_penalty(a.mT, kind=self.penalty_kind, normalize=self.normalize_penalty)
            for a in (self.u, self.v)
        )


def _scaled_orthogonal(width: int, rank: int) -> nn.Parameter:
    """(W, K) with orthonormal columns times c = (max(W, K)² / (K W))^(1/4)."""
    scale = (max(width, rank) ** 2 / (rank * width)) ** 0.25
    return nn.Parameter(scale * nn.init.orthogonal_(torch.empty(width, rank)))
