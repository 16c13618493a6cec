"""The order of rows in a pass: one permutation of all, or of windows of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sk_dynint.engine import Batch

WINDOW_BYTES = 2**28
"""Size of the encoded rows that are shuffled at once where they are on the disk."""

BLOCK_ROWS = 512
"""Rows that are read from the disk in one piece."""


class WholeOrder:
    """Shuffles all rows: the permutations that a generator draws one after the other.

    Parameters
    ----------
    data : EncodedData or Selection
        The rows.
    batch_size : int
        Rows in a step.
    seed : int
        Of the generator.
    """

    def __init__(self, data: Any, batch_size: int, seed: int) -> None:
        self.data = data
        self.batch_size = batch_size
        self._generator = torch.Generator().manual_seed(seed)
        self._pass = -1

    def batch(self, n_pass: int, step: int) -> Batch:
        """Return the rows of a step; passes come in ascending order."""
        if n_pass != self._pass:
            for _ in range(self._pass, n_pass):
                order = torch.randperm(len(self.data), generator=self._generator)
            self._order = torch.split(order, self.batch_size)
            self._pass = n_pass
        return self.data.take(self._order[step])


class WindowOrder:
    """Shuffles rows on the disk in two levels, so that they are read in pieces and once a pass.

    Blocks of neighbouring rows are put in a random order; a window of so many rows of them is read
    into memory, and its rows are shuffled.  A shorter last block stays the last one.

    Parameters
    ----------
    data : EncodedData or Selection
        The rows, with their `window`.
    batch_size : int
        Rows in a step.
    seed : int
        Of all draws, together with the numbers of pass and window.
    """

    def __init__(self, data: Any, batch_size: int, seed: int) -> None:
        self.data = data
        self.batch_size = batch_size
        self.steps = max(data.window // batch_size, 1)
        self.seed = seed
        self._loaded = (-1, -1)
        self._window: Batch | None = None

    def batch(self, n_pass: int, step: int) -> Batch:
        """Return the rows of a step."""
        number, place = divmod(step, self.steps)
        if (n_pass, number) != self._loaded:
            self._load(n_pass, number)
        assert self._window is not None
        rows = self._order[place]
        return Batch(*(column.index_select(0, rows) for column in self._window))

    def _load(self, n_pass: int, number: int) -> None:
        """Read a window, and draw the order of its rows."""
        self._window = None  # before another one is read
        rows = self._positions(n_pass, number)
        self._window = self.data.take(rows)
        draws = np.random.default_rng([self.seed, n_pass, number])
        order = torch.from_numpy(draws.permutation(len(rows)))
        self._order = torch.split(order, self.batch_size)
        self._loaded = n_pass, number

    def _positions(self, n_pass: int, number: int) -> Tensor:
        """Return the positions of the rows of a window, in ascending order."""
        n_rows, size = len(self.data), self.steps * self.batch_size
        n_full = n_rows // BLOCK_ROWS
        order = np.random.default_rng([self.seed, n_pass]).permutation(n_full)
        blocks = np.append(order, n_full)
        places = np.arange(number * size, min((number + 1) * size, n_rows))
        rows = blocks[places // BLOCK_ROWS] * BLOCK_ROWS + places % BLOCK_ROWS
        return torch.from_numpy(np.sort(rows))


def order_of(data: Any, batch_size: int, seed: int) -> WholeOrder | WindowOrder:
    """Return the order of rows: in windows, if they are on the disk and many."""
    in_windows = data.window is not None and data.window < len(data)
    return (WindowOrder if in_windows else WholeOrder)(data, batch_size, seed)
