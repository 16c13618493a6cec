"""Loops that predict a few rows with all members of a model: a call looks up, a call multiplies.

Parameters are read where they lie, by address, so that nothing is copied and nothing grows old.
Sizes: M members, B rows, L layers; others as in `sk_dynint.engine.kernels`.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from sk_dynint._compiled._jit import floats_at, loop
from sk_dynint._compiled._stack import exponential, split


@loop
def matrix_at(address, n_rows, n_columns):
    """View float32 numbers at an address as a matrix."""
    return floats_at(address, n_rows * n_columns).reshape(n_rows, n_columns)


@loop
def dot(a, b):
    """Return the sum of products of two vectors."""
    total = np.float32(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@loop
def add_scaled(out, factor, vector):
    """Add a multiple of a vector."""
    for i in range(len(out)):
        out[i] += factor * vector[i]


@loop
def terms_of(i, column, basis, weights, tables, row_size, addresses, factors):
    """Write the addresses of the vectors whose weighted sum is that of index i; return how many."""
    first, s, owner, n_shared = column[0], column[2], column[3], column[4]
    addresses[0], factors[0], n = tables[0] + row_size * (first + i), 1, 1
    if s >= 0:
        n_knots = basis.shape[2]
        for j in range(n_knots):
            if basis[s, i, j] != 0:
                addresses[n] = tables[1] + row_size * (s * n_knots + j)
                factors[n] = basis[s, i, j]
                n += 1
    if owner >= 0:
        for j in range(2):
            addresses[n] = tables[2] + row_size * (j * n_shared + owner)
            factors[n] = weights[first + i, j]
            n += 1
    return n


@loop
def look_up(indices, columns, basis, weights, tables, zero_oov, embedding, x0):
    """Write the embeddings of a few rows to `x0` (M, B, d, W), see `FieldEmbedding`.

    Parameters
    ----------
    indices : ndarray of shape (B, C), int
        Field indices, -1 in places that a list does not have.
    columns : ndarray of shape (C, 5), int
        For each column the first row of its field in the table; the field; its place among those
        that have knots, -1 if it has none; among those that share by frequency; and their number.
    basis : ndarray of shape (fields with knots, greatest cardinality, J), float32
        Weight of each knot in the vector of each index.
    weights : ndarray of shape (rows of the table, 2), float32
        Weights of the two vectors that a field shares by frequency.
    tables : ndarray of shape (M, 3), int64
        Addresses of embedding table, knots, and vectors shared by frequency.
    zero_oov : bool
        Whether indices 0 and 1 have the zero vector.
    embedding : ndarray of shape (B, F, D), float32
        Is overwritten.
    """
    n_rows, n_fields, dim = embedding.shape
    addresses = np.empty(basis.shape[2] + 3, np.int64)
    factors = np.empty(basis.shape[2] + 3, np.float32)
    numbers = np.empty(n_fields, np.float32)
    for m in range(len(tables)):
        for b in range(n_rows):
            for field in range(n_fields):
                numbers[field] = 0
                for k in range(dim):
                    embedding[b, field, k] = 0
            for c in range(len(columns)):
                i, field = indices[b, c], columns[c, 1]
                if i < 0:
                    continue
                numbers[field] += 1
                if zero_oov and i < 2:
                    continue
                n = terms_of(i, columns[c], basis, weights, tables[m], 4 * dim, addresses, factors)
                for j in range(n):
                    vector = floats_at(addresses[j], dim)
                    for k in range(dim):
                        embedding[b, field, k] += factors[j] * vector[k]
            for field in range(n_fields):
                for k in range(dim):
                    embedding[b, field, k] /= numbers[field]
        split(embedding, x0[m])


@loop
def network(parameters, x, n_hidden, out):
    """Write the outputs of a `GateNetwork`, whose four parameters have these addresses."""
    hidden, x = np.empty(n_hidden, np.float32), x.ravel()
    weight, bias = matrix_at(parameters[0], n_hidden, len(x)), floats_at(parameters[1], n_hidden)
    for i in range(n_hidden):
        hidden[i] = max(dot(weight[i], x) + bias[i], np.float32(0))
    weight, bias = matrix_at(parameters[2], len(out), n_hidden), floats_at(parameters[3], len(out))
    for i in range(len(out)):
        out[i] = dot(weight[i], hidden) + bias[i]


@loop
def read_out(x, ends, out):
    """Write the mean of the members' logits.

    `ends` (M, 3) are addresses and number of the output weights, and the address of the bias.
    """
    n_members, n_rows, depth, width = x.shape
    out[:] = 0
    for m in range(n_members):
        size, bias = ends[m, 1], floats_at(ends[m, 2], 1)[0]
        weights = floats_at(ends[m, 0], size)
        for b in range(n_rows):
            total = bias
            for t in range(depth):
                for first in range(0, width, size):  # sub-spaces may share the weights
                    total += dot(x[m, b, t, first : first + size], weights)
            out[b] += total
    out /= np.float32(n_members)


@loop
def pin_rows(x0, layers, ends, out):
    """Write the logits of `pin` to `out` (B,); `layers` (M, L, n) are addresses of parameters."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                for j in range(width):
                    for t in range(depth):
                        x[m, b, t, j] += x[m, b, t, j] * dot(weight[j], x0[m, b, t])
    read_out(x, ends, out)


