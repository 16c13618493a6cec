"""Warning filters, which are global to the process, changed by one thread at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_FILTERS = RLock()


def _begin_child() -> None:
    """Free the lock, which a thread of the parent may have held, in the child of a fork."""
    global _FILTERS
    _FILTERS = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


@contextmanager
def warnings_ignored(message: str = "") -> Iterator[None]:
    """Ignore the warnings whose text begins with `message`.

    A lock lets one thread change the filters at a time: leaving the context restores the filters
    that were found on entry, which would undo a change that another thread made in between.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message)
        yield
