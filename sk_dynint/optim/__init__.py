"""Optimizers that touch only the table rows of a batch, their register, and how they are set up."""

import torch

from sk_dynint.optim._adam import RowAdam
from sk_dynint.optim._ftrl import FTRL
from sk_dynint.optim._policy import (
    FALLBACK,
    OPTIMIZER_DEFAULTS,
    OptimizerPolicy,
    load_optimizer_state,
    optimizer_state,
)
from sk_dynint.optim._rows import RowOptimizer

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"ftrl": FTRL, "adam": RowAdam}
"""Name of an optimizer -> its class."""

__all__ = [
    "FALLBACK",
    "FTRL",
    "OPTIMIZERS",
    "OPTIMIZER_DEFAULTS",
    "OptimizerPolicy",
    "RowAdam",
    "RowOptimizer",
    "load_optimizer_state",
    "optimizer_state",
]
