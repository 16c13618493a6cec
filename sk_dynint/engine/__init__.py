"""The engine: gradients, optimizer steps and logits, by kernels or by autograd."""

from sk_dynint.engine._engine import AnyBatch, Batch, Engine, MemberBatch, Sums, supports_bfloat16
from sk_dynint.engine._ensemble import EnsembleEngine, make_engine
from sk_dynint.engine._few import FewRows
from sk_dynint.engine._kernel import Kernel
from sk_dynint.engine._threads import Workers
from sk_dynint.engine.kernels import KERNELS, StackKernel

__all__ = [
    "KERNELS",
    "AnyBatch",
    "Batch",
    "Engine",
    "EnsembleEngine",
    "FewRows",
    "Kernel",
    "MemberBatch",
    "StackKernel",
    "Sums",
    "Workers",
    "make_engine",
    "supports_bfloat16",
]
