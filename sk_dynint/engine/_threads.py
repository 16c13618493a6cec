"""Threads that share the blocks of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch

from sk_dynint._process import one_thread, use_one_thread


class Workers:
    """Threads that compute alone, each on its own share of the rows.

    Such threads wait for each other a few times in a batch.  The threads inside torch's operations
    wait at every small operation instead, which costs up to half of the time.

    Parameters
    ----------
    n_workers : int
        Number of threads, the calling one among them.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the threads alive, and limit torch to one thread inside each, the caller's too."""
        if self.n_workers == 1:
            yield
            return
        with (
            one_thread(),
            ThreadPoolExecutor(self.n_workers - 1, "sk_dynint", initializer=use_one_thread) as pool,
        ):
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """Return ``list(map(function, *items))``; each free thread takes the next item."""
        calls = list(zip(*items, strict=False))
        results: list[Any] = [None] * len(calls)
        numbers = count()

        def work() -> None:
            with torch.no_grad():  # the grad mode belongs to a thread
                while (i := next(numbers)) < len(calls):
                    results[i] = function(*calls[i])

        n_helpers = min(self.n_workers, len(calls)) - 1 if self._pool else 0
        helpers = [self._pool.submit(work) for _ in range(n_helpers)]  # type: ignore[union-attr]
        work()
        for helper in helpers:
            helper.result()
        return results
