"""`da`: dynamic activation, a gate on each layer's interactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.interactions._gate import GateInput, GateNetwork
from sk_dynint.interactions._kernel import SigmoidGates, StackKernel, StaticProduct
from sk_dynint.interactions._layer import InteractionLayer, glorot


class DynamicActivationKernel(StackKernel):
    """M_l = (W_l X_0) ∘ G_l with G_l = 2σ(net_l)."""

    @classmethod
    def serves(cls, layer: DynamicActivation, penalty: float) -> bool:
        """Whether there is one gate for a row, from the flat embedding."""
        return layer.gate_depth == 1 and layer.gate.gate_input == "flatten"

    def set_up(self) -> None:
        """Pack W and the gate networks."""
        self.static = StaticProduct(self)
        self.gates = SigmoidGates(self, self.inner_width)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Product, gates, and their product."""
        self.ungated = self.static.forward(x0)
        gated = self.array("gated", *self.ungated.shape)
        self.joined = self.gates.apply(x0, self.ungated, out=gated)
        return self.joined.unbind(2)

    def mix_backward(self, g: Tensor) -> Tensor:
        """Through the gates, then as a static layer."""
        self.gates.apply_backward(self.joined, self.ungated)
        return self.static.backward(self.joined, g)


class DynamicActivation(InteractionLayer):
    r"""DynInt-DA: a static layer whose interactions are gated by the instance (paper, Eq. 4).

    .. math::

        X_l = \bigl(X_{l-1} \circ (W_{l-1} X_0)\bigr) \circ G_{l-1}^{(i)} + X_{l-1},
        \qquad G_{l-1}^{(i)} = 2\,\sigma(net_{l-1}(x))

    The residual is not gated: G = 0 is the identity, G = 1 the static layer.

    Parameters
    ----------
    width, depth : int
        W and d, see :class:`InteractionLayer`.
    reduction : int, default=16
        r of the gate network.
    gate_init : {"glorot", "zeros"}, default="glorot"
        Start of the gate's last layer.  "glorot" starts near 1, as the paper does; with "zeros"
        the first forward pass is that of :class:`PIN`, bit for bit.
    gate_shape : {"feature", "element"}, default="feature"
        One gate for a row (W of them, broadcast over d), or one for every entry (d·W).
    gate_input : {"flatten", "pooled"}, default="flatten"
        See :class:`GateNetwork`.

    Notes
    -----
    Shape: (B, d, W), (B, d, W) -> (B, d, W).  One gate network for each layer.
    """

    stack_kernel = DynamicActivationKernel

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        reduction: int = 16,
        gate_init: Literal["glorot", "zeros"] = "glorot",
        gate_shape: Literal["feature", "element"] = "feature",
        gate_input: GateInput = "flatten",
    ) -> None:
        super().__init__(width, depth)
        if gate_init not in ("glorot", "zeros"):
            raise ValueError(f"{gate_init=!r}; it must be 'glorot' or 'zeros'")
        if gate_shape not in ("feature", "element"):
            raise ValueError(f"{gate_shape=!r}; it must be 'feature' or 'element'")
        self.weight = glorot(width, width)
        self.gate_depth = depth if gate_shape == "element" else 1
        self.gate = GateNetwork(
            width,
            depth,
            self.gate_depth * width,
            reduction=reduction,
            gate_input=gate_input,
            zero_init=gate_init == "zeros",
        )

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (4)."""
        gate = 2 * torch.sigmoid(self.gate(x0)).view(-1, self.gate_depth, self.width)
        return torch.addcmul(x, x, functional.linear(x0, self.weight) * gate)  # Eq. (4)
