"""Optimizers that touch only the table rows of a batch, and their register."""

import torch

from sk_dynint.optim._adam import RowAdam
from sk_dynint.optim._ftrl import FTRL
from sk_dynint.optim._rows import RowOptimizer

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {"ftrl": FTRL, "adam": RowAdam}

__all__ = ["FTRL", "OPTIMIZERS", "RowAdam", "RowOptimizer"]
