"""`da`: dynamic activation, a gate on each layer's interactions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.interactions._gate import GateInput, GateNetwork
from sk_dynint.interactions._layer import InteractionLayer, glorot


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
        Initial values of the gate's last layer.  With "glorot" the gates start near 1, as in the
        paper; with "zeros" the first forward pass equals that of :class:`PIN`, bit for bit.
    gate_shape : {"feature", "element"}, default="feature"
        One gate for a row (W of them, broadcast over d), or one for every entry (d·W).
    gate_input : {"flatten", "pooled"}, default="flatten"
        See :class:`GateNetwork`.

    Notes
    -----
    Shape: (B, d, W), (B, d, W) -> (B, d, W).  One gate network for each layer.
    """

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

    def gates(self, x0: Tensor) -> Tensor:
        """G of every instance, (B, 1, W), or (B, d, W) if ``gate_shape="element"``."""
        return 2 * torch.sigmoid(self.gate(x0)).view(-1, self.gate_depth, self.width)

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (4)."""
        mixed = functional.linear(x0, self.weight) * self.gates(x0)
        return torch.addcmul(x, x, mixed)  # Eq. (4)
