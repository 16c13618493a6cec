r"""The logit of a row as a sum of products of linear forms, and its multilinear extension.

With the dynamic parts of a stack frozen at a row x, every entry n of :math:`X_L` is a product of
L + 1 forms that are linear in the fields.  If the vectors of the fields with mask 0 are replaced by
those of a baseline b, the logit is

.. math::

    v(m) = \sum_n w_n \, (b_n + m_{o(n)} \delta_n) \prod_{l=1}^{L} \Bigl(c_{ln} +
        \sum_f a_{lfn} m_f\Bigr), \qquad \delta = x - b

where o(n) is the field of entry n, :math:`a_{lfn}` what field f contributes to
:math:`M_l(\delta)_n`, and :math:`c_l = 1 + M_l(b)`.

The expectation of a product over independent masks is a coefficient of an exponential: with a bit
:math:`t_l` for each form, :math:`t_l^2 = 0`,

.. math::

    E\Bigl[\prod_{l \in S} Y_l\Bigr] = [t^S] \exp\Bigl(\sum_B g(B)\, t^B\Bigr), \qquad
    g(B) = \kappa_{|B|}(q) \sum_f \prod_{l \in B} a_{lf} \; (+\, c_l \text{ if } B = \{l\})

so that its derivative by :math:`g(B)` is the coefficient of :math:`S \setminus B`.  No sum over
set partitions is left, and no loop over fields.
"""

from __future__ import annotations

import threading
from itertools import combinations_with_replacement, permutations
from math import comb, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.inspection._frozen import FROZEN, Mixing, product_by_field
from sk_dynint.interactions import PIN, DynamicActivation, InteractionStack, split_subspaces

MAX_MONOMIALS = 64
"""Products of sub-spaces in a matrix up to which :class:`MatrixForms` is the faster one."""


class FrozenForms:
    r"""The forms of a block of rows; the subclasses differ in how they add up over fields.

    Sets of layers are the bits of a number: bit l - 1 is layer l.  N = F·D entries in the order of
    the stack, (d, W).

    Parameters
    ----------
    stack : InteractionStack
        Its layers are of types in :data:`FROZEN`.
    x : Tensor of shape (B, F, D)
        The rows' embeddings, at which the dynamic parts are frozen.
    baseline : Tensor of shape (F, D), default=None
        Vectors of fields that are absent; None means zero.
    shared : object, default=None
        What `shared_by_blocks` of the class returned for this stack: blocks of rows share it.

    Attributes
    ----------
    full : int
        The set of all layers.
    weight : Tensor of shape (N,)
        Output weight of each entry.
    delta : Tensor of shape (B, d, W)
        Embedding minus baseline.
    constants : list of Tensor of shape (B, N) or float
        :math:`c_l` of each layer.
    sums : dict of int to Tensor of shape (B, N)
        :math:`\sum_f \prod_{l \in B} a_{lfn}` for each set B of layers that is not empty.
    own : dict of int to Tensor of shape (B, N)
        :math:`\delta_n \prod_{l \in B} a_{l\,o(n)\,n}`, for the empty set too.
    """

    def __init__(
        self,
        stack: InteractionStack,
        x: Tensor,
        baseline: Tensor | None = None,
        shared: Any = None,
    ) -> None:
        self.shared = shared
        x0 = split_subspaces(x, stack.n_subspaces)
        self.shape = n_rows, self.depth, self.width = x0.shape
        self.n_fields, self.n_layers = x.shape[1], len(stack.layers)
        self.full = 2**self.n_layers - 1
        self.weight = stack.output.repeat(stack.n_repeats * self.depth)
        self.delta, self.start = x0, None
        self.constants: list[Any] = [1.0] * self.n_layers
        mixings = [FROZEN[type(layer)](layer, x0) for layer in layers_of(stack)]
        if baseline is not None:
            b = split_subspaces(baseline.unsqueeze(0), stack.n_subspaces)
            self.delta, self.start = x0 - b, b.reshape(1, -1)
            self.constants = [1 + mix(b, functional.linear).flatten(1) for mix in mixings]
        self.sums: dict[int, Tensor] = {}
        self.own = {0: self.delta.reshape(n_rows, -1)}
        self._add_up(stack, mixings, x0)

    @classmethod
    def shared_by_blocks(cls, stack: InteractionStack) -> Any:
        """Return what the forms of blocks of rows of a stack can share."""
        raise NotImplementedError

    def _add_up(self, stack: InteractionStack, mixings: list[Mixing], x0: Tensor) -> None:
        """Fill `sums` and `own`."""
        raise NotImplementedError

    def base(self) -> Tensor:
        """Return the logit of the baseline without bias, (B,)."""
        if self.start is None:
            return self.delta.new_zeros(len(self.delta))
        product = self.start.expand(len(self.delta), -1)
        for constant in self.constants:
            product = product * constant
        return product @ self.weight

    def spread(self, slopes: dict[int, Tensor]) -> Tensor:
        r"""Return :math:`\sum_n \sum_B s_{Bn} \prod_{l \in B} a_{lfn}` of slopes (B, N); (B, F)."""
        raise NotImplementedError

    def to_fields(self, entries: Tensor) -> Tensor:
        """Add up the entries of each field; (..., N) -> (..., F)."""
        return entries.view(*entries.shape[:-1], -1, self.n_fields).sum(-2)


