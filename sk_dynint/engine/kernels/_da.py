"""Kernel of `da`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sk_dynint.engine.kernels._parts import SigmoidGates, StaticProduct
from sk_dynint.engine.kernels._stack import StackKernel
from sk_dynint.interactions import DynamicActivation


class DynamicActivationKernel(StackKernel):
    """M_l = (W_l X_0) ∘ G_l with G_l = 2σ(net_l)."""

    @classmethod
    def serves(cls, layer: DynamicActivation, penalty: float) -> bool:
        """Whether a row of X_0 has one gate, and the gates look at the flat embedding."""
        return layer.gate_depth == 1 and layer.gate.gate_input == "flatten"

    def set_up(self) -> None:
        """Pack the weights W_l and the gate networks."""
        self.static = StaticProduct(self)
        self.gates = SigmoidGates(self, self.inner_width)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Compute the interactions and the gates of all layers, and multiply them."""
        self.ungated = self.static.forward(x0)
        gated = self.array("gated", *self.ungated.shape)
        self.joined = self.gates.apply(x0, self.ungated, out=gated)
        return self.joined.unbind(2)

    def mix_backward(self, g: Tensor) -> Tensor:
        """Go back through the gates, then through the interactions as in `pin`."""
        self.gates.apply_backward(self.joined, self.ungated)
        return self.static.backward(self.joined, g)
