"""Warnings: the line they point to, and filters, which are global to the process."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

INSIDE = {"sk_dynint", "sklearn", "skorch", "joblib", "contextlib", "concurrent", "threading"}
"""Packages whose lines tell a user nothing."""

_FILTERS = RLock()


def _begin_child() -> None:
    """Free the lock, which a thread of the parent may have held, in the child of a fork."""
    global _FILTERS
    _FILTERS = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's code that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def warnings_ignored(message: str = "") -> Iterator[None]:
    """Ignore the warnings whose text begins with `message`.

    A lock lets one thread change the filters at a time: leaving the context restores the filters
    that were found on entry, which would undo a change that another thread made in between.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message)
        yield
