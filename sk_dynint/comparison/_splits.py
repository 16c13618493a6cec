"""Splits of rows in a training, a validation and a test part: 70 %, 10 % and 20 %."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from sk_dynint._validation import group_codes, nearest_change

VALID, TEST = 0.1, 0.2
MIN_ROWS_OF_A_CLASS = 10
"""With fewer rows of a class, a stratified split may leave it out of a part."""


class Parts(NamedTuple):
    """Row numbers of the training, validation and test part, each in ascending order.

    Attributes
    ----------
    train, valid, test : ndarray of int
        Rows of the part.
    """

    train: NDArray[np.intp]
    valid: NDArray[np.intp]
    test: NDArray[np.intp]


def split_at_random(y: NDArray[np.int64], seed: int) -> Parts:
    """Split rows 70/10/20 at random, with each class in proportion.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Positions of the classes, from 0.
    seed : int
        The same seed gives the same parts.

    Returns
    -------
    parts : Parts

    Raises
    ------
    ValueError
        If a class has fewer than ten rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_dynint.comparison import split_at_random
    >>> y = np.arange(1_000) % 4 // 3
    >>> parts = split_at_random(y, seed=0)
    >>> [len(part) for part in parts]
    [700, 100, 200]
    >>> [float(y[part].mean()) for part in parts]
    [0.25, 0.25, 0.25]
    """
    least = int(np.bincount(y, minlength=2).min())
    if least < MIN_ROWS_OF_A_CLASS:
        raise ValueError(
            f"The rarest class has {least} rows; a split in three parts takes at least "
            f"{MIN_ROWS_OF_A_CLASS}."
        )
    rest, test = train_test_split(np.arange(len(y)), test_size=TEST, stratify=y, random_state=seed)
    train, valid = train_test_split(
        rest, test_size=VALID / (1 - TEST), stratify=y[rest], random_state=seed
    )
    return Parts(np.sort(train), np.sort(valid), np.sort(test))


def split_by_time(y: NDArray[np.int64], time: Any) -> Parts:
    """Split rows in the order of time: the first 70 % train, the last 20 % test.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Positions of the classes, from 0.
    time : array-like of shape (n_samples,)
        When each row happened: dates, numbers, or strings of ISO 8601 dates. Rows of one moment
        stay in one part, so coarse times shift the shares.

    Returns
    -------
    parts : Parts

    Raises
    ------
    ValueError
        If `time` has another length, missing entries, or strings that are no dates; if a part
        lacks a class.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_dynint.comparison import split_by_time
    >>> days = np.repeat(np.arange(10), 3)
    >>> parts = split_by_time(np.arange(30) % 2, days)
    >>> [np.unique(days[part]).tolist() for part in parts]
    [[0, 1, 2, 3, 4, 5, 6], [7], [8, 9]]
    """
    moments = group_codes(time, len(y), ordered=True)
    order = np.argsort(moments, kind="stable")
    ordered = moments[order]
    cuts = [nearest_change(ordered, share) for share in (1 - VALID - TEST, 1 - TEST)]
    parts = Parts(*(np.sort(part) for part in np.split(order, cuts)))
    n_classes = max(2, len(np.unique(y)))
    for name, part in parts._asdict().items():
        if len(np.unique(y[part])) < n_classes:
            raise ValueError(
                f"Split by time, the {name} part has {len(part)} rows of "
                f"{len(np.unique(y[part]))} class(es); it must have all {n_classes}. Is time too "
                "coarse?"
            )
    return parts
