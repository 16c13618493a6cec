"""Work on columns, shared by several threads, and the matrix of what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from ._field import Indices

# Rows below which starting threads costs more than it saves.
MIN_ROWS = 20_000
# Fields of 16 int32 fill a line of the processor's cache, rows of 1024 such fields fit in it.
_FIELDS, _ROWS = 16, 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_columns(
    work: Callable[[Item], Result], items: Iterable[Item], n_samples: int
) -> list[Result]:
    """Return ``list(map(work, items))`` for columns of a length, each worked on by one thread.

    There are as many threads as scikit-learn's own loops have: the cores of the machine or
    container, less if ``OMP_NUM_THREADS`` or ``threadpool_limits`` say so, and in a process that
    joblib started its share of the cores.
    """
    n_threads = _openmp_effective_n_threads() if n_samples >= MIN_ROWS else 1
    if n_threads == 1:
        return list(map(work, items))
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(work, items))


def fill_matrix(
    work: Callable[[Item, Indices], Result], items: Sequence[Item], n_samples: int
) -> tuple[Indices, list[Result]]:
    """Return a matrix whose column j is what ``work(items[j], out)`` wrote, and its results.

    Some columns at a time, in memory of their own: writing to a column of the matrix is slow, and a
    second matrix is large.
    """
    matrix = np.empty((n_samples, len(items)), dtype=np.int32)
    by_field = np.empty((min(_FIELDS, len(items)), n_samples), dtype=np.int32)
    results: list[Result] = []
    for first in range(0, len(items), _FIELDS):
        part = list(zip(items[first : first + _FIELDS], by_field, strict=False))
        results += map_columns(lambda pair: work(*pair), part, n_samples)
        for start in range(0, n_samples, _ROWS):
            rows = slice(start, start + _ROWS)
            matrix[rows, first : first + len(part)] = by_field[: len(part), rows].T
    return matrix, results
