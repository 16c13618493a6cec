"""Work on columns, shared by several threads, and the matrix of what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from ._field import Indices

# Below so many rows most of the work holds the interpreter lock, and threads save hardly any time.
MIN_ROWS_FOR_THREADS = 100_000
# A block of the matrix that is filled at once: wide enough to write quickly, small enough to cache.
_FIELDS, _ROWS = 8, 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def column_threads(n_samples: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """Give a ``map`` by which several threads share columns of a length, one column each at a time.

    There are as many threads as scikit-learn's own loops have: the cores of the machine or
    container, less if ``OMP_NUM_THREADS`` or ``threadpool_limits`` say so, and in a process that
    joblib started its share of the cores.
    """
    n_threads = _openmp_effective_n_threads() if n_samples >= MIN_ROWS_FOR_THREADS else 1
    if n_threads == 1:
        yield map
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            yield pool.map


def fill_matrix(
    work: Callable[[Item, Indices], Result],
    items: Sequence[Item],
    n_samples: int,
    n_free: int = 0,
) -> tuple[Indices, list[Result]]:
    """Return a matrix whose column j is what ``work(items[j], out)`` wrote, and its results.

    It has `n_free` more columns, which are still to be written.

    Some columns at a time, in memory of their own: writing to a column of the matrix is slow, and a
    second matrix is large.
    """
    matrix = np.empty((n_samples, len(items) + n_free), dtype=np.int32)
    by_field = np.empty((min(_FIELDS, len(items)), n_samples), dtype=np.int32)
    results: list[Result] = []
    with column_threads(n_samples) as map_columns:
        for first in range(0, len(items), _FIELDS):
            part = items[first : first + _FIELDS]
            results += map_columns(work, part, by_field)
            for start in range(0, n_samples, _ROWS):
                rows = slice(start, start + _ROWS)
                matrix[rows, first : first + len(part)] = by_field[: len(part), rows].T
    return matrix, results
