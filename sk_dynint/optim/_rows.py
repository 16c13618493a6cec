"""Sparse gradients of a table."""

from __future__ import annotations

from torch import Tensor


def rows_and_values(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that a sparse gradient names, each once, and the gradient of each.

    Autograd forgets that a gradient came coalesced, and sorting it again costs as much as the
    update; rising rows are proof enough.
    """
    (rows,) = grad._indices()
    if not bool((rows[1:] > rows[:-1]).all()):
        grad = grad.coalesce()
        (rows,) = grad._indices()
    return rows, grad._values()