class Memory(threading.local):
    """Memory that each thread takes again and again: new pages take longer than the products."""

    def __init__(self) -> None:
        self.entries = torch.empty(0)

    def take(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return an array with arbitrary entries."""
        n = prod(shape)
        if self.entries.numel() < n or self.entries.dtype != like.dtype:
            self.entries = like.new_empty(n)
        return self.entries[:n].view(shape)


class FieldForms(FrozenForms):
    r"""Forms with all coefficients: F·N numbers for each set of layers and row.

    With `shared`, the next block of a thread overwrites the coefficients of the last one.

    Attributes
    ----------
    parts : dict of int to Tensor of shape (F, B, N)
        :math:`\prod_{l \in B} a_{lfn}` for each set B of layers that is not empty.
    """

    @classmethod
    def shared_by_blocks(cls, stack: InteractionStack) -> Memory:
        """Return memory that blocks use one after the other."""
        return Memory()

    def _add_up(self, stack: InteractionStack, mixings: list[Mixing], x0: Tensor) -> None:
        product = product_by_field(self.n_fields)
        shape = self.full + 1, self.n_fields, len(x0), self.depth * self.width
        memory = (self.shared or Memory()).take(shape, x0)
        self.parts: dict[int, Tensor] = {}
        for bit, mix in enumerate(mixings):
            self.parts[1 << bit] = mix(self.delta, product).view(shape[1:])
        self.product = memory[0]
        for mask in range(1, self.full + 1):
            last = 1 << (mask.bit_length() - 1)
            if mask != last:
                factors = self.parts[mask ^ last], self.parts[last]
                self.parts[mask] = torch.mul(*factors, out=memory[mask])
            self.sums[mask] = self.parts[mask].sum(0)
            self.own[mask] = self._diagonal(self.parts[mask]) * self.own[0]

    def _diagonal(self, part: Tensor) -> Tensor:
        """Return what the own field of each entry contributes; (F, B, N) -> (B, N)."""
        by_output = part.view(self.n_fields, part.shape[1], -1, self.n_fields)
        return by_output.diagonal(dim1=0, dim2=3).reshape(part.shape[1:])

    def spread(self, slopes: dict[int, Tensor]) -> Tensor:
        values = self.delta.new_zeros(self.n_fields, len(self.delta))
        for mask, slope in slopes.items():  # a product of matrices would be slower
            values += torch.mul(self.parts[mask], slope, out=self.product).sum(-1)
        return values.T


class MatrixForms(FrozenForms):
    r"""Forms whose sums over fields are matrix products.

    If layer l multiplies by :math:`W_l`, then with one sub-space
    :math:`a_{lfn} = W_{lnf} \delta_f`, and the products over layers, summed over fields, are
    :math:`(W_1 \circ \dots \circ W_k)\, \delta^k`: entrywise products of the matrices, which rows
    share if these are static, times powers of the embedding.  With H sub-spaces the powers become
    monomials of the H entries of a field.  Gates multiply afterwards.
    """

    @staticmethod
    def serves(stack: InteractionStack) -> bool:
        """Whether the matrices are shared by rows or by sub-spaces, and not too many."""
        n_layers, n_subspaces = len(stack.layers), stack.n_subspaces
        if not _is_static(stack):
            return n_subspaces == 1
        return comb(n_subspaces + n_layers - 1, n_layers) <= MAX_MONOMIALS

    @classmethod
    def shared_by_blocks(cls, stack: InteractionStack) -> list[Tensor] | None:
        """Return what the monomials of each degree are multiplied by, if rows share it."""
        if not stack.layers or not cls.serves(stack) or not _is_static(stack):
            return None
        weights = [_by_subspace(layer.weight.mT, stack) for layer in layers_of(stack)]
        return _matrices(weights)

    def _add_up(self, stack: InteractionStack, mixings: list[Mixing], x0: Tensor) -> None:
        self.n_subspaces = stack.n_subspaces
        weights, gates = self._weights(stack, mixings, x0)
        self.gates: dict[int, Any] = {0: 1.0}
        for mask in range(1, self.full + 1):
            last = mask.bit_length() - 1
            self.gates[mask] = self.gates[mask ^ (1 << last)] * gates[last]
            own = self._own(weights[last]) * gates[last]
            self.own[mask] = self.own[mask ^ (1 << last)] * own.reshape(len(x0), -1)
        self.matrices = _matrices(weights) if self.shared is None else self.shared
        self.powers = [self._monomials(size) for size in range(1, self.n_layers + 1)]
        for size, (power, matrix) in enumerate(zip(self.powers, self.matrices, strict=True), 1):
            sums = (power @ matrix).tensor_split(matrix.shape[-1] // self.width, -1)
            for mask, total in zip(sets_of(size, self.n_layers), sums, strict=True):
                self.sums[mask] = (total * self.gates[mask]).reshape(len(x0), -1)

    def _weights(
        self, stack: InteractionStack, mixings: list[Mixing], x0: Tensor
    ) -> tuple[list[Tensor], list[Any]]:
        """Return the matrix of each layer, (H, F, W) or (B, 1, F, W), and its gates."""
        if _is_static(stack):
            layers = layers_of(stack)
            matrices = [layer.weight.mT for layer in layers]
            gates = [layer.gates(x0) if hasattr(layer, "gates") else 1.0 for layer in layers]
        else:
            eye = torch.eye(self.width, dtype=x0.dtype, device=x0.device).unsqueeze(0)
            matrices = [mix(eye, functional.linear) for mix in mixings]
            gates = [1.0] * self.n_layers
        return [_by_subspace(matrix, stack) for matrix in matrices], gates

    def _own(self, weight: Tensor) -> Tensor:
        """Return what the own field of each entry contributes to a layer, (B, d, W)."""
        n, h = self.n_fields, self.n_subspaces
        own = weight.view(*weight.shape[:-1], h, n).diagonal(
            dim1=-3, dim2=-1
        )  # (..., H in, H out, F)
        x = self.delta.view(len(self.delta), self.depth, h, 1, n)
        own = own.unsqueeze(-4) if own.ndim == 4 else own
        return (x * own).sum(2).reshape(self.shape)

    def _monomials(self, size: int) -> Tensor:
        """Return the products of so many entries of each field, (B, d, P·F)."""
        parts = self.delta.view(len(self.delta), self.depth, self.n_subspaces, self.n_fields)
        terms = [
            parts[:, :, list(chosen)].prod(2)
            for chosen in combinations_with_replacement(range(self.n_subspaces), size)
        ]
        return torch.cat(terms, -1)

    def spread(self, slopes: dict[int, Tensor]) -> Tensor:
        values: Any = self.delta.new_zeros(len(self.delta), self.n_fields)
        for size, (power, matrix) in enumerate(zip(self.powers, self.matrices, strict=True), 1):
            masks = sets_of(size, self.n_layers)
            gated = [slopes[mask].view(self.shape) * self.gates[mask] for mask in masks]
            back = torch.cat(gated, -1) @ matrix.mT  # (B, d, P·F)
            values = values + self.to_fields((power * back).sum(1))
        return values


def layers_of(stack: InteractionStack) -> list[Any]:
    """Return the layers as a list."""
    return list(stack.layers)


def sets_of(size: int, n_layers: int) -> list[int]:
    """Return all sets of so many layers."""
    return [mask for mask in range(1, 2**n_layers) if mask.bit_count() == size]


def _is_static(stack: InteractionStack) -> bool:
    """Whether all rows have the same matrices, but for gates."""
    return all(type(layer) in (PIN, DynamicActivation) for layer in stack.layers)


def _by_subspace(matrix: Tensor, stack: InteractionStack) -> Tensor:
    """View the transposed matrix of a layer, (..., W, W), as (..., H, F, W)."""
    *batch, width, _ = matrix.shape
    return matrix.reshape(*batch, stack.n_subspaces, -1, width)


def _matrices(weights: list[Tensor]) -> list[Tensor]:
    """Return what the monomials of each degree are multiplied by, (..., P·F, sets·W) each."""
    n_layers = len(weights)
    return [
        torch.cat([_product(weights, mask) for mask in sets_of(size, n_layers)], -1)
        for size in range(1, n_layers + 1)
    ]


def _product(weights: list[Tensor], mask: int) -> Tensor:
    """Return the entrywise products of the matrices of a set of layers, (..., P·F, W)."""
    layers = [weight for bit, weight in enumerate(weights) if mask >> bit & 1]
    rows = []
    for chosen in combinations_with_replacement(range(weights[0].shape[-3]), len(layers)):
        total: Any = 0.0
        for order in set(permutations(chosen)):
            product: Any = 1.0
            for weight, s in zip(layers, order, strict=True):
                product = product * weight[..., s, :, :]
            total = total + product
        rows.append(total)
    return torch.cat(rows, -2)
