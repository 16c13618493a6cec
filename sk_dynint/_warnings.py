"""Warning filters, which are global to the process, changed by one thread at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

_FILTERS = RLock()


@contextmanager
def warnings_ignored(message: str = "") -> Iterator[None]:
    """Ignore the warnings whose text begins with `message`.

    A lock lets one thread change the filters at a time: leaving the context restores the filters
    that were found on entry, which would undo a change that another thread made in between.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message)
        yield
