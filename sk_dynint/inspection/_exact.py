"""Exact Shapley values and interactions of a stack's logit, for blocks of rows."""

from __future__ import annotations

import torch
from torch import Tensor

from sk_dynint.inspection._extension import Extension
from sk_dynint.inspection._forms import FieldForms, FrozenForms
from sk_dynint.inspection._frozen import sum_of_products
from sk_dynint.inspection._moments import cumulants, gauss, subsets


class Integrals:
    """Weights of the derivatives of the extension, integrated over the probability.

    Parameters
    ----------
    forms : FrozenForms
        The forms.
    order : int
        How often to derive: the integrand is a polynomial in q of degree L + 1 - `order`.
    """

    def __init__(self, forms: FrozenForms, order: int) -> None:
        nodes, weights = gauss(max(0, forms.n_layers + 1 - order))
        self.forms, self.weights = forms, weights
        self.extension = Extension(forms, nodes)
        self.slopes = [k.deriv()(nodes) for k in cumulants(forms.n_layers + 1)]

    def __call__(self, moments: dict[int, Tensor], rest: int, *sizes: int) -> Tensor:
        """Integrate moments of the set `rest` times the slopes of cumulants of these orders."""
        weights = self.weights.copy()
        for size in sizes:
            weights *= self.slopes[size - 1]
        factors = moments[rest].new_tensor(weights)
        return torch.tensordot(factors, moments[rest], 1) * self.forms.weight


def exact_values(forms: FrozenForms) -> Tensor:
    r"""Return the Shapley values of the fields, (B, F).

    .. math:: \phi_f = \int_0^1 \frac{\partial E[v]}{\partial p_f}(q, \dots, q) \, dq
    """
    full = forms.full
    integral = Integrals(forms, 1)
    layers, whole = integral.extension.layers, integral.extension.whole
    own = sum_of_products(
        (integral(layers, full ^ mask, mask.bit_count() + 1), forms.own[mask])
        for mask in range(full + 1)
    )
    slopes = {mask: integral(whole, full ^ mask, mask.bit_count()) for mask in forms.sums}
    return forms.to_fields(own) + forms.spread(slopes)


def exact_interactions(forms: FieldForms) -> Tensor:
    r"""Return the Shapley interaction indices of all pairs of fields, (B, F, F); the diagonal is 0.

    .. math:: I_{fg} = \int_0^1 \frac{\partial^2 E[v]}{\partial p_f \partial p_g}(q, ..., q) \, dq
    """
    full = forms.full
    integral = Integrals(forms, 2)
    layers, whole = integral.extension.layers, integral.extension.whole
    n_rows, n_fields = len(forms.delta), forms.n_fields
    half = forms.delta.new_zeros(n_rows, n_fields, n_fields)
    for mask, part in forms.parts.items():
        size, others = mask.bit_count(), full ^ mask
        own = sum_of_products(
            (integral(layers, others ^ rest, size, rest.bit_count() + 1), forms.own[rest])
            for rest in subsets(others)
        )
        half += forms.to_fields(part * own).transpose(0, 1)
        later = [rest for rest in subsets(others) if rest > mask]
        if later:
            other = sum_of_products(
                (forms.parts[rest], integral(whole, others ^ rest, size, rest.bit_count()))
                for rest in later
            )
            half += torch.bmm(part.transpose(0, 1), other.permute(1, 2, 0))
    values = half + half.mT
    values.diagonal(dim1=1, dim2=2).zero_()
    return values
