"""Kernels by compiled loops, and matrix products with the parameters where they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor, nn

from sk_dynint._compiled import compiled_loops
from sk_dynint._matmul import onednn_pays, onednn_product, prefers_onednn
from sk_dynint.engine.kernels._stack import rows_of_block
from sk_dynint.interactions import InteractionStack


class CompiledKernel:
    """Base class: what is not a matrix product is a loop of `sk_dynint._compiled`.

    :class:`Kernel` documents the methods that the engine calls.  Unlike those of a
    :class:`StackKernel`, products read the parameters and write their gradients where they lie,
    layer by layer: with small batches, copying matrices takes as long as multiplying by them.

    Parameters
    ----------
    stack : InteractionStack
        Its layers have a `weight`; a kernel reads its parameters and sets their gradients.
    dtype : torch.dtype, default=None
        That of the parameters; None means the same.
    """

    def __init__(self, stack: InteractionStack, dtype: torch.dtype | None = None) -> None:
        loops = compiled_loops(stack.output, dtype)
        assert loops is not None
        self.loops = loops
        self.stack = stack
        self.layers: list[Any] = list(stack.layers)
        first = self.layers[0]
        self.n_layers, self.depth, self.width = len(self.layers), first.depth, first.width
        self.block = rows_of_block(self.depth)
        self.by_onednn = prefers_onednn(stack.output.device, stack.output.dtype)
        self.arrays: dict[tuple[Any, ...], Tensor] = {}
        self.gradients: dict[nn.Parameter, Tensor] = {}
        self.output = stack.output.new_empty(stack.n_repeats, len(stack.output))
        self.accumulate = False  # whether `backward` adds to earlier gradients or overwrites them

    # ------------------------------------------------------------- parameters

    def sibling(self) -> Self:
        """Make a kernel for another thread, which shares the output weights of this one."""
        other = type(self)(self.stack)
        other.output = self.output
        return other

    @torch.no_grad()
    def load(self) -> None:
        """Repeat the output weights; all other parameters are read where they are."""
        self.output.copy_(self.stack.output)

    def start(self) -> None:
        """Begin new sums of gradients: the next `backward` overwrites the old ones."""
        self.accumulate = False
        if not self.gradients:
            self.gradients = {
                p: torch.empty_like(p, memory_format=torch.contiguous_format, requires_grad=False)
                for p in self.stack.parameters()
            }

    def store_gradients(self, others: list[Self]) -> None:
        """Set the gradients of the parameters to the sums since `start`, here and in `others`."""
        output = self.array("output_grad", *self.output.shape)
        for other in others:
            torch._foreach_add_(list(self.gradients.values()), list(other.gradients.values()))
            output += other.array("output_grad", *self.output.shape)
        torch.sum(output, 0, out=self.gradients[self.stack.output])
        for p, gradient in self.gradients.items():
            if p.requires_grad:
                p.grad = gradient

    # ------------------------------------------------------------ computation

    def array(self, name: str, *shape: int) -> Tensor:
        """Return an array to write to: the same one at every call with this name and shape."""
        key = name, *shape
        if key not in self.arrays:
            self.arrays[key] = self.output.new_empty(shape)
        return self.arrays[key]

    def product(self, out: Tensor, left: Tensor, right: Tensor, *, add: bool = False) -> None:
        """Write ``left @ right`` to `out`, or add it."""
        if self.by_onednn and onednn_pays(left, right):
            result = onednn_product(left, right)
            _ = out.add_(result) if add else out.copy_(result)
        else:
            torch.addmm(out, left, right, beta=int(add), out=out)

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Return the logits of embeddings (B, F, D)."""
        n_rows = len(embedding)
        self.x0 = self.array("x0", n_rows, self.depth, self.width)
        self.loops.split(embedding.contiguous().numpy(), self.x0.numpy())
        self.mixed = self.array("mixed", self.n_layers, *self.x0.shape)
        logit = self.array("logit", n_rows)
        with torch.no_grad():
            self.recur(logit)
        return logit

    def backward(self, logit_grad: Tensor, weight: Tensor | None = None, *, out: Tensor) -> None:
        """Write the gradient of the last `forward`'s embeddings; add up those of the weights."""
        g = self.array("g", *self.x0.shape)
        with torch.no_grad():
            self.recur_backward(logit_grad.contiguous(), g)
        self.loops.merge(g.numpy(), out.numpy())
        self.accumulate = True

    def recur(self, logit: Tensor) -> None:
        """Write the logits of `x0`."""
        self.multiply()
        self.loops.recursion(*_arrays(self.x0, self.mixed, self.output, logit))

    def recur_backward(self, logit_grad: Tensor, g: Tensor) -> None:
        """Write the gradient of `x0` to `g`; add up those of the weights."""
        output_grad = self.array("output_grad", *self.output.shape)
        arrays = logit_grad, self.x0, self.mixed, self.output, g, output_grad
        self.loops.recursion_backward(*_arrays(*arrays), self.accumulate)
        self.multiply_backward(g)

    def multiply(self) -> None:
        """Write ``W_l X_0`` of each layer to `mixed`, (L, B, d, W)."""
        x0 = self.x0.view(-1, self.width)
        for layer, out in zip(self.layers, self.mixed, strict=True):
            self.product(out.view(-1, self.width), x0, layer.weight.T)

    def multiply_backward(self, g: Tensor) -> None:
        """Add up the gradients of the W_l, and add to `g`; `mixed` has become its gradient."""
        x0, g = self.x0.view(-1, self.width), g.view(-1, self.width)
        for layer, grad in zip(self.layers, self.mixed, strict=True):
            grad = grad.view(-1, self.width)
            self.product(self.gradients[layer.weight], grad.T, x0, add=self.accumulate)
            self.product(g, grad, layer.weight, add=True)


