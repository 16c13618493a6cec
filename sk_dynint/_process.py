"""torch's process-wide state, changed for a while: the number of threads, the global generator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Condition, Lock, RLock, local
from typing import Any, Generic, TypeVar

import numpy as np
import torch

Value = TypeVar("Value")


class lazy_property(Generic[Value]):
    """`functools.cached_property` without the lock that Python 3.11 has for all instances.

    A process that is forked while another thread holds that lock waits for it for ever.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self.compute = compute
        self.name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Value:
        """Compute the value and keep it as an attribute, which is found first from then on."""
        value = vars(instance)[self.name] = self.compute(instance)
        return value


class OneThread:
    """Context in which torch computes in the calling thread, for work too small to share.

    torch keeps the number of threads for each thread of Python, but a new thread starts with the
    value that was set last anywhere.  While any caller holds the number at 1, it is therefore not
    read from torch: the value from before the first of them entered is remembered here.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_inside = 0
        self._usual = 1
        self._thread = local()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Enter; entering again in the same thread has no effect."""
        if getattr(self._thread, "inside", False):
            yield
            return
        with self._lock:
            self._usual = self.usual_threads()
            self._n_inside += 1
            use_one_thread()
        self._thread.inside = True
        try:
            yield
        finally:
            self._thread.inside = False
            with self._lock:
                self._n_inside -= 1
                torch.set_num_threads(self._usual)

    def usual_threads(self) -> int:
        """Return how many threads torch uses outside of this context."""
        return self._usual if self._n_inside else torch.get_num_threads()

    def begin_child(self) -> None:
        """Forget the threads of the parent, in the child of a fork."""
        self._lock = Lock()
        self._n_inside = int(getattr(self._thread, "inside", False))


one_thread = OneThread()


class NoFork:
    """Context in which no other thread forks the process.

    The locks inside torch (of its generators, of oneDNN's cache) that a thread holds at that moment
    would stay locked in the child for ever.  A fork waits for the threads that are in this context,
    and they hold it for a training step or a prediction at most.
    """

    PATIENCE = 60.0
    """Seconds after which a fork goes ahead."""

    def __init__(self) -> None:
        self._thread = local()
        self._n_inside = 0
        self._begin()

    def _begin(self) -> None:
        self._changed = Condition()
        self._is_forking = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Enter; entering again in the same thread has no effect."""
        if self._is_inside():
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._is_forking)
            self._n_inside += 1
        self._thread.inside = True
        try:
            yield
        finally:
            self._thread.inside = False
            with self._changed:
                self._n_inside -= 1
                self._changed.notify_all()

    def _is_inside(self) -> bool:
        return getattr(self._thread, "inside", False)

    def before_fork(self) -> None:
        """Wait for the other threads, and let none in."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_forking, self.PATIENCE)
            self._is_forking = True
            least = int(self._is_inside())
            self._changed.wait_for(lambda: self._n_inside <= least, self.PATIENCE)

    def begin_parent(self) -> None:
        """Let threads in again."""
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()

    def begin_child(self) -> None:
        """Forget the threads of the parent, in the child of a fork."""
        self._begin()
        self._n_inside = int(self._is_inside())


no_fork = NoFork()


@contextmanager
def safe_threads() -> Iterator[None]:
    """Context for work that torch may share among threads of its own.

    They do not survive a fork, and the child would wait for them for ever; there, torch computes in
    the calling thread.
    """
    with one_thread() if _is_child else nullcontext():
        yield


def use_one_thread() -> None:
    """Let torch compute in the calling thread from now on, for threads that end with their work."""
    torch.set_num_threads(1)


def resolve_device(device: torch.device | str) -> torch.device:
    """Return the device that a parameter means; "auto" is a CUDA card if there is one.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r}; it must be 'auto', 'cpu', 'cuda', 'cuda:0' or another of torch's"
        ) from None
    n_cards = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= n_cards:
        raise ValueError(
            f"device={str(device)!r}, but torch finds {n_cards} CUDA devices here; device='auto' "
            "takes a card if there is one"
        )
    return found


_SEEDING = RLock()
_is_child = False


def _begin_child() -> None:
    """Free the locks that threads of the parent held, in the child of a fork."""
    global _SEEDING, _is_child
    _SEEDING = RLock()
    _is_child = True
    one_thread.begin_child()
    no_fork.begin_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=no_fork.before_fork,
        after_in_parent=no_fork.begin_parent,
        after_in_child=_begin_child,
    )


@contextmanager
def seeded(seed: int, device: torch.device | str) -> Iterator[None]:
    """Seed torch's global generator; restore its state on leaving.

    All threads share that generator, so a lock lets one thread seed it at a time.
    """
    device = torch.device(device)
    generators = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with _SEEDING:  # before no_fork: who waits for this lock must not hold up a fork
        with no_fork():
            generators.__enter__()
            if device.type == "cpu":  # not torch.manual_seed, which takes a lock of torch.cuda
                torch.default_generator.manual_seed(seed)
            else:
                torch.manual_seed(seed)
        try:
            yield
        finally:
            with no_fork():
                generators.__exit__(None, None, None)


def draw_seed(random_state: np.random.RandomState) -> int:
    """Draw a seed for torch."""
    return int(random_state.randint(np.iinfo(np.int32).max))
