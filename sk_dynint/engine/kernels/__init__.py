"""Kernels written by hand, and their register: one class in one file for each variant."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from sk_dynint._body import Body
from sk_dynint._compiled import compiled_loops
from sk_dynint._module import ClassBodies
from sk_dynint.engine._kernel import Kernel
from sk_dynint.engine.kernels._classes import ClassKernels
from sk_dynint.engine.kernels._compiled import (
    CompiledDynamicActivationKernel,
    CompiledKernel,
    CompiledPINKernel,
)
from sk_dynint.engine.kernels._da import DynamicActivationKernel
from sk_dynint.engine.kernels._dgp import DynamicGeneratedParametersKernel
from sk_dynint.engine.kernels._dwp import DynamicWeightedParametersKernel
from sk_dynint.engine.kernels._pin import PINKernel
from sk_dynint.engine.kernels._stack import StackKernel
from sk_dynint.interactions import (
    PIN,
    DynamicActivation,
    DynamicGeneratedParameters,
    DynamicWeightedParameters,
    InteractionLayer,
    InteractionStack,
)

KERNELS: dict[tuple[type[InteractionLayer], str], type[StackKernel]] = {
    (layer, device): kernel
    for device in ("cpu", "cuda")
    for layer, kernel in {
        PIN: PINKernel,
        DynamicActivation: DynamicActivationKernel,
        DynamicGeneratedParameters: DynamicGeneratedParametersKernel,
        DynamicWeightedParameters: DynamicWeightedParametersKernel,
    }.items()
}
"""(layer type, device type) -> kernel.  Types are matched exactly, because a subclass may compute
something else."""

COMPILED: dict[type[StackKernel], type[CompiledKernel]] = {
    PINKernel: CompiledPINKernel,
    DynamicActivationKernel: CompiledDynamicActivationKernel,
}
"""Kernel -> the one that takes its place where there are compiled loops."""


def find_kernel(
    body: Body, device: str = "cpu", penalty: float = 0.0, dtype: torch.dtype | None = None
) -> Callable[..., Kernel] | None:
    """Return what makes the kernel of `body` on a device, called with body and dtype, or None.

    Parameters
    ----------
    body : Body
        Any body; only stacks of interaction layers have kernels, one or a stack for each class.
    device : str, default="cpu"
        Type of the device that holds its parameters.
    penalty : float, default=0.0
        Coefficient of the body's penalty.
    dtype : torch.dtype, default=None
        What the kernel is going to compute in; None means the type of the parameters.
    """
    if isinstance(body, ClassBodies):
        kinds = {_find_stack_kernel(each, device, penalty, dtype) for each in body.bodies}
        kind = kinds.pop() if len(kinds) == 1 else None
        return partial(ClassKernels.made_by, kind) if kind else None
    return _find_stack_kernel(body, device, penalty, dtype)


def _find_stack_kernel(
    body: Any, device: str, penalty: float, dtype: torch.dtype | None
) -> type[StackKernel] | type[CompiledKernel] | None:
    """Return the class of the kernel of a stack, or None."""
    if not isinstance(body, InteractionStack) or type(body).forward is not InteractionStack.forward:
        return None
    layers: list[InteractionLayer] = list(body.layers)  # type: ignore[arg-type]
    kernels = {KERNELS.get((type(layer), device)) for layer in layers}
    kernel = kernels.pop() if len(kernels) == 1 else None
    if kernel is None or not all(kernel.serves(layer, penalty) for layer in layers):
        return None
    compiled = COMPILED.get(kernel)
    return compiled if compiled and compiled_loops(body.output, dtype) else kernel


__all__ = ["COMPILED", "KERNELS", "StackKernel", "find_kernel"]
