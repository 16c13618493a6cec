"""The version of the package, which pickles of its estimators carry."""

from __future__ import annotations

import warnings
from typing import Any

__version__ = "0.1.0"

_KEY = "_sk_dynint_version"


class Versioned:
    """Mixin, before `BaseEstimator`: a warning tells of a pickle that another version wrote."""

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return state | {_KEY: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop(_KEY, None)
        if version != __version__:
            warnings.warn(
                f"this {type(self).__name__} was pickled by sk_dynint {version or 'before 0.1.0'}, "
                f"and is loaded by {__version__}: it may not work, or predict something else",
                stacklevel=2,
            )
        super().__setstate__(state)  # type: ignore[misc]
