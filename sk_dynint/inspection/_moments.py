r"""Moments of Bernoulli masks, and quadrature over the probability of inclusion.

Let fields be present, independently, with probability q: :math:`m_f \sim B(q)`.  For linear forms
:math:`Y_l = \sum_f a_{lf} m_f` the joint cumulants are sums over fields,

.. math:: \kappa(Y_l : l \in B) = \kappa_{|B|}(q) \sum_f \prod_{l \in B} a_{lf}

because fields are independent, and those of one variable that is 0 or 1 are polynomials in q.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray


@lru_cache
def cumulants(n: int) -> list[Polynomial]:
    """Return the first n cumulants of a Bernoulli variable as polynomials in q, from κ_1 on."""
    q = Polynomial([0.0, 1.0])
    found = [q]
    while len(found) < n:
        found.append(q * (1 - q) * found[-1].deriv())
    return found


@lru_cache
def gauss(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights that integrate polynomials of a degree over [0, 1] exactly.

    Gauss-Legendre quadrature with n nodes is exact up to degree 2 n - 1.
    """
    nodes, weights = np.polynomial.legendre.leggauss(max(1, degree // 2 + 1))
    return (nodes + 1) / 2, weights / 2


def subsets(mask: int) -> Iterator[int]:
    """Yield the subsets of a set of bits, the whole set first and the empty one last."""
    part = mask
    while part:
        yield part
        part = (part - 1) & mask
    yield 0
