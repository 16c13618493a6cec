"""Kernel of `dwp`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sk_dynint.engine.kernels._parts import Gates, pack_weights
from sk_dynint.engine.kernels._stack import BLOCK, StackKernel
from sk_dynint.interactions import DynamicWeightedParameters


class DynamicWeightedParametersKernel(StackKernel):
    """M_l = Σ_p u_p ∘ (W_l (v_p ∘ X_0)), with u and v from net_l."""

    @classmethod
    def serves(cls, layer: DynamicWeightedParameters, penalty: float) -> bool:
        """Whether the layer takes the low-rank identity and flat embeddings, and no penalty."""
        return not penalty and not layer.explicit and layer.gate.gate_input == "flatten"

    def set_up(self) -> None:
        """Pack the weights W_l and the generating networks."""
        self.rank = self.layers[0].rank
        self.block = max(BLOCK, self.block // self.rank)  # every head is a row of a product
        pack_weights(self)
        self.gates = Gates(self, self.inner_width, n_groups=2 * self.rank)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Compute the K heads of each layer in one product."""
        offset = self.layers[0].offset.to(self.device, self.dtype).unsqueeze(1)
        self.factors = [  # u and v of each layer, (B, K, 1, W) each
            net.view(-1, 2, self.rank, 1, self.width).add_(offset).unbind(1)
            for net in self.gates.forward(x0)
        ]
        self.heads: list[Tensor] = []
        mixed = []
        for i, (u, v) in enumerate(self.factors):
            vx = torch.mul(v, x0.unsqueeze(1), out=self._vx(i))
            weight = self.packed["weight"][i]
            heads = self.product(f"heads{i}", vx.view(-1, self.width), weight.T).view_as(vx)
            m = torch.mul(u[:, 0], heads[:, 0], out=self.array(f"m{i}", *x0.shape))
            for p in range(1, self.rank):
                torch.addcmul(m, u[:, p], heads[:, p], out=m)
            self.heads.append(heads)
            mixed.append(m)
        return mixed

    def mix_backward(self, g: Tensor) -> Tensor:
        """Add up the gradients of W, u and v; return `g` plus that of ``x0``."""
        shape = len(g), self.n_layers, 2, self.rank, self.width
        factor_grad = self.array("factor_grad", *shape)
        layers = zip(self.factors, self.heads, self.mixed, strict=True)
        for i, ((u, v), heads, m_grad) in enumerate(layers):
            m_grad, vx = m_grad.unsqueeze(1), self._vx(i)
            self._sum_over_depth(heads, m_grad, scratch=heads, out=factor_grad[:, i, 0])
            heads_grad = torch.mul(u, m_grad, out=heads).view(-1, self.width)
            self.add_product("weight", heads_grad.T, vx, i)
            vx_grad = self.product("vx_grad", heads_grad, self.packed["weight"][i]).view_as(vx)
            self._sum_over_depth(
                vx_grad, self.x0.unsqueeze(1), scratch=vx, out=factor_grad[:, i, 1]
            )
            for head in vx_grad.mul_(v).unbind(1):
                g += head
        self.gates.backward(factor_grad.view(len(g), self.n_layers, -1))
        return g

    def _sum_over_depth(self, a: Tensor, b: Tensor, *, scratch: Tensor, out: Tensor) -> None:
        """Sum ``a ∘ b``, (B, K, d, W) each, over d; `scratch` of that shape is overwritten."""
        if self.depth == 1:
            torch.mul(a.squeeze(2), b.squeeze(2), out=out)
        else:
            torch.sum(torch.mul(a, b, out=scratch), 2, out=out)

    def _vx(self, layer: int) -> Tensor:
        """Return the array for v_p ∘ X_0 of a layer, (B, K, d, W)."""
        n_rows, depth, width = self.x0.shape
        return self.array(f"vx{layer}", n_rows, self.rank, depth, width)
