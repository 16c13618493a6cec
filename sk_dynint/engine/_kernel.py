"""The contract of a kernel: how the engine computes a body, forward and backward."""

from __future__ import annotations

from typing import Any, Protocol, Self

from torch import Tensor


class Kernel(Protocol):
    """Computes logits from embeddings, and gradients from those of the logits.

    The engine calls `load` when parameters may have changed, then `forward` for each block of rows.
    In training it calls `start`, then `forward` and `backward` for each block, and at the end of
    the batch `store_gradients` on one of the kernels that shared it.  Each thread has a kernel of
    its own, so a kernel may keep arrays between calls.

    Attributes
    ----------
    block : int
        Number of rows that one call should compute.
    """

    block: int

    def sibling(self) -> Self:
        """Make a kernel for another thread; `load` of one of them serves both."""

    def load(self) -> None:
        """Read the present values of the parameters."""

    def start(self) -> None:
        """Begin a batch: forget the gradients of the last one."""

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Return logits, (B,) or (B, C), of embeddings (B, F, D); in `training` for `backward`."""

    def backward(self, logit_grad: Tensor, weight: Tensor, *, out: Tensor) -> None:
        """Write the gradient of the embeddings of the last `forward` to `out` (B, F, D).

        Add the gradients of the body's parameters to those of earlier blocks.  `weight` (B,) are
        the weights of the rows, for a penalty that depends on the row.
        """

    def store_gradients(self, others: list[Any]) -> None:
        """Set ``.grad`` of each parameter to its sum over the blocks, here and in `others`."""
