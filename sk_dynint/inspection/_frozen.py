"""Interaction layers with their dynamic parts frozen at a row: linear maps of the embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.interactions import (
    PIN,
    DynamicActivation,
    DynamicGeneratedParameters,
    DynamicWeightedParameters,
    InteractionLayer,
)

Product = Callable[[Tensor, Tensor], Tensor]
"""Apply a matrix (K, W) to the last axis of (..., W): as a whole, or field by field."""

Mixing = Callable[[Tensor, Product], Tensor]
"""M of a layer for another embedding than the one that its dynamic part was made of."""


def _pin(layer: Any, x0: Tensor) -> Mixing:
    return lambda z, product: product(z, layer.weight)  # Eq. (3)


def _da(layer: Any, x0: Tensor) -> Mixing:
    gates = layer.gates(x0)
    return lambda z, product: product(z, layer.weight) * gates  # Eq. (4)


def _dgp(layer: Any, x0: Tensor) -> Mixing:
    sigma = layer.generate(x0)
    if layer.sigma == "full":
        return lambda z, product: functional.linear(product(z, layer.v.mT) @ sigma.mT, layer.u)
    sigma = sigma.unsqueeze(1)
    return lambda z, product: functional.linear(product(z, layer.v.mT) * sigma, layer.u)  # Eq. (8)


def _dwp(layer: Any, x0: Tensor) -> Mixing:
    u, v = (factor.unsqueeze(2).unbind(1) for factor in layer.factors(x0))  # (B, 1, W) each

    def mix(z: Tensor, product: Product) -> Tensor:
        heads = (product(v_p * z, layer.weight) for v_p in v)
        return sum_of_products((u_p, head) for u_p, head in zip(u, heads, strict=True))  # Eq. (10)

    return mix


FROZEN: dict[type[InteractionLayer], Callable[[Any, Tensor], Mixing]] = {
    PIN: _pin,
    DynamicActivation: _da,
    DynamicGeneratedParameters: _dgp,
    DynamicWeightedParameters: _dwp,
}
"""Layer type -> its mixing, with what its networks generate from the embedding ``x0`` frozen."""


def sum_of_products(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Add up the products of pairs of tensors."""
    total: Any = None
    for one, other in pairs:
        total = one * other if total is None else total.addcmul_(one, other)
    return total


def product_by_field(n_fields: int) -> Product:
    """Return the product that keeps the contributions of the fields apart.

    Shape: (B, ..., W), (K, W) -> (F, B, ..., K), whose sum over F is the product as a whole.
    """

    def product(z: Tensor, weight: Tensor) -> Tensor:
        *batch, width = z.shape
        n_subspaces = width // n_fields
        parts = z.reshape(-1, n_subspaces, n_fields).permute(2, 0, 1)  # (F, B, H)
        matrices = weight.reshape(-1, n_subspaces, n_fields).permute(2, 1, 0)  # (F, H, K)
        return torch.bmm(parts.contiguous(), matrices.contiguous()).view(n_fields, *batch, -1)

    return product
