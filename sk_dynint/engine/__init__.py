"""The engine: gradients, optimizer steps and logits, by kernels or by autograd."""

from sk_dynint.engine._engine import Batch, Engine, Sums, supports_bfloat16
from sk_dynint.engine._kernel import Kernel
from sk_dynint.engine.kernels import KERNELS, StackKernel

__all__ = ["KERNELS", "Batch", "Engine", "Kernel", "StackKernel", "Sums", "supports_bfloat16"]
