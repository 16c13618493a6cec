"""Threads that share the blocks of a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch

from sk_dynint._process import one_thread, use_one_thread

_pool: ThreadPoolExecutor | None = None


def _shared_pool() -> ThreadPoolExecutor:
    """Return the pool of this process, whose threads start when they are first needed.

    They live as long as the process: a thread that ends frees what libraries keep for it, under
    locks that would stay locked in a child that is forked in that moment.
    """
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count(), "sk_dynint", initializer=use_one_thread)
    return _pool


def _begin_child() -> None:
    """Forget the threads of the parent, in the child of a fork."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


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
        self._is_running = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let other threads help, and limit torch to one thread inside each, the caller's too."""
        if self.n_workers == 1:
            yield
            return
        with one_thread():
            self._is_running = True
            try:
                yield
            finally:
                self._is_running = False

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """Return ``list(map(function, *items))``; each free thread takes the next item."""
        calls = list(zip(*items, strict=False))
        results: list[Any] = [None] * len(calls)
        numbers = count()

        def work() -> None:
            with torch.no_grad():  # the grad mode belongs to a thread
                while (i := next(numbers)) < len(calls):
                    results[i] = function(*calls[i])

        n_helpers = min(self.n_workers, len(calls)) - 1 if self._is_running else 0
        helpers = [_shared_pool().submit(work) for _ in range(n_helpers)]
        try:
            work()
        finally:
            # A helper that has not begun, because others use the threads, is not needed any more.
            begun = [helper for helper in helpers if not helper.cancel()]
            wait(begun)
        for helper in begun:
            helper.result()
        return results
