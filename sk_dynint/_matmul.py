"""Matrix products on processors where torch's default library is not the fastest.

torch computes single-precision products with MKL, which uses AVX2 at most on processors that are
not Intel's.  oneDNN, which torch contains for half precision and convolutions, uses AVX-512 on all
processors, and is twice as fast on AMD processors that have it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

ONEDNN_MIN_MULTIPLICATIONS = 2**20
"""Size of a product above which oneDNN is used: below, its 10 microseconds of preparation cost more
than it saves."""


@cache
def _mkl_does_without_avx512() -> bool:
    """Whether the processor is an AMD one with AVX-512, and torch was built with both libraries."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return False
    return (
        "AMD" in torch.cpu.get_capabilities().get("cpu_name", "")
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def prefers_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether :func:`onednn_product` is the faster way to multiply such matrices."""
    return device.type == "cpu" and dtype == torch.float32 and _mkl_does_without_avx512()


def onednn_pays(left: Tensor, right: Tensor) -> bool:
    """Whether a product is large enough for oneDNN to be faster, on a processor that prefers it."""
    return left.numel() * right.shape[1] > ONEDNN_MIN_MULTIPLICATIONS


def onednn_product(
    left: Tensor, right: Tensor, bias: Tensor | None = None, plus: Tensor | None = None
) -> Tensor:
    """Compute ``left @ right``, plus a row `bias` or a matrix `plus`, in new memory.

    oneDNN copies a `left` that is not contiguous.  A `right` with gaps between its rows is copied
    here, because oneDNN would take a thousand times as long with it.
    """
    if not (right.is_contiguous() or right.T.is_contiguous()):
        right = right.contiguous()
    operation: Any = torch.ops.mkldnn._linear_pointwise
    if plus is not None:
        return operation.binary(left, plus, right.T, bias, "add")
    return operation(left, right.T, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """Compute ``x @ weight.T + bias``; the gradient of `x` has the memory layout of `x`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        if x.is_contiguous():
            return onednn_product(x, weight.T, bias)
        y = onednn_product(weight, x.T).T
        return y if bias is None else y.add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        x_grad = None
        if of_x and x.is_contiguous():
            x_grad = onednn_product(grad, weight)
        elif of_x:
            x_grad = onednn_product(weight.T, grad.T).T
        weight_grad = onednn_product(grad.T, x) if of_weight else None
        return x_grad, weight_grad, grad.sum(0) if of_bias else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute :func:`torch.nn.functional.linear` by the faster library; (..., n) -> (..., m)."""
    faster = prefers_onednn(x.device, x.dtype) and onednn_pays(x, weight.T)
    if not faster or torch.is_autocast_enabled(x.device.type):
        return functional.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    if not rows.T.is_contiguous():
        rows = rows.contiguous()
    y: Tensor = _Linear.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    return y.reshape(*x.shape[:-1], len(weight))
