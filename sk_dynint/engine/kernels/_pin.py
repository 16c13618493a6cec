"""Kernel of `pin`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sk_dynint.engine.kernels._parts import StaticProduct
from sk_dynint.engine.kernels._stack import StackKernel


class PINKernel(StackKernel):
    """M_l = W_l X_0."""

    def set_up(self) -> None:
        """Pack the weights W_l."""
        self.static = StaticProduct(self)

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Compute all layers in one product."""
        self.joined = self.static.forward(x0)
        return self.joined.unbind(2)

    def mix_backward(self, g: Tensor) -> Tensor:
        """Compute the gradients of the weights and of ``x0``, in two products."""
        return self.static.backward(self.joined, g)
