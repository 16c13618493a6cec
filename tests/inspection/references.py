"""Plain references: Shapley values by all coalitions, layers in loops over plain arrays."""

from itertools import product
from math import factorial

import numpy as np


def shapley_by_coalitions(value, n):
    """Shapley values of a game: `value` maps a 0/1 vector to a number or an array."""
    v = {s: np.asarray(value(np.array(s))) for s in product((0, 1), repeat=n)}
    phi = [0.0] * n
    for s in v:
        size = sum(s)
        for i in range(n):
            if not s[i]:
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                phi[i] = phi[i] + weight * (v[with_(s, i)] - v[s])
    return np.stack(phi, -1)


def interactions_by_coalitions(value, n):
    """Shapley interaction indices; zero on the diagonal."""
    v = {s: np.asarray(value(np.array(s))) for s in product((0, 1), repeat=n)}
    some = next(iter(v.values()))
    index = np.zeros((*some.shape, n, n))
    for s in v:
        size = sum(s)
        for i in range(n):
            for j in range(i):
                if not s[i] and not s[j]:
                    weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
                    both, first, second = with_(s, i, j), with_(s, i), with_(s, j)
                    index[..., i, j] += weight * (v[both] - v[first] - v[second] + v[s])
    return index + index.swapaxes(-1, -2)


def with_(s, *joining):
    """Coalition with more members."""
    return tuple(1 if i in joining else present for i, present in enumerate(s))
