"""Parts that the kernels of several variants have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sk_dynint.engine.kernels._stack import StackKernel, padded


def pack_weights(kernel: StackKernel, *, by_column: int | None = None) -> None:
    """Pack the `weight` of each layer into one array (L, W, W)."""
    n, width, inner = kernel.n_layers, kernel.width, kernel.inner_width
    weights = (
        (layer.weight, (i, slice(inner), slice(inner)), (inner, inner))
        for i, layer in enumerate(kernel.layers)
    )
    kernel.pack("weight", (n, width, width), weights, by_column=by_column)


class StaticProduct:
    """``W_l X_0`` of all layers in one product, for kernels whose layers have a `weight`."""

    def __init__(self, kernel: StackKernel) -> None:
        self.kernel = kernel
        pack_weights(kernel, by_column=0)

    def forward(self, x0: Tensor) -> Tensor:
        """Compute all interactions; (B, d, W) -> (B, d, L, W)."""
        k = self.kernel
        weight = k.packed["weight"].view(-1, k.width)
        out = k.product("static", x0.view(-1, k.width), weight.T)
        return out.view(*x0.shape[:2], k.n_layers, k.width)

    def backward(self, grad: Tensor, g: Tensor) -> Tensor:
        """Add up the gradient of the weights; return `g` plus the gradient of ``x0``."""
        k = self.kernel
        weight = k.packed["weight"].view(-1, k.width)
        grad = grad.view(-1, len(weight))
        k.add_product("weight", grad.T, k.x0)
        return k.plus_product(g.view(-1, k.width), grad, weight).view_as(g)


class Gates:
    """The gate networks of all layers, whose hidden layers are computed in one product.

    Parameters
    ----------
    kernel : StackKernel
        Its layers have a `gate` whose input is flat.
    n_outputs : int
        Number of outputs of a network is `n_groups` times this.
    n_groups : int, default=1
        Each group is followed by zeros up to ``padded(n_outputs)``.
    """

    def __init__(self, kernel: StackKernel, n_outputs: int, n_groups: int = 1) -> None:
        self.kernel = kernel
        gates = [layer.gate for layer in kernel.layers]
        n, inner, depth = kernel.n_layers, kernel.inner_width, kernel.depth
        n_hidden = len(gates[0].hidden.bias)
        hidden, out, h = padded(n_hidden), padded(n_outputs), slice(n_hidden)
        self.hidden, self.outputs = hidden, n_groups * out
        kernel.pack(
            "gate_in",
            (n, hidden, depth, kernel.width),
            (
                (g.hidden.weight, (i, h, ..., slice(inner)), (n_hidden, depth, inner))
                for i, g in enumerate(gates)
            ),
        )
        kernel.pack(
            "gate_in_bias",
            (n, hidden),
            ((g.hidden.bias, (i, h), (n_hidden,)) for i, g in enumerate(gates)),
        )
        groups = n_groups, n_outputs
        kernel.pack(
            "gate_out",
            (n, n_groups, out, hidden),
            (
                (g.output.weight, (i, ..., slice(n_outputs), h), (*groups, n_hidden))
                for i, g in enumerate(gates)
            ),
            by_column=1,
        )
        kernel.pack(
            "gate_out_bias",
            (n, n_groups, out),
            ((g.output.bias, (i, ..., slice(n_outputs)), groups) for i, g in enumerate(gates)),
        )

    def forward(self, x0: Tensor) -> list[Tensor]:
        """Compute the outputs of each layer's network; (B, d, W) -> L times (B, outputs)."""
        k, p = self.kernel, self.kernel.packed
        n_rows = len(x0)
        weight = p["gate_in"].view(k.n_layers * self.hidden, -1)
        self.h = k.product("hidden", x0.view(n_rows, -1), weight.T, p["gate_in_bias"].view(-1))
        self.h.relu_()
        layers = zip(self._by_layer(self.h), p["gate_out"], p["gate_out_bias"], strict=True)
        return [
            k.product(f"gate{i}", h, weight.view(-1, self.hidden).T, bias.view(-1))
            for i, (h, weight, bias) in enumerate(layers)
        ]

    def backward(self, grad: Tensor) -> None:
        """Add up the gradients of the networks, given that of their outputs (B, L, outputs).

        Their input gets no gradient (paper, 3.2).
        """
        k = self.kernel
        h_grad = k.array("hidden_grad", *self.h.shape)
        layers = zip(self._by_layer(self.h), self._by_layer(h_grad), grad.unbind(1), strict=True)
        for i, (h, out, g) in enumerate(layers):
            k.add_product("gate_out", g.T, h, i)
            k.product(out, g, k.packed["gate_out"][i].view(-1, self.hidden))
        h_grad.mul_(self.h.sign())
        k.add_sum("gate_out_bias", grad)
        k.add_sum("gate_in_bias", h_grad)
        k.add_product("gate_in", h_grad.T, k.x0.flatten(1))

    def _by_layer(self, hidden: Tensor) -> Sequence[Tensor]:
        return hidden.view(len(hidden), self.kernel.n_layers, -1).unbind(1)


class SigmoidGates(Gates):
    """Gates ``G = 2σ(net)`` that multiply the rows of an array of all layers."""

    def apply(self, x0: Tensor, array: Tensor, out: Tensor) -> Tensor:
        """Compute ``G ∘ array``, (B, d, L, outputs), with the same G for every d."""
        k = self.kernel
        self.gate = k.array("gates", len(x0), 1, k.n_layers, self.outputs)
        for gate, net in zip(self.gate[:, 0].unbind(1), self.forward(x0), strict=True):
            torch.sigmoid(net, out=gate)
        return torch.mul(array, self.gate.mul_(2), out=out)

    def apply_backward(self, grad: Tensor, array: Tensor) -> None:
        """Add up the gradients of the networks; turn `grad` into the gradient of `array`.

        `array` is overwritten.
        """
        gate_grad = self.kernel.array("gate_grad", *self.gate.shape)
        torch.sum(torch.mul(grad, array, out=array), 1, keepdim=True, out=gate_grad)
        grad.mul_(self.gate)
        gate_grad.mul_(self.gate).addcmul_(gate_grad, self.gate, value=-0.5)  # of 2σ: G (1 - G/2)
        self.backward(gate_grad.squeeze(1))