class CompiledPINKernel(CompiledKernel):
    """M_l = W_l X_0."""


class CompiledDynamicActivationKernel(CompiledKernel):
    """M_l = (W_l X_0) ∘ G_l with G_l = 2σ(net_l); the small nets of all layers go together."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        nets = [(layer.gate.hidden, layer.gate.output) for layer in self.layers]
        self.net_parameters = [
            [hidden.weight for hidden, _ in nets],
            [hidden.bias for hidden, _ in nets],
            [output.weight for _, output in nets],
            [output.bias for _, output in nets],
        ]
        self.nets = [p[0].new_empty(len(p), *p[0].shape) for p in self.net_parameters]
        targets = [each for copies in self.nets for each in copies.unbind()]
        self.net_copies = targets, [p for parameters in self.net_parameters for p in parameters]

    def sibling(self) -> Self:
        """Make a kernel for another thread, which shares the copies of the nets."""
        other = super().sibling()
        other.nets, other.net_copies = self.nets, self.net_copies
        return other

    @torch.no_grad()
    def load(self) -> None:
        """Copy the nets of all layers to arrays of four."""
        super().load()
        torch._foreach_copy_(*self.net_copies)

    def start(self) -> None:
        """Begin new sums; the gradients of the nets are parts of four arrays, too."""
        if not self.gradients:
            super().start()
            self.net_grads = [torch.empty_like(copies) for copies in self.nets]
            for parameters, grads in zip(self.net_parameters, self.net_grads, strict=True):
                self.gradients |= zip(parameters, grads.unbind(), strict=True)
        self.accumulate = False

    def recur(self, logit: Tensor) -> None:
        """Multiply, and compute the nets; gates and recursion go together."""
        self.multiply()
        weight, bias, out_weight, out_bias = self.nets
        n_rows, n_units = len(self.x0), bias.numel()
        hidden = self.array("hidden", n_rows, n_units)
        torch.addmm(bias.view(-1), self.x0.flatten(1), weight.view(n_units, -1).T, out=hidden)
        self.hidden = hidden.relu_().view(n_rows, self.n_layers, -1)
        self.gate = self.array("gate", self.n_layers, n_rows, self.width)
        by_layer = self.hidden.transpose(0, 1)
        torch.baddbmm(out_bias.unsqueeze(1), by_layer, out_weight.mT, out=self.gate)
        arrays = self.x0, self.mixed, self.gate, self.output, logit
        self.loops.gated_recursion(*_arrays(*arrays))

    def recur_backward(self, logit_grad: Tensor, g: Tensor) -> None:
        """Go back through recursion and gates together, then through nets and products."""
        weight, bias, out_weight, out_bias = self.net_grads
        sums = self.array("output_grad", *self.output.shape), out_bias
        arrays = logit_grad, self.x0, self.mixed, self.gate, self.output, g
        self.loops.gated_recursion_backward(*_arrays(*arrays, *sums), self.accumulate)
        self.multiply_backward(g)
        beta, by_layer = int(self.accumulate), self.hidden.transpose(0, 1)
        torch.baddbmm(out_weight, self.gate.mT, by_layer, beta=beta, out=out_weight)
        hidden_grad = torch.bmm(self.gate, self.nets[2], out=self.array("h_grad", *by_layer.shape))
        self.loops.relu_backward(*_arrays(self.hidden, hidden_grad, bias), self.accumulate)
        grad = self.hidden.flatten(1).T
        self.product(weight.view(len(grad), -1), grad, self.x0.flatten(1), add=self.accumulate)


def _arrays(*tensors: Tensor) -> Iterable[Any]:
    return (tensor.numpy() for tensor in tensors)
