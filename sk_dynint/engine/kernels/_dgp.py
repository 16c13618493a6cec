"""Kernel of `dgp`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from sk_dynint.engine.kernels._parts import SigmoidGates
from sk_dynint.engine.kernels._stack import StackKernel, padded
from sk_dynint.interactions import DynamicGeneratedParameters


class DynamicGeneratedParametersKernel(StackKernel):
    """M_l = U_l (s_l ∘ (V_lᵀ X_0)) with s_l = 2σ(net_l)."""

    @classmethod
    def serves(cls, layer: DynamicGeneratedParameters, penalty: float) -> bool:
        """Whether Σ is diagonal, twice a sigmoid, and generated from the flat embedding."""
        options = layer.sigma, layer.activation, layer.gate.gate_input
        return options == ("diagonal", "sigmoid", "flatten")

    def set_up(self) -> None:
        """Pack U_l, V_l and the generating networks."""
        rank, inner = self.layers[0].rank, slice(self.inner_width)
        self.rank, shape, r = padded(rank), (self.inner_width, rank), slice(rank)
        us = ((layer.u, (i, inner, r), shape) for i, layer in enumerate(self.layers))
        vs = ((layer.v, (inner, i, r), shape) for i, layer in enumerate(self.layers))
        self.pack("u", (self.n_layers, self.width, self.rank), us, by_column=1)
        self.pack("v", (self.width, self.n_layers, self.rank), vs)
        self.gates = SigmoidGates(self, rank)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Multiply from right to left; the V_l of all layers make up one product."""
        v = self.packed["v"].view(self.width, -1)
        self.q = self.product("q", x0.view(-1, self.width), v)  # V^T X_0
        self.q = self.q.view(*x0.shape[:2], self.n_layers, self.rank)
        self.sq = self.gates.apply(x0, self.q, out=self.array("sq", *self.q.shape))
        return [
            self.product(f"m{i}", sq, u.T).view_as(x0)
            for i, (u, sq) in enumerate(self._by_layer(self.sq))
        ]

    def mix_backward(self, g: Tensor) -> Tensor:
        """Add up the gradients of U, Σ and V; return `g` plus that of ``x0``."""
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
        """Yield U_l and the part of each (B, d, L, ...) array that is of layer l, (B·d, ...)."""
        return zip(self.packed["u"], *(a.flatten(0, 1).unbind(1) for a in arrays), strict=True)
