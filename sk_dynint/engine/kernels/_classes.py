"""The kernel of several bodies in one: a kernel for each, over the same embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from sk_dynint._module import ClassBodies
from sk_dynint.engine._kernel import Kernel


class ClassKernels:
    """Logits of all classes, and the sum of their gradients.

    :class:`Kernel` documents the methods that the engine calls.

    Parameters
    ----------
    kernels : list of Kernel
        The kernel of each body.
    """

    def __init__(self, kernels: list[Kernel]) -> None:
        self.kernels = kernels
        self.block = kernels[0].block

    @classmethod
    def made_by(
        cls, kernel: Callable[..., Kernel], bodies: ClassBodies, dtype: torch.dtype | None = None
    ) -> Self:
        """Make the kernels of bodies; `dtype` as in :class:`StackKernel`."""
        return cls([kernel(body, dtype) for body in bodies.bodies])

    def sibling(self) -> Self:
        """Make a kernel for another thread."""
        return type(self)([kernel.sibling() for kernel in self.kernels])

    def load(self) -> None:
        """Read the present values of the parameters."""
        for kernel in self.kernels:
            kernel.load()

    def start(self) -> None:
        """Begin new sums of gradients."""
        for kernel in self.kernels:
            kernel.start()

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Return the logits (B, C) of embeddings (B, F, D)."""
        return torch.stack([kernel.forward(embedding, training) for kernel in self.kernels], 1)

    def backward(self, logit_grad: Tensor, weight: Tensor, *, out: Tensor) -> None:
        """Write the sum of the gradients of the embeddings; add up those of the weights."""
        out.zero_()
        part = torch.empty_like(out)
        for kernel, grad in zip(self.kernels, logit_grad.unbind(1), strict=True):
            kernel.backward(grad, weight, out=part)
            out += part

    def store_gradients(self, others: list[Self]) -> None:
        """Set the gradients of all parameters, here and in `others`."""
        for i, kernel in enumerate(self.kernels):
            kernel.store_gradients([other.kernels[i] for other in others])
