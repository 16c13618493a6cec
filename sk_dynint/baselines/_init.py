"""Initial values of weights."""

from __future__ import annotations

import torch
from torch import nn


def glorot(*shape: int) -> nn.Parameter:
    """Draw weights from Glorot's uniform distribution over the last two axes, matrix by matrix."""
    n_outputs, n_inputs = shape[-2:]
    limit = (6 / (n_inputs + n_outputs)) ** 0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-limit, limit))
