"""Expectations of the logit over masks, by recursion over sets of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sk_dynint.inspection._forms import FrozenForms
from sk_dynint.inspection._frozen import sum_of_products
from sk_dynint.inspection._moments import cumulants, subsets


class Extension:
    """Expectations of products of forms, for masks that are 1 with probability q.

    Parameters
    ----------
    forms : FrozenForms
        The forms.
    nodes : array-like of shape (Q,)
        Probabilities.

    Attributes
    ----------
    layers : dict of int to Tensor of shape (Q, B, N)
        Expectation of the product over each set of layers.
    whole : dict of int to Tensor of shape (Q, B, N)
        The same times the embedding, which is the first of the forms.
    """

    def __init__(self, forms: FrozenForms, nodes: Any) -> None:
        self.forms = forms
        self.nodes = np.asarray(nodes)
        like = forms.delta
        kappa = [
            like.new_tensor(k(self.nodes)).view(-1, 1, 1) for k in cumulants(forms.n_layers + 1)
        ]
        g: dict[int, Tensor] = {}
        for mask, total in forms.sums.items():
            g[mask] = kappa[mask.bit_count() - 1] * total
        for bit, constant in enumerate(forms.constants):
            g[1 << bit] = g[1 << bit] + constant
        with_own = {mask: kappa[mask.bit_count()] * own for mask, own in forms.own.items()}
        if forms.start is not None:
            with_own[0] = with_own[0] + forms.start
        one = torch.ones_like(with_own[0])
        self.layers = {0: one}
        for mask in range(1, forms.full + 1):
            low = mask & -mask
            self.layers[mask] = sum_of_products(
                (g[low | rest], self.layers[mask ^ low ^ rest]) for rest in subsets(mask ^ low)
            )
        self.whole = {
            mask: sum_of_products(
                (with_own[part], self.layers[mask ^ part]) for part in subsets(mask)
            )
            for mask in range(forms.full + 1)
        }

    def value(self) -> Tensor:
        """Return the expectation of the logit without bias, (Q, B)."""
        return self.whole[self.forms.full] @ self.forms.weight
