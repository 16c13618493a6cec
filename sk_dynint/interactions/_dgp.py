"""`dgp`: dynamic generated parameters, a low-rank matrix made for each instance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint.interactions._gate import GateInput, GateNetwork
from sk_dynint.interactions._kernel import SigmoidGates, StackKernel, padded
from sk_dynint.interactions._layer import InteractionLayer, glorot
from sk_dynint.interactions._penalty import PenaltyKind, orthogonal_penalty

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": lambda x: 2 * torch.sigmoid(x),
    "softplus": functional.softplus,
    "linear": lambda x: x,
}


class DynamicGeneratedParametersKernel(StackKernel):
    """M_l = U_l (s_l ∘ (V_lᵀ X_0)) with s_l = 2σ(net_l)."""

    @classmethod
    def serves(cls, layer: DynamicGeneratedParameters, penalty: float) -> bool:
        """Whether Σ is diagonal, twice a sigmoid, and comes from the flat embedding."""
        options = layer.kernel, layer.activation, layer.gate.gate_input
        return options == ("diagonal", "sigmoid", "flatten")

    def set_up(self) -> None:
        """Pack U, V and the generating networks."""
        rank, inner = self.layers[0].rank, slice(self.inner_width)
        self.rank, shape, r = padded(rank), (self.inner_width, rank), slice(rank)
        us = ((layer.u, (i, inner, r), shape) for i, layer in enumerate(self.layers))
        vs = ((layer.v, (inner, i, r), shape) for i, layer in enumerate(self.layers))
        self.pack("u", (self.n_layers, self.width, self.rank), us, by_column=1)
        self.pack("v", (self.width, self.n_layers, self.rank), vs)
        self.gates = SigmoidGates(self, rank)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """From right to left; V of all layers in one product."""
        v = self.packed["v"].view(self.width, -1)
        self.q = self.product("q", x0.view(-1, self.width), v)  # V^T X_0
        self.q = self.q.view(*x0.shape[:2], self.n_layers, self.rank)
        self.sq = self.gates.apply(x0, self.q, out=self.array("sq", *self.q.shape))
        return [
            self.product(f"m{i}", sq, u.T).view_as(x0)
            for i, (u, sq) in enumerate(self._by_layer(self.sq))
        ]

    def mix_backward(self, g: Tensor) -> Tensor:
        """Gradients of U, Σ, V and ``x0``."""
        q_grad = self.array("q_grad", *self.q.shape)
        for i, (u, sq, out) in enumerate(self._by_layer(self.sq, q_grad)):
            m_grad = self.mixed[i].view(-1, self.width)
            self.add_product("u", m_grad.T, sq, i)
            self.product(out, m_grad, u)
        self.gates.apply_backward(q_grad, self.q)
        v = self.packed["v"].view(self.width, -1)
        q_grad = q_grad.view(-1, v.shape[1])
        self.add_product("v", self.x0.view(-1, self.width).T, q_grad)
        return self.plus_product(g.view(-1, self.width), q_grad, v.T).view_as(g)

    def _by_layer(self, *arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """U_l and the given (B, d, L, ...) of each layer as (B·d, ...)."""
        return zip(self.packed["u"], *(a.flatten(0, 1).unbind(1) for a in arrays), strict=True)


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
        NOTE[DIFF]: the paper names none.  Used by the diagonal kernel.
    init : {"orthogonal", "glorot"}, default="orthogonal"
        Start of U and V.  "orthogonal": orthonormal columns, scaled so that U V^T has the entry
        variance 1/W of a Glorot (W, W) matrix; the penalty starts at 0.
    kernel : {"diagonal", "full"}, default="diagonal"
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

    stack_kernel = DynamicGeneratedParametersKernel

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        rank: int | None = None,
        reduction: int = 16,
        activation: Literal["sigmoid", "softplus", "linear"] = "sigmoid",
        init: Literal["orthogonal", "glorot"] = "orthogonal",
        kernel: Literal["diagonal", "full"] = "diagonal",
        gate_input: GateInput = "flatten",
        penalty_kind: PenaltyKind = "absolute",
        normalize_penalty: bool = False,
    ) -> None:
        super().__init__(width, depth)
        if activation not in ACTIVATIONS:
            raise ValueError(f"{activation=!r}; it must be one of {sorted(ACTIVATIONS)}")
        if init not in ("orthogonal", "glorot"):
            raise ValueError(f"{init=!r}; it must be 'orthogonal' or 'glorot'")
        if kernel not in ("diagonal", "full"):
            raise ValueError(f"{kernel=!r}; it must be 'diagonal' or 'full'")
        if rank is None:
            rank = min(16, width)
        elif rank > width:
            warnings.warn(
                f"rank={rank} is above width={width} (fields times sub-spaces): the columns of "
                "U and V cannot be orthogonal",
                stacklevel=2,
            )
        self.rank = rank
        self.activation = activation
        self.penalty_kind = penalty_kind
        self.normalize_penalty = normalize_penalty
        start = _scaled_orthogonal if init == "orthogonal" else glorot
        self.u = start(width, rank)
        self.v = start(width, rank)
        self.kernel = kernel
        n_outputs = rank if kernel == "diagonal" else rank * rank
        self.gate = GateNetwork(width, depth, n_outputs, reduction=reduction, gate_input=gate_input)

    def sigma(self, x0: Tensor) -> Tensor:
        """Σ of every instance: its diagonal (B, K), or the whole (B, K, K) if `kernel="full"`."""
        if self.kernel == "full":
            s = self.gate(x0).view(-1, self.rank, self.rank)
            return s + torch.eye(self.rank, dtype=s.dtype, device=s.device)
        return ACTIVATIONS[self.activation](self.gate(x0))

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (8), right to left."""
        q = x0 @ self.v  # (B, d, K)
        sigma = self.sigma(x0)
        q = q * sigma.unsqueeze(1) if self.kernel == "diagonal" else q @ sigma.mT
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
