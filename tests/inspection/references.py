"""Plain references: games by all their coalitions, and frozen layers as explicit matrices."""

from itertools import product
from math import factorial

import numpy as np

from tests.references import dgp_matrices, dwp_factors, net, part, sigmoid, split


def coalitions(n):
    """All 0/1 vectors, (2^n, n)."""
    return np.array(list(product((0, 1), repeat=n)))


def positions(n):
    """Row of each coalition in `coalitions(n)`."""
    return {tuple(s): k for k, s in enumerate(coalitions(n).tolist())}


def with_(s, *joining):
    """Coalition with more members."""
    return tuple(1 if i in joining else present for i, present in enumerate(s))


def shapley_by_coalitions(v):
    """Shapley values (n, ...) of a game with the values v (2^n, ...) of its coalitions."""
    n = len(v).bit_length() - 1
    at = positions(n)
    phi = np.zeros((n, *v.shape[1:]))
    for s, k in at.items():
        size = sum(s)
        for i in range(n):
            if not s[i]:
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                phi[i] += weight * (v[at[with_(s, i)]] - v[k])
    return phi


def interactions_by_coalitions(v):
    """Shapley interaction indices (n, n, ...), zero on the diagonal."""
    n = len(v).bit_length() - 1
    at = positions(n)
    index = np.zeros((n, n, *v.shape[1:]))
    for s, k in at.items():
        size = sum(s)
        for i in range(n):
            for j in range(i):
                if not s[i] and not s[j]:
                    weight = factorial(size) * factorial(n - size - 2) / factorial(n - 1)
                    both, one, other = at[with_(s, i, j)], at[with_(s, i)], at[with_(s, j)]
                    index[i, j] += weight * (v[both] - v[one] - v[other] + v[k])
                    index[j, i] = index[i, j]
    return index


def frozen_layer(p, variant, Z0, gate_shape="feature", gate_input="flatten", **options):
    """Matrix (M, M) and gates (M, Ds or 1) that a layer has at one row Z0 (M, Ds)."""
    Z0 = Z0[None]
    M, Ds = Z0.shape[1:]
    if variant == "pin":
        return p["weight"], np.ones((M, 1))
    if variant == "da":
        G = 2 * sigmoid(net(part(p, "gate"), Z0, gate_input))
        return p["weight"], G.reshape(M, 1) if gate_shape == "feature" else G.reshape(Ds, M).T
    if variant == "dgp":
        return dgp_matrices(p, Z0, gate_input=gate_input, **options)[0], np.ones((M, 1))
    u, v = dwp_factors(p, Z0, gate_input=gate_input, **options)
    G = sum(np.outer(u[0, k], v[0, k]) for k in range(u.shape[1]))
    return G * p["weight"], np.ones((M, 1))


def frozen_logits(params, x, X, variant, n_layers, n_subspaces=1, output="merge", **options):
    """Logits of embeddings X (S, F, D), with the dynamic parts of the row x (F, D)."""
    F, h = x.shape[0], n_subspaces
    Z = Z0 = split(X, h)
    z0 = split(x[None], h)[0]
    for k in range(n_layers):
        W, G = frozen_layer(part(params, f"layers.{k}"), variant, z0, **options)
        Z = Z + Z * (W @ Z0) * G
    logit = 0
    for m in range(Z.shape[1]):
        logit = logit + params["output"][m % F if output == "merge" else m] * Z[:, m].sum(1)
    return logit


def masked(x, baseline, masks):
    """Rows (S, F, D) that have x where the mask is 1, and the baseline elsewhere."""
    m = masks[:, :, None]
    return m * x + (1 - m) * baseline
