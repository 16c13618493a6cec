"""Forward and backward of a whole stack by hand: the fast path of training and prediction.

Autograd serves every stack; a kernel serves one variant, with the products of all layers in one
where they share a factor, arrays that are made once and reused, and no graph.  Tests compare the
two.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from sk_dynint._matmul import onednn_pays, onednn_product, prefers_onednn

if TYPE_CHECKING:
    from sk_dynint.interactions._stack import InteractionStack


BLOCK = 256
"""Rows that pass a stack at once: arrays of a block fit in the processor's cache, those of a batch
do not."""


FEW_ENTRIES = 2048
"""Up to so many entries, MKL is the faster one to sum over many rows in a product: oneDNN copies
the transposed factor first."""


class Piece(NamedTuple):
    """Where a parameter, in a certain shape, stands in the packed array of that name."""

    parameter: nn.Parameter
    name: str
    place: tuple[Any, ...]
    shape: tuple[int, ...]


def padded(width: int) -> int:
    """Round a small width up to a multiple of 8: matrix products are faster with that."""
    return width if width >= 128 else -(-width // 8) * 8


class StackKernel:
    r"""Logits of blocks of rows, and the gradients that follow from those of the logits.

    Every variant has the form ``X_l = X_{l-1} ∘ M_l + X_{l-1}``, where M_l, the interactions of
    layer l, depends on X_0 only.  A subclass computes them, (B, d, W) each, in `mix`, and their
    gradients in `mix_backward`; the recursion and the output layer are here.  With g the
    gradient of X_l, that of M_l is ``g ∘ X_{l-1}`` and that of X_{l-1} is ``g ∘ M_l + g``.

    Fields may be followed by columns of zeros, up to a width that suits matrix products; they
    stay zero in every layer.

    Parameters
    ----------
    stack : InteractionStack
        Whose parameters are read by `load` and get gradients by `store_gradients`.
    dtype : torch.dtype, default=None
        Precision of arrays and products; None means that of the parameters, in which gradients
        are summed in any case.
    """

    def __init__(self, stack: InteractionStack, dtype: torch.dtype | None = None) -> None:
        self.stack = stack
        self.layers: list[Any] = list(stack.layers)
        first = self.layers[0]
        self.n_layers, self.depth = len(self.layers), first.depth
        self.inner_width = first.width  # W, without columns of zeros
        self.width = padded(first.width)
        self.block = max(BLOCK, 4 * BLOCK // self.depth)  # products of few rows are slow
        self.dtype = dtype or stack.output.dtype
        self.device = stack.output.device
        self.by_onednn = prefers_onednn(self.device, self.dtype)
        self.arrays: dict[tuple[Any, ...], Tensor] = {}
        self.packed: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self.pieces: list[Piece] = []
        self.kept = 0  # factor of earlier gradients in a sum
        self.pack("output", (self.depth, self.width), ())
        self.set_up()

    @classmethod
    def serves(cls, layer: Any, penalty: float) -> bool:
        """Whether the kernel covers the options of this layer.

        A `penalty` that depends on parameters only is added by the caller.
        """
        return True

    # ------------------------------------------------------------- parameters

    def set_up(self) -> None:
        """Declare the packed arrays, by `pack`."""
        raise NotImplementedError

    def pack(
        self, name: str, shape: tuple[int, ...], pieces: Any, *, by_column: int | None = None
    ) -> None:
        """Make the array `name`, zero but for the given (parameter, place, shape).

        Its last axis may stand at `by_column` in memory: a tall matrix that lies there column by
        column has a gradient that is a product with few rows, which is the faster one.
        """
        order = list(shape)
        if by_column is not None:
            order.insert(by_column, order.pop())
        packed = torch.zeros(order, dtype=self.dtype, device=self.device)
        self.packed[name] = packed if by_column is None else packed.movedim(by_column, -1)
        self.pieces += [Piece(p, name, place, size) for p, place, size in pieces]

    def sibling(self) -> Self:
        """Another kernel, with the same packed parameters: what one has loaded both have."""
        other = type(self)(self.stack, self.dtype)
        other.packed = self.packed
        return other

    @cached_property
    def places(self) -> list[Tensor]:
        """Where each piece stands."""
        return [self.packed[piece.name][piece.place] for piece in self.pieces]

    @torch.no_grad()
    def load(self) -> None:
        """Read the parameters."""
        torch._foreach_copy_(self.places, [p.view(shape) for p, _, _, shape in self.pieces])
        output = self.stack.output.repeat(self.stack.n_repeats)
        self.packed["output"][:, : self.inner_width].copy_(output)

    def start(self) -> None:
        """Begin the sums of gradients anew: the next `backward` overwrites them."""
        self.kept = 0
        if not self.gradients:
            dtype = self.stack.output.dtype
            self.gradients = {
                name: torch.zeros_like(packed, dtype=dtype) for name, packed in self.packed.items()
            }

    def store_gradients(self, others: list[StackKernel]) -> None:
        """Hand the sums of the gradients since `start`, here and in `others`, to the parameters."""
        for other in others:
            torch._foreach_add_(list(self.gradients.values()), list(other.gradients.values()))
        for p, name, place, _ in self.pieces:
            if p.requires_grad:
                p.grad = self.gradients[name][place].reshape(p.shape).contiguous()
        output = self.gradients["output"].sum(0)[: self.inner_width]
        if self.stack.output.requires_grad:
            self.stack.output.grad = output.view(self.stack.n_repeats, -1).sum(0)

    # ------------------------------------------------------------ computation

    def array(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Array of this shape to write to; the same one at every call, zero at the first."""
        key = name, *shape
        if key not in self.arrays:
            self.arrays[key] = torch.zeros(shape, dtype=dtype or self.dtype, device=self.device)
        return self.arrays[key]

    def product(
        self, out: str | Tensor, left: Tensor, right: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """``left @ right + bias``, in `out` or where it lasts until the next one of that name."""
        if self.by_onednn and onednn_pays(left, right):
            result = onednn_product(left, right, bias)
            return result if isinstance(out, str) else out.copy_(result)
        if isinstance(out, str):
            out = self.array(out, len(left), right.shape[1])
        if bias is None:
            return torch.mm(left, right, out=out)
        return torch.addmm(bias, left, right, out=out)

    def plus_product(self, terms: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """``terms + left @ right``, in the place of `terms` or in new memory."""
        if self.by_onednn and onednn_pays(left, right):
            return onednn_product(left, right, plus=terms)
        return terms.addmm_(left, right)

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Logits of embeddings (B, F, D); with `training` all is kept that `backward` needs."""
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
        """Gradient of the embeddings of the last `forward`; those of the weights are added up."""
        n_rows, *_ = shape = self.x0.shape
        logit_grad = logit_grad.to(self.dtype)
        self.add_product("output", logit_grad.view(1, -1), self.xs[-1].view(n_rows, -1))
        g = torch.mul(logit_grad.view(-1, 1, 1), self.packed["output"], out=self.array("g", *shape))
        g_next = self.array("g_next", *shape)
        for x, m in zip(reversed(self.xs[:-1]), reversed(self.mixed), strict=True):
            torch.addcmul(g, g, m, out=g_next)
            torch.mul(g, x, out=m)  # its gradient takes the place of M_l
            g, g_next = g_next, g
        g = self.mix_backward(g)
        dtype = self.stack.output.dtype
        if g.dtype != dtype:  # a permutation that also converts would be slow
            g = self.array("x0_grad", *shape, dtype=dtype).copy_(g)
        self._split_embedding(out).copy_(self._split(g))
        self.kept = 1

    def mix(self, x0: Tensor) -> Sequence[Tensor]:
        """M_l of each layer, (B, d, W), and whatever `mix_backward` wants kept."""
        raise NotImplementedError

    def mix_backward(self, g: Tensor) -> Tensor:
        """Add the gradients of the packed arrays up; return `g` plus that of ``x0``.

        The gradients of M_l stand where `mix` left M_l.
        """
        raise NotImplementedError

    def add_product(self, name: str, left: Tensor, right: Tensor, index: Any = ...) -> None:
        """Add ``left @ right`` to the gradient of a packed array, summed in its precision."""
        right = right.reshape(-1, right.shape[-1])
        gradient = self.gradients[name][index].view(len(left), -1)
        if gradient.stride(0) < gradient.stride(1):  # by column
            gradient, left, right = gradient.T, right.T, left.T
        if self.by_onednn and gradient.numel() > FEW_ENTRIES and onednn_pays(left, right):
            self._add(gradient, onednn_product(left, right))
        elif gradient.dtype == self.dtype:
            gradient.addmm_(left, right, beta=self.kept)
        else:
            self._add(gradient, left @ right)

    def add_sum(self, name: str, terms: Tensor) -> None:
        """Add the sum of the rows of `terms` to the gradient of a packed array."""
        gradient = self.gradients[name]
        self._add(gradient, terms.sum(0).view_as(gradient))

    def _add(self, gradient: Tensor, term: Tensor) -> None:
        if self.kept:
            gradient += term
        else:
            gradient.copy_(term)

    def _split(self, x: Tensor) -> Tensor:
        """(B, d, padded W) seen as (B, d, H, F)."""
        return x[..., : self.inner_width].view(*x.shape[:2], self.stack.n_subspaces, -1)

    def _split_embedding(self, embedding: Tensor) -> Tensor:
        """(B, F, D) seen as (B, d, H, F), see :func:`split_subspaces`."""
        sizes = self.stack.n_subspaces, self.depth
        return embedding.view(*embedding.shape[:2], *sizes).permute(0, 3, 2, 1)


def pack_weights(kernel: StackKernel, *, by_column: int | None = None) -> None:
    """Pack the `weight` that each layer has, (L, W, W)."""
    n, width, inner = kernel.n_layers, kernel.width, kernel.inner_width
    pieces = (
        (layer.weight, (i, slice(inner), slice(inner)), (inner, inner))
        for i, layer in enumerate(kernel.layers)
    )
    kernel.pack("weight", (n, width, width), pieces, by_column=by_column)


class StaticProduct:
    """``W_l X_0`` of all layers in one product; for kernels whose layers have a `weight`."""

    def __init__(self, kernel: StackKernel) -> None:
        self.kernel = kernel
        pack_weights(kernel, by_column=0)

    def forward(self, x0: Tensor) -> Tensor:
        """(B, d, W) -> (B, d, L, W)."""
        k = self.kernel
        weight = k.packed["weight"].view(-1, k.width)
        out = k.product("static", x0.view(-1, k.width), weight.T)
        return out.view(*x0.shape[:2], k.n_layers, k.width)

    def backward(self, grad: Tensor, g: Tensor) -> Tensor:
        """Gradients of the weights; `g` plus that of ``x0``."""
        k = self.kernel
        weight = k.packed["weight"].view(-1, k.width)
        grad = grad.view(-1, len(weight))
        k.add_product("weight", grad.T, k.x0)
        return k.plus_product(g.view(-1, k.width), grad, weight).view_as(g)


class Gates:
    """The gate networks of all layers: their first halves in one product.

    Parameters
    ----------
    kernel : StackKernel
        Its layers have a `gate` whose input is flat.
    n_outputs : int
        Number of outputs of a network is `n_groups` times this.
    n_groups : int, default=1
        Each group is followed by zeros up to ``padded(n_outputs)``.
    """

    def __init__(self, kernel: StackKernel, n_outputs: int, n_groups: int = 1) -> None:
        self.kernel = kernel
        gates = [layer.gate for layer in kernel.layers]
        n, inner, depth = kernel.n_layers, kernel.inner_width, kernel.depth
        n_hidden = len(gates[0].hidden.bias)
        hidden, out, h = padded(n_hidden), padded(n_outputs), slice(n_hidden)
        self.hidden, self.outputs = hidden, n_groups * out
        kernel.pack(
            "gate_in",
            (n, hidden, depth, kernel.width),
            (
                (g.hidden.weight, (i, h, ..., slice(inner)), (n_hidden, depth, inner))
                for i, g in enumerate(gates)
            ),
        )
        kernel.pack(
            "gate_in_bias",
            (n, hidden),
            ((g.hidden.bias, (i, h), (n_hidden,)) for i, g in enumerate(gates)),
        )
        groups = n_groups, n_outputs
        kernel.pack(
            "gate_out",
            (n, n_groups, out, hidden),
            (
                (g.output.weight, (i, ..., slice(n_outputs), h), (*groups, n_hidden))
                for i, g in enumerate(gates)
            ),
            by_column=1,
        )
        kernel.pack(
            "gate_out_bias",
            (n, n_groups, out),
            ((g.output.bias, (i, ..., slice(n_outputs)), groups) for i, g in enumerate(gates)),
        )

    def forward(self, x0: Tensor) -> list[Tensor]:
        """(B, d, W) -> (B, outputs) of each layer."""
        k, p = self.kernel, self.kernel.packed
        n_rows = len(x0)
        weight = p["gate_in"].view(k.n_layers * self.hidden, -1)
        self.h = k.product("hidden", x0.view(n_rows, -1), weight.T, p["gate_in_bias"].view(-1))
        self.h.relu_()
        layers = zip(self._by_layer(self.h), p["gate_out"], p["gate_out_bias"], strict=True)
        return [
            k.product(f"gate{i}", h, weight.view(-1, self.hidden).T, bias.view(-1))
            for i, (h, weight, bias) in enumerate(layers)
        ]

    def backward(self, grad: Tensor) -> None:
        """Gradients of the networks, (B, L, outputs) given; none of their input (paper, 3.2)."""
        k = self.kernel
        h_grad = k.array("hidden_grad", *self.h.shape)
        layers = zip(self._by_layer(self.h), self._by_layer(h_grad), grad.unbind(1), strict=True)
        for i, (h, out, g) in enumerate(layers):
            k.add_product("gate_out", g.T, h, i)
            k.product(out, g, k.packed["gate_out"][i].view(-1, self.hidden))
        h_grad.mul_(self.h.sign())
        k.add_sum("gate_out_bias", grad)
        k.add_sum("gate_in_bias", h_grad)
        k.add_product("gate_in", h_grad.T, k.x0.flatten(1))

    def _by_layer(self, hidden: Tensor) -> Sequence[Tensor]:
        return hidden.view(len(hidden), self.kernel.n_layers, -1).unbind(1)


class SigmoidGates(Gates):
    """Gates ``G = 2σ(net)`` on the rows of an array of all layers."""

    def apply(self, x0: Tensor, array: Tensor, out: Tensor) -> Tensor:
        """``G ∘ array``, (B, d, L, outputs), the same G for every d."""
        k = self.kernel
        self.gate = k.array("gates", len(x0), 1, k.n_layers, self.outputs)
        for gate, net in zip(self.gate[:, 0].unbind(1), self.forward(x0), strict=True):
            torch.sigmoid(net, out=gate)
        return torch.mul(array, self.gate.mul_(2), out=out)

    def apply_backward(self, grad: Tensor, array: Tensor) -> None:
        """Gradients of the networks; turn `grad` into that of `array`, which is overwritten."""
        gate_grad = self.kernel.array("gate_grad", *self.gate.shape)
        torch.sum(torch.mul(grad, array, out=array), 1, keepdim=True, out=gate_grad)
        grad.mul_(self.gate)
        gate_grad.mul_(self.gate).addcmul_(gate_grad, self.gate, value=-0.5)  # of 2σ: G (1 - G/2)
        self.backward(gate_grad.squeeze(1))