@loop
def da_rows(x0, layers, ends, n_hidden, out):
    """Write the logits of `da`, whose gates come from networks of so many hidden units."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    gate, one, two = np.empty(width, np.float32), np.float32(1), np.float32(2)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                network(layers[m, i, 1:], x0[m, b], n_hidden, gate)
                for j in range(width):
                    gate[j] = two / (one + exponential(-gate[j]))
                for j in range(width):
                    for t in range(depth):
                        x[m, b, t, j] += x[m, b, t, j] * gate[j] * dot(weight[j], x0[m, b, t])
    read_out(x, ends, out)


@loop
def dgp_rows(x0, layers, ends, n_hidden, rank, out):
    """Write the logits of `dgp`, with a diagonal Σ of so many numbers."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    sigma, q = np.empty(rank, np.float32), np.empty(rank, np.float32)
    one, two = np.float32(1), np.float32(2)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            u, v = matrix_at(layers[m, i, 0], width, rank), matrix_at(layers[m, i, 1], width, rank)
            for b in range(n_rows):
                network(layers[m, i, 2:], x0[m, b], n_hidden, sigma)
                for k in range(rank):
                    sigma[k] = two / (one + exponential(-sigma[k]))
                for t in range(depth):
                    q[:] = 0
                    for j in range(width):
                        add_scaled(q, x0[m, b, t, j], v[j])
                    for k in range(rank):
                        q[k] *= sigma[k]
                    for j in range(width):
                        x[m, b, t, j] += x[m, b, t, j] * dot(u[j], q)
    read_out(x, ends, out)


@loop
def dwp_rows(x0, layers, ends, n_hidden, offset, out):
    """Write the logits of `dwp`, with `offset` (K,) added to the vectors u and v."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    rank = len(offset)
    factors = np.empty((2, rank, width), np.float32)
    vx = np.empty((depth, rank, width), np.float32)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                network(layers[m, i, 1:], x0[m, b], n_hidden, factors.ravel())
                for p in range(rank):
                    factors[:, p] += offset[p]
                    for t in range(depth):
                        for j in range(width):
                            vx[t, p, j] = factors[1, p, j] * x0[m, b, t, j]
                for j in range(width):
                    for t in range(depth):
                        total = np.float32(0)
                        for p in range(rank):
                            total += factors[0, p, j] * dot(weight[j], vx[t, p])
                        x[m, b, t, j] += x[m, b, t, j] * total
    read_out(x, ends, out)
