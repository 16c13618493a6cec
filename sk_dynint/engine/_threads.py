"""Threads that share the blocks of a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import count
from threading import Barrier, Lock
from typing import Any

import torch

from sk_dynint._process import one_thread, use_one_thread

_pools: dict[int, ThreadPoolExecutor] = {}
_lock = Lock()


def _shared_pool(n_threads: int) -> ThreadPoolExecutor:
    """Return a pool of this process; its threads have begun, within the caller's `one_thread`.

    (A new thread of Python starts with the number of torch's threads that was set last, which one
    that begins later would make 1.)  The threads live as long as the process: one that ends frees
    what libraries keep for it, under locks that would stay locked in a child forked in that moment.
    """
    with _lock:
        if n_threads not in _pools:
            pool = ThreadPoolExecutor(n_threads, "sk_dynint", initializer=use_one_thread)
            barrier = Barrier(n_threads)
            wait([pool.submit(barrier.wait) for _ in range(n_threads)])
            _pools[n_threads] = pool
        return _pools[n_threads]


def _begin_child() -> None:
    """Forget the threads of the parent, in the child of a fork."""
    global _lock
    _lock = Lock()
    _pools.clear()


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
        if n_helpers <= 0:
            work()
            return results
        pool = _shared_pool(self.n_workers - 1)
        helpers = [pool.submit(work) for _ in range(n_helpers)]
        try:
            work()
        finally:
            # A helper that has not begun, because others use the threads, is not needed any more.
            begun = [helper for helper in helpers if not helper.cancel()]
            wait(begun)
        for helper in begun:
            helper.result()
        return results
