"""Forward and backward of a whole interaction stack by hand: the fast path of the engine.

Autograd can train every stack.  A stack kernel trains one variant without building a graph: layers
that share a factor are computed in one matrix product, and arrays are allocated once and reused.
Tests compare the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from sk_dynint._matmul import onednn_pays, onednn_product, prefers_onednn
from sk_dynint._process import lazy_property
from sk_dynint.interactions import InteractionStack

BLOCK = 256
"""Rows that pass a stack at once: the arrays of a block fit in the processor's cache, while those
of a whole batch do not."""

MKL_MAX_GRADIENT_ENTRIES = 2048
"""Size of a gradient up to which MKL sums over the rows of a block faster than oneDNN, which first
copies the transposed factor."""


class PackedParameter(NamedTuple):
    """Where a parameter, viewed in a certain shape, stands in the packed array `name`."""

    parameter: nn.Parameter
    name: str
    place: tuple[Any, ...]
    shape: tuple[int, ...]


def padded(width: int) -> int:
    """Round a small width up to a multiple of 8, which makes matrix products faster."""
    return width if width >= 128 else -(-width // 8) * 8


def rows_of_block(depth: int) -> int:
    """Rows that pass a stack of depth d at once; more of them where d is small."""
    return max(BLOCK, 4 * BLOCK // depth)  # products of few rows are slow


class StackKernel:
    r"""Base class of the kernels of the variants: logits of blocks of rows, and their gradients.

    Every variant has the form ``X_l = X_{l-1} ∘ M_l + X_{l-1}``, where M_l, the interactions of
    layer l, depends on X_0 only.  A subclass computes them, (B, d, W) each, in `mix`, and their
    gradients in `mix_backward`; the recursion and the output layer are here.  With g the
    gradient of X_l, that of M_l is ``g ∘ X_{l-1}`` and that of X_{l-1} is ``g ∘ M_l + g``.

    The fields of an array may be followed by columns of zeros, up to a width that suits matrix
    products; these columns stay zero in every layer.  :class:`Kernel` documents the methods that
    the engine calls.

    Parameters
    ----------
    stack : InteractionStack
        `load` reads its parameters and `store_gradients` sets their gradients.
    dtype : torch.dtype, default=None
        Precision of arrays and products; None means that of the parameters.  Gradients are summed
        in the precision of the parameters in any case.
    """

    def __init__(self, stack: InteractionStack, dtype: torch.dtype | None = None) -> None:
        self.stack = stack
        self.layers: list[Any] = list(stack.layers)
        first = self.layers[0]
        self.n_layers, self.depth = len(self.layers), first.depth
        self.inner_width = first.width  # W, without columns of zeros
        self.width = padded(first.width)
        self.block = rows_of_block(self.depth)
        self.dtype = dtype or stack.output.dtype
        self.device = stack.output.device
        self.by_onednn = prefers_onednn(self.device, self.dtype)
        self.arrays: dict[tuple[Any, ...], Tensor] = {}
        self.packed: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self.parameters: list[PackedParameter] = []
        self.accumulate = 0  # 1 if `backward` adds to earlier gradients, 0 if it overwrites them
        self.pack("output", (self.depth, self.width), ())
        self.set_up()

    @classmethod
    def serves(cls, layer: Any, penalty: float) -> bool:
        """Whether the kernel computes what a layer with these options does.

        The engine itself adds the gradient of a penalty that depends on parameters only, so a
        positive `penalty` coefficient matters only if the layer's penalty depends on the rows.
        """
        return True

    # ------------------------------------------------------------- parameters

    def set_up(self) -> None:
        """Declare the packed arrays, by `pack`."""
        raise NotImplementedError

    def pack(
        self, name: str, shape: tuple[int, ...], parameters: Any, *, by_column: int | None = None
    ) -> None:
        """Make the array `name`: zeros, and the parameters given as (parameter, place, shape).

        With `by_column`, the last axis is stored at that position in memory.  A tall matrix that is
        stored column by column has a gradient that is a product with few rows, which is faster.
        """
        order = list(shape)
        if by_column is not None:
            order.insert(by_column, order.pop())
        packed = torch.zeros(order, dtype=self.dtype, device=self.device)
        self.packed[name] = packed if by_column is None else packed.movedim(by_column, -1)
        self.parameters += [PackedParameter(p, name, place, size) for p, place, size in parameters]

    def sibling(self) -> Self:
        """Make a kernel for another thread, which shares the packed parameters of this one."""
        other = type(self)(self.stack, self.dtype)
        other.packed = self.packed
        return other

    @lazy_property
    def places(self) -> list[Tensor]:
        """Return the part of a packed array that belongs to each parameter."""
        return [self.packed[p.name][p.place] for p in self.parameters]

    @lazy_property
    def gradient_copies(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the sum of each parameter's gradient, and the contiguous array it is copied to.

        Optimizers of any kind want contiguous gradients; the arrays are reused at every step.
        """
        sums = [self.gradients[p.name][p.place] for p in self.parameters]
        return sums, [torch.empty_like(t, memory_format=torch.contiguous_format) for t in sums]

    @torch.no_grad()
    def load(self) -> None:
        """Copy the present values of the parameters into the packed arrays."""
        torch._foreach_copy_(self.places, [p.view(shape) for p, _, _, shape in self.parameters])
        output = self.packed["output"][:, : self.inner_width]
        output.view(self.depth, self.stack.n_repeats, -1).copy_(self.stack.output)

    def start(self) -> None:
        """Begin new sums of gradients: the next `backward` overwrites the old ones."""
        self.accumulate = 0
        if not self.gradients:
            dtype = self.stack.output.dtype
            self.gradients = {
                name: torch.zeros_like(packed, dtype=dtype) for name, packed in self.packed.items()
            }

    def store_gradients(self, others: list[StackKernel]) -> None:
        """Set the gradients of the parameters to the sums since `start`, here and in `others`."""
        for other in others:
            torch._foreach_add_(list(self.gradients.values()), list(other.gradients.values()))
        sums, buffers = self.gradient_copies
        torch._foreach_copy_(buffers, sums)
        for (p, *_), buffer in zip(self.parameters, buffers, strict=True):
            if p.requires_grad:
                p.grad = buffer.view_as(p)
        output = self.gradients["output"].sum(0)[: self.inner_width]
        if self.stack.output.requires_grad:
            self.stack.output.grad = output.view(self.stack.n_repeats, -1).sum(0)

    # ------------------------------------------------------------ computation

    def array(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Return an array to write to: the same one at every call with this name and shape.

        It holds zeros at the first call.
        """
        key = name, *shape
        if key not in self.arrays:
            self.arrays[key] = torch.zeros(shape, dtype=dtype or self.dtype, device=self.device)
        return self.arrays[key]

    def product(
        self, out: str | Tensor, left: Tensor, right: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """Compute ``left @ right + bias`` into a tensor or into the reused array of that name."""
        if self.by_onednn and onednn_pays(left, right):
            result = onednn_product(left, right, bias)
            return result if isinstance(out, str) else out.copy_(result)
        if isinstance(out, str):
            out = self.array(out, len(left), right.shape[1])
        if bias is None:
            return torch.mm(left, right, out=out)
        return torch.addmm(bias, left, right, out=out)

    def plus_product(self, terms: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Compute ``terms + left @ right``; the result may overwrite `terms`."""
        if self.by_onednn and onednn_pays(left, right):
            return onednn_product(left, right, plus=terms)
        return terms.addmm_(left, right)

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Return the logits of embeddings (B, F, D).

        With `training`, keep the intermediate arrays that `backward` needs.
        """
        n_rows = len(embedding)
        shape = n_rows, self.depth, self.width
        x0 = self.array("split", *shape, dtype=embedding.dtype)
        self._split(x0).copy_(self._split_embedding(embedding))
        self.x0 = x0 if x0.dtype == self.dtype else self.array("x0", *shape).copy_(x0)
        self.mixed = self.mix(self.x0)
        self.xs = [self.x0]
        for layer, m in enumerate(self.mixed):
            x = self.xs[-1]
            out = self.array(f"x{layer + 1 if training else 1}", *shape)
            self.xs.append(torch.addcmul(x, x, m, out=out))
        logit = self.xs[-1].view(n_rows, -1) @ self.packed["output"].view(-1)
        return logit.to(embedding.dtype)

    def backward(self, logit_grad: Tensor, weight: Tensor | None = None, *, out: Tensor) -> None:
        """Write the gradient of the last `forward`'s embeddings; add up those of the weights."""
        n_rows, *_ = shape = self.x0.shape
        logit_grad = logit_grad.to(self.dtype)
        self.add_product("output", logit_grad.view(1, -1), self.xs[-1].view(n_rows, -1))
        g = torch.mul(logit_grad.view(-1, 1, 1), self.packed["output"], out=self.array("g", *shape))
        g_next = self.array("g_next", *shape)
        for x, m in zip(reversed(self.xs[:-1]), reversed(self.mixed), strict=True):
            torch.addcmul(g, g, m, out=g_next)
            torch.mul(g, x, out=m)  # the gradient of M_l overwrites M_l
            g, g_next = g_next, g
        g = self.mix_backward(g)
        dtype = self.stack.output.dtype
        if g.dtype != dtype:  # a permutation that also converts would be slow
            g = self.array("x0_grad", *shape, dtype=dtype).copy_(g)
        self._split_embedding(out).copy_(self._split(g))
        self.accumulate = 1

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """Return M_l of each layer, (B, d, W); keep what `mix_backward` needs."""
        raise NotImplementedError

    def mix_backward(self, g: Tensor) -> Tensor:
        """Add up the gradients of the packed arrays; return `g` plus the gradient of ``x0``.

        The gradients of the M_l are found in the arrays that `mix` returned.
        """
        raise NotImplementedError

    def add_product(self, name: str, left: Tensor, right: Tensor, index: Any = ...) -> None:
        """Add ``left @ right`` to the gradient of a packed array, summed in its precision."""
        right = right.reshape(-1, right.shape[-1])
        gradient = self.gradients[name][index].view(len(left), -1)
        if gradient.stride(0) < gradient.stride(1):  # stored by column
            gradient, left, right = gradient.T, right.T, left.T
        is_small = gradient.numel() <= MKL_MAX_GRADIENT_ENTRIES
        if self.by_onednn and not is_small and onednn_pays(left, right):
            self._add(gradient, onednn_product(left, right))
        elif gradient.dtype == self.dtype:
            gradient.addmm_(left, right, beta=self.accumulate)
        else:
            self._add(gradient, left @ right)

    def add_sum(self, name: str, terms: Tensor) -> None:
        """Add the sum of the rows of `terms` to the gradient of a packed array."""
        gradient = self.gradients[name]
        self._add(gradient, terms.sum(0).view_as(gradient))

    def _add(self, gradient: Tensor, term: Tensor) -> None:
        if self.accumulate:
            gradient += term
        else:
            gradient.copy_(term)

    def _split(self, x: Tensor) -> Tensor:
        """View (B, d, padded W) as (B, d, H, F)."""
        return x[..., : self.inner_width].view(*x.shape[:2], self.stack.n_subspaces, -1)

    def _split_embedding(self, embedding: Tensor) -> Tensor:
        """View (B, F, D) as (B, d, H, F), see :func:`split_subspaces`."""
        sizes = self.stack.n_subspaces, self.depth
        return embedding.view(*embedding.shape[:2], *sizes).permute(0, 3, 2, 1)
