"""The kernel of every body that has none of its own: autograd."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from sk_dynint._body import Body

AUTOGRAD_BLOCK = 1024
"""Rows that pass a body at once, unless it has a `block` of its own."""


class AutogradKernel:
    """Adapter that gives any body the kernel interface, by autograd.

    Parameters
    ----------
    body : Body
        (B, F, D) -> (B,), or (B, C) of several in one.
    penalty : float, default=0.0
        Coefficient of the body's `penalty`, for a row of weight 1.
    dtype : torch.dtype, default=None
        Precision of matrix products, by autocast; None means that of the parameters.
    """

    def __init__(self, body: Body, penalty: float = 0.0, dtype: torch.dtype | None = None) -> None:
        self.body = body
        self.coefficient = penalty
        self.dtype = dtype
        self.block = body.block or AUTOGRAD_BLOCK

    def sibling(self) -> AutogradKernel:
        """Make a kernel for another thread."""
        return AutogradKernel(self.body, self.coefficient, self.dtype)

    def load(self) -> None:
        """No-op: autograd reads the parameters themselves."""

    def start(self) -> None:
        """No-op: the engine has cleared ``.grad``."""

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Return the logits; with `training`, keep the graph behind them."""
        device = embedding.device.type
        with torch.autocast(device, self.dtype) if self.dtype is not None else nullcontext():
            if not training:
                return self.body(embedding)
            self.embedding = embedding.requires_grad_()
            with torch.enable_grad():
                self.logit = self.body(self.embedding)
                self.penalty = self.body.penalty() if self.coefficient else 0.0
        return self.logit.detach()

    def add_auxiliary(self, logit: Tensor, target: Tensor, weight: Tensor, *, out: Tensor) -> None:
        """Add the gradient of the body's auxiliary loss, if it has one, to `out` (B,).

        `logit` is the whole one, with bias and linear part.  The rest of the loss's gradient, which
        does not pass through this logit, is left to `backward`.
        """
        if self.body.has_auxiliary:
            with torch.enable_grad():
                logit = logit.detach().requires_grad_()
                self.loss = weight.sum() * self.body.auxiliary(logit, target, weight)
            out += torch.autograd.grad(
                self.loss, logit, retain_graph=True, allow_unused=True, materialize_grads=True
            )[0]

    def backward(self, logit_grad: Tensor, weight: Tensor, *, out: Tensor) -> None:
        """Write the gradient of the embedding; autograd adds up those of the parameters."""
        with torch.enable_grad():
            total = (self.logit * logit_grad).sum()
            if self.body.has_auxiliary:
                total = total + self.loss
            if self.coefficient:
                total = total + self.coefficient * (weight * self.penalty).sum()
        total.backward()
        assert self.embedding.grad is not None
        out.copy_(self.embedding.grad)

    def store_gradients(self, others: list[AutogradKernel]) -> None:
        """No-op: autograd has already filled ``.grad``."""
