"""Train, validation and test rows: 70 %, 10 % and 20 %."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

VALID, TEST = 0.1, 0.2
_LEAST = 10  # rows of each class that make a stratified split possible


class Parts(NamedTuple):
    """Row numbers of the parts, in ascending order."""

    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    test: NDArray[np.intp]


def split_at_random(y: NDArray[np.int64], seed: int) -> Parts:
    """Split so that each part has its share of each class."""
    least = int(np.bincount(y, minlength=2).min())
    if least < _LEAST:
        raise ValueError(
            f"The rarer class has {least} rows; a split in three parts takes at least {_LEAST}."
        )
    rest, test = train_test_split(np.arange(len(y)), test_size=TEST, stratify=y, random_state=seed)
    train, valid = train_test_split(
        rest, test_size=VALID / (1 - TEST), stratify=y[rest], random_state=seed
    )
    return Parts(np.sort(train), np.sort(valid), np.sort(test))


def split_by_time(y: NDArray[np.int64], time: Any) -> Parts:
    """Split in the order of time; rows of one moment stay together."""
    moments = _check_time(time, len(y))
    order = np.argsort(moments, kind="stable")
    ordered = moments[order]
    cuts = [_nearest_change(ordered, share) for share in (1 - VALID - TEST, 1 - TEST)]
    parts = Parts(*(np.sort(part) for part in np.split(order, cuts)))
    for name, part in parts._asdict().items():
        if len(np.unique(y[part])) < 2:
            raise ValueError(
                f"Split by time, the {name} part has {len(part)} rows of "
                f"{len(np.unique(y[part]))} class(es); it must have both. Is time too coarse?"
            )
    return parts


def _check_time(time: Any, n: int) -> NDArray[Any]:
    moments = pd.Series(np.asarray(time))
    if len(moments) != n:
        raise ValueError(f"time has {len(moments)} entries, but X has {n} rows.")
    if n_missing := int(moments.isna().sum()):
        raise ValueError(f"time has {n_missing} missing entries; every row needs one.")
    if pd.api.types.infer_dtype(moments) == "string":
        try:
            moments = pd.to_datetime(moments, format="ISO8601", utc=True)
        except ValueError as error:
            raise ValueError(
                f"time holds strings that are no ISO 8601 dates, such as {moments[0]!r}, and would "
                "be sorted as text; make them dates first, for example with pd.to_datetime"
            ) from error
    return pd.factorize(moments, sort=True)[0]  # in ascending order, whatever they are


def _nearest_change(ordered: NDArray[Any], share: float) -> int:
    """Return the row nearest to a share of the rows before which another moment ended."""
    cut = round(share * len(ordered))
    moment = ordered[min(cut, len(ordered) - 1)]
    around = (np.searchsorted(ordered, moment, side) for side in ("left", "right"))
    return min((int(change) for change in around), key=lambda change: abs(change - cut))
