"""Estimators whose pickles carry the version of the package."""

from __future__ import annotations

from typing import Any

from sk_dynint import _version
from sk_dynint._warnings import warn

_KEY = "_sk_dynint_version"


class Versioned:
    """Mixin, before `BaseEstimator`: a warning tells of a pickle that another version wrote."""

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return state | {_KEY: _version.__version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        theirs, ours = state.pop(_KEY, "before 0.1.0"), _version.__version__
        if theirs != ours:
            warn(
                f"this {type(self).__name__} was pickled by sk_dynint {theirs}, and is loaded by "
                f"{ours}: it may not work, or predict something else"
            )
        super().__setstate__(state)  # type: ignore[misc]
