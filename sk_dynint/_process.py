"""torch's process-wide state, changed for a while: the number of threads, the global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, RLock, local

import torch


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


one_thread = OneThread()


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


@contextmanager
def seeded(seed: int, device: torch.device | str) -> Iterator[None]:
    """Seed torch's global generator; restore its state on leaving.

    All threads share that generator, so a lock lets one thread seed it at a time.
    """
    device = torch.device(device)
    with _SEEDING, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
