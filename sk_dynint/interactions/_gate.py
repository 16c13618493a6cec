"""The two-layer network that makes a layer instance-aware."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

GateInput = Literal["flatten", "pooled"]


class GateNetwork(nn.Module):
    r"""Two-layer DNN on the embedding, whose gradient it blocks (paper, 3.2 and 3.5).

    .. math:: net(x) = A_2\,\mathrm{relu}(A_1 x + a_1) + a_2, \qquad x = \mathrm{stopgrad}(X_0)

    Parameters
    ----------
    width, depth : int
        Shape of ``x0``: W rows of d entries.
    n_outputs : int
        Number of values to generate for every instance.
    reduction : int, default=16
        r; the hidden layer has ``max(1, n_inputs // r)`` units.  The paper searches 2 to 16.
    gate_input : {"flatten", "pooled"}, default="flatten"
        All W·d entries, or the mean of each row (squeeze-and-excitation).
        NOTE[DIFF]: the paper leaves this open; the authors' later code flattens.
    zero_init : bool, default=False
        Start the last layer at zero, so that the output is exactly 0 at first.

    Notes
    -----
    Weights start from Glorot's uniform distribution, biases from zero: a zero-mean output.
    Shape: (B, d, W) -> (B, n_outputs).
    """

    def __init__(
        self,
        width: int,
        depth: int,
        n_outputs: int,
        *,
        reduction: int = 16,
        gate_input: GateInput = "flatten",
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        if gate_input not in ("flatten", "pooled"):
            raise ValueError(f"{gate_input=!r}; it must be 'flatten' or 'pooled'")
        self.gate_input = gate_input
        n_inputs = width * depth if gate_input == "flatten" else width
        n_hidden = max(1, n_inputs // reduction)
        self.hidden = nn.Linear(n_inputs, n_hidden)
        self.output = nn.Linear(n_hidden, n_outputs)
        for linear in (self.hidden, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        if zero_init:
            nn.init.zeros_(self.output.weight)

    def forward(self, x0: Tensor) -> Tensor:
        """Generate ``n_outputs`` numbers for every instance of ``x0`` (B, d, W)."""
        x = x0.detach()  # the gate must not move what it looks at (paper, 3.2)
        x = x.flatten(1) if self.gate_input == "flatten" else x.mean(1)
        return self.output(torch.relu(self.hidden(x)))
