"""Loops over the rows of a table: the sums of their gradients, and the steps of FTRL."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from sk_dynint._compiled._jit import floats_at, loop


@loop
def row_keys(rows, first, last, n_bits):
    """Join the row that is looked up at each place, and the place, in one integer.

    Parameters
    ----------
    rows : ndarray of shape (B, F), int
        Row of the table that is looked up at each place; places are numbered row by row.
    first, last : int
        Fields from `first` up to `last`, without it, are joined.
    n_bits : int
        Low bits of the integer, which hold the place.
    """
    n_rows, n_fields = rows.shape
    keys = np.empty(n_rows * (last - first), np.int64)
    k = 0
    for b in range(n_rows):
        for f in range(first, last):
            keys[k] = (np.int64(rows[b, f]) << n_bits) | (b * n_fields + f)
            k += 1
    return keys


@loop
def sum_by_key(keys, n_bits, values):
    """Sum `values` (places, D) by row; return the distinct rows, ascending, and their sums.

    `keys` are sorted :func:`row_keys`, so that the values of a row are added in the order of their
    places.
    """
    n_values = values.shape[1]
    n_distinct, last = 0, np.int64(-1)
    for key in keys:
        n_distinct += key >> n_bits != last
        last = key >> n_bits
    distinct = np.empty(n_distinct, np.int64)
    sums = np.empty((n_distinct, n_values), values.dtype)
    i, last = -1, np.int64(-1)
    mask = (np.int64(1) << n_bits) - 1
    for key in keys:
        row, place = key >> n_bits, key & mask
        if row != last:
            i, last = i + 1, row
            distinct[i] = row
            for s in range(n_values):
                sums[i, s] = values[place, s]
        else:
            for s in range(n_values):
                sums[i, s] += values[place, s]
    return distinct, sums


@loop
def ftrl(addresses, sizes, lr, beta, l1, l2, least):
    """Make a step of FTRL per coordinate for several parameters, see `sk_dynint.optim.FTRL`.

    A model has many small parameters, for which Python needs more time than the arithmetic takes;
    therefore all of them come in one call, by address.

    Parameters
    ----------
    addresses : ndarray of shape (n, 4), int64
        Where the float32 entries of w, its gradient, z and n lie, each contiguous.
    sizes : ndarray of shape (n,), int64
        Numbers of entries.
    lr, beta, l1, l2 : float
        Options of FTRL.
    least : float
        Least curvature, see `MIN_CURVATURE`.
    """
    rate, bound, least = np.float32(lr), np.float32(l1), np.float32(lr * least)
    inverse, plus = np.float32(1 / lr), np.float32(beta + lr * l2)
    for i in range(len(sizes)):
        w = floats_at(addresses[i, 0], sizes[i])
        grad = floats_at(addresses[i, 1], sizes[i])
        z = floats_at(addresses[i, 2], sizes[i])
        n = floats_at(addresses[i, 3], sizes[i])
        for j in range(sizes[i]):
            g, total = grad[j], n[j]
            root = np.sqrt(total)
            total += g * g
            curvature = np.sqrt(total)
            leader = z[j] + g + (root - curvature) * w[j] * inverse
            z[j], n[j] = leader, total
            shrunk = leader - min(max(leader, -bound), bound)
            w[j] = shrunk / max(curvature + plus, least) * -rate


@loop
def ftrl_rows(rows, w, grad, z, n, lr, beta, l1, l2, least, group):
    """Make a step of FTRL for the given rows of a table, whose gradients are `grad` (rows, D)."""
    real = w.dtype.type
    rate, bound, least = real(lr), real(l1), real(lr * least)
    inverse, plus = real(1 / lr), real(beta + lr * l2)
    size = w.shape[1]
    if group:
        bound = real(l1 * np.sqrt(size))
    for i in range(len(rows)):
        r = rows[i]
        square = real(0)
        for j in range(size):
            g, total = grad[i, j], n[r, j]
            root = np.sqrt(total)
            total += g * g
            leader = z[r, j] + g + (root - np.sqrt(total)) * w[r, j] * inverse
            z[r, j], n[r, j] = leader, total
            square += leader * leader
        keep = real(1)
        if group and bound > 0:
            keep -= bound / max(np.sqrt(square), np.finfo(w.dtype).tiny)
            if keep < 0:
                keep = real(0)
        for j in range(size):
            leader = z[r, j]
            if group:
                leader *= keep
            else:
                leader -= min(max(leader, -bound), bound)
            w[r, j] = leader / max(np.sqrt(n[r, j]) + plus, least) * -rate
