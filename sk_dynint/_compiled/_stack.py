"""Loops of the interaction stacks: shapes and names as in `sk_dynint.engine.kernels`.

Each goes through a block row by row, so that what it needs of a row stays in the first cache; a
row of X_l is computed anew where it is needed instead of being stored.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from sk_dynint._compiled._jit import loop


@loop
def _entries(embedding, x0):
    """View embeddings (B, F, D) as (B, F, H, d), and `x0` (B, d, W) as (B, d, H, F)."""
    n_rows, n_fields, embedding_dim = embedding.shape
    depth = x0.shape[1]
    n_subspaces = embedding_dim // depth
    return (
        embedding.reshape(n_rows, n_fields, n_subspaces, depth),
        x0.reshape(n_rows, depth, n_subspaces, n_fields),
    )


@loop
def split(embedding, x0):
    """Write embeddings (B, F, D) to `x0` (B, d, W), see `split_subspaces`."""
    slices, by_subspace = _entries(embedding, x0)
    n_rows, depth, n_subspaces, n_fields = by_subspace.shape
    for b in range(n_rows):
        for t in range(depth):
            for s in range(n_subspaces):
                for f in range(n_fields):
                    by_subspace[b, t, s, f] = slices[b, f, s, t]


@loop
def merge(x0, embedding):
    """Write `x0` (B, d, W) to embeddings (B, F, D): the way back from `split`."""
    slices, by_subspace = _entries(embedding, x0)
    n_rows, depth, n_subspaces, n_fields = by_subspace.shape
    for b in range(n_rows):
        for t in range(depth):
            for s in range(n_subspaces):
                for f in range(n_fields):
                    slices[b, f, s, t] = by_subspace[b, t, s, f]


@loop
def recursion(x0, mixed, output, logit):
    """Compute X_l = X_{l-1} ∘ M_l + X_{l-1} and the logits, with `mixed` (L, B, d, W)."""
    n_layers, n_rows, depth, width = mixed.shape
    x, weights = np.empty(width, x0.dtype), output.ravel()
    for b in range(n_rows):
        total = x0.dtype.type(0)
        for t in range(depth):
            for j in range(width):
                x[j] = x0[b, t, j]
            for i in range(n_layers):
                for j in range(width):
                    x[j] += x[j] * mixed[i, b, t, j]
            for j in range(width):
                total += x[j] * weights[j]
        logit[b] = total


@loop
def recursion_backward(logit_grad, x0, mixed, output, x0_grad, output_grad, accumulate):
    """Turn `mixed` into its gradient; write that of X_0 through the recursion to `x0_grad`.

    The gradient of the output weights (W entries) is overwritten, or added to if `accumulate`.
    """
    n_layers, n_rows, depth, width = mixed.shape
    xs = np.empty((n_layers + 1, width), x0.dtype)
    g, weights, sums = np.empty(width, x0.dtype), output.ravel(), output_grad.ravel()
    if not accumulate:
        sums[:] = 0
    for b in range(n_rows):
        for t in range(depth):
            for j in range(width):
                xs[0, j] = x0[b, t, j]
            for i in range(n_layers):
                for j in range(width):
                    xs[i + 1, j] = xs[i, j] * mixed[i, b, t, j] + xs[i, j]
            for j in range(width):
                g[j] = logit_grad[b] * weights[j]
            for j in range(width):
                sums[j] += logit_grad[b] * xs[n_layers, j]
            for i in range(n_layers - 1, -1, -1):
                for j in range(width):
                    m = mixed[i, b, t, j]
                    mixed[i, b, t, j] = g[j] * xs[i, j]
                    g[j] += g[j] * m
            for j in range(width):
                x0_grad[b, t, j] = g[j]


@loop
def exponential(x):
    """Compute e^x of a float32 to its precision, in operations that the compiler vectorises.

    x is n ln 2 + r with an integer n, so that e^x = 2^n e^r, with e^r by Cephes' polynomial and 2^n
    made of bits.  NaN remains NaN.
    """
    x = min(max(x, np.float32(-87)), np.float32(88))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@loop
def gated_recursion(x0, static, gate, output, logit):
    """Compute the recursion with M_l = static_l ∘ 2σ(net_l); turn `gate`, net_l, into 2σ(net_l).

    Shapes: `static` (L, B, d, W), `gate` (L, B, W).
    """
    n_layers, n_rows, depth, width = static.shape
    x, weights = np.empty(width, x0.dtype), output.ravel()
    one, two = x0.dtype.type(1), x0.dtype.type(2)
    for b in range(n_rows):
        for i in range(n_layers):
            for j in range(width):
                gate[i, b, j] = two / (one + exponential(-gate[i, b, j]))
        total = x0.dtype.type(0)
        for t in range(depth):
            for j in range(width):
                x[j] = x0[b, t, j]
            for i in range(n_layers):
                for j in range(width):
                    x[j] += x[j] * (static[i, b, t, j] * gate[i, b, j])
            for j in range(width):
                total += x[j] * weights[j]
        logit[b] = total


@loop
def gated_recursion_backward(
    logit_grad, x0, static, gate, output, x0_grad, output_grad, bias_grad, accumulate
):
    """Turn `static` and `gate` into the gradients of ``W_l X_0`` and of net_l.

    The gradient of X_0 through the recursion goes to `x0_grad`; those of the output weights (W
    entries) and of the biases of the nets (L, W) are overwritten, or added to if `accumulate`.
    """
    n_layers, n_rows, depth, width = static.shape
    xs = np.empty((n_layers + 1, width), x0.dtype)
    g, weights, sums = np.empty(width, x0.dtype), output.ravel(), output_grad.ravel()
    gate_grad = np.empty((n_layers, width), x0.dtype)
    one, half = x0.dtype.type(1), x0.dtype.type(0.5)
    if not accumulate:
        sums[:] = 0
        bias_grad[:] = 0
    for b in range(n_rows):
        gate_grad[:] = 0
        for t in range(depth):
            for j in range(width):
                xs[0, j] = x0[b, t, j]
            for i in range(n_layers):
                for j in range(width):
                    m = static[i, b, t, j] * gate[i, b, j]
                    xs[i + 1, j] = xs[i, j] * m + xs[i, j]
            for j in range(width):
                g[j] = logit_grad[b] * weights[j]
            for j in range(width):
                sums[j] += logit_grad[b] * xs[n_layers, j]
            for i in range(n_layers - 1, -1, -1):
                for j in range(width):
                    s, q = static[i, b, t, j], gate[i, b, j]
                    m_grad = g[j] * xs[i, j]
                    static[i, b, t, j] = m_grad * q
                    gate_grad[i, j] += m_grad * s
                    g[j] += g[j] * (s * q)
            for j in range(width):
                x0_grad[b, t, j] = g[j]
        for i in range(n_layers):
            for j in range(width):
                q = gate[i, b, j]
                q = gate_grad[i, j] * (q * (one - half * q))  # of 2σ: G (1 - G/2)
                gate[i, b, j] = q
                bias_grad[i, j] += q


@loop
def relu_backward(hidden, hidden_grad, bias_grad, accumulate):
    """Turn relu's results (B, L, units) into the gradients of its arguments.

    Those of its results are `hidden_grad` (L, B, units).  The sum over the rows, the gradient of
    the biases (L, units), is overwritten, or added to if `accumulate`.
    """
    n_rows, n_layers, n_units = hidden.shape
    if not accumulate:
        bias_grad[:] = 0
    for b in range(n_rows):
        for i in range(n_layers):
            for k in range(n_units):
                g = hidden_grad[i, b, k] if hidden[b, i, k] > 0 else hidden.dtype.type(0)
                hidden[b, i, k] = g
                bias_grad[i, k] += g
