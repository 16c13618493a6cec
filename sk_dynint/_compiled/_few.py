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
def multiply(matrix, vectors, out):
    """Write the products of a matrix (m, n) with vectors (k, n) to `out` (k, m).

    Four rows of the matrix go together, and meet all vectors while they are in the cache.
    """
    n_rows, size = matrix.shape
    whole = n_rows // 4 * 4
    for j in range(0, whole, 4):
        for t in range(len(vectors)):
            a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for i in range(size):
                a += matrix[j, i] * vectors[t, i]
                b += matrix[j + 1, i] * vectors[t, i]
                c += matrix[j + 2, i] * vectors[t, i]
                d += matrix[j + 3, i] * vectors[t, i]
            out[t, j], out[t, j + 1], out[t, j + 2], out[t, j + 3] = a, b, c, d
    for j in range(whole, n_rows):
        for t in range(len(vectors)):
            out[t, j] = dot(matrix[j], vectors[t])


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
    """Write the outputs (n,) of a `GateNetwork`, whose four parameters have these addresses."""
    size, n_outputs = x.size, len(out)
    hidden = np.empty((1, n_hidden), np.float32)
    multiply(matrix_at(parameters[0], n_hidden, size), x.reshape(1, size), hidden)
    bias = floats_at(parameters[1], n_hidden)
    for i in range(n_hidden):
        hidden[0, i] = max(hidden[0, i] + bias[i], np.float32(0))
    multiply(matrix_at(parameters[2], n_outputs, n_hidden), hidden, out.reshape(1, n_outputs))
    bias = floats_at(parameters[3], n_outputs)
    for i in range(n_outputs):
        out[i] += bias[i]


@loop
def double_sigmoid(x):
    """Turn x into 2σ(x)."""
    one, two = np.float32(1), np.float32(2)
    for i in range(len(x)):
        x[i] = two / (one + exponential(-x[i]))


@loop
def recur(x, mixed):
    """Turn X_{l-1} (d, W) into X_l, given M_l."""
    depth, width = x.shape
    for t in range(depth):
        for j in range(width):
            x[t, j] += x[t, j] * mixed[t, j]


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
    mixed = np.empty((depth, width), np.float32)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                multiply(weight, x0[m, b], mixed)
                recur(x[m, b], mixed)
    read_out(x, ends, out)


@loop
def da_rows(x0, layers, ends, n_hidden, out):
    """Write the logits of `da`, whose gates come from networks of so many hidden units."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    mixed, gate = np.empty((depth, width), np.float32), np.empty(width, np.float32)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                network(layers[m, i, 1:], x0[m, b], n_hidden, gate)
                double_sigmoid(gate)
                multiply(weight, x0[m, b], mixed)
                for t in range(depth):
                    for j in range(width):
                        mixed[t, j] *= gate[j]
                recur(x[m, b], mixed)
    read_out(x, ends, out)


@loop
def dgp_rows(x0, layers, ends, n_hidden, rank, out):
    """Write the logits of `dgp`, with a diagonal Σ of so many numbers."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    mixed, sigma = np.empty((depth, width), np.float32), np.empty(rank, np.float32)
    q = np.empty((depth, rank), np.float32)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            u, v = matrix_at(layers[m, i, 0], width, rank), matrix_at(layers[m, i, 1], width, rank)
            for b in range(n_rows):
                network(layers[m, i, 2:], x0[m, b], n_hidden, sigma)
                double_sigmoid(sigma)
                for t in range(depth):
                    for k in range(rank):
                        q[t, k] = 0
                    for j in range(width):  # V^T X_0
                        for k in range(rank):
                            q[t, k] += x0[m, b, t, j] * v[j, k]
                    for k in range(rank):
                        q[t, k] *= sigma[k]
                multiply(u, q, mixed)
                recur(x[m, b], mixed)
    read_out(x, ends, out)


@loop
def dwp_rows(x0, layers, ends, n_hidden, offset, out):
    """Write the logits of `dwp`, with `offset` (K,) added to the vectors u and v."""
    x, (n_members, n_rows, depth, width) = x0.copy(), x0.shape
    mixed, rank = np.empty((depth, width), np.float32), len(offset)
    factors = np.empty((2, rank, width), np.float32)  # u and v
    vx = np.empty((rank * depth, width), np.float32)
    heads = np.empty((rank * depth, width), np.float32)
    for m in range(n_members):
        for i in range(layers.shape[1]):
            weight = matrix_at(layers[m, i, 0], width, width)
            for b in range(n_rows):
                network(layers[m, i, 1:], x0[m, b], n_hidden, factors.ravel())
                for p in range(rank):
                    for t in range(depth):
                        for j in range(width):
                            v = factors[1, p, j] + offset[p]
                            vx[p * depth + t, j] = v * x0[m, b, t, j]
                multiply(weight, vx, heads)
                mixed[:] = 0
                for p in range(rank):
                    for t in range(depth):
                        for j in range(width):
                            u = factors[0, p, j] + offset[p]
                            mixed[t, j] += u * heads[p * depth + t, j]
                recur(x[m, b], mixed)
    read_out(x, ends, out)
