"""Which rows are set aside to stop by: at random, the last ones, or whole groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from sk_dynint._warnings import warn

VALIDATIONS = ("random", "last", "groups")

ORDER_MIN_ROWS = 1000
"""With fewer rows, no warning tells that they stand in the order of a column."""

NEW_AT_THE_END = 0.8
"""Share of the cells of the last tenth whose values do not occur in the first eight, from which on
the rows are said to stand in the order of a column."""


BLOCK_ROWS = 2**16
"""Rows that are looked at once, column by column: a column of a large matrix is slow to read."""

PLACE = 1e-9
"""Unit of places in the circle that :func:`folds` cuts into parts."""


class Split(NamedTuple):
    """Row numbers of the training and the validation part, each in ascending order."""

    train: NDArray[np.intp]
    valid: NDArray[np.intp]


def split(
    target: NDArray[np.float64],
    how: str,
    fraction: float,
    groups: Any,
    random_state: np.random.RandomState,
) -> Split:
    """Set a fraction of the rows aside.

    Parameters
    ----------
    target : ndarray of shape (n_samples,)
        Targets; both parts get the :func:`strata` in proportion if rows are drawn at random.
    how : {"random", "last", "groups"}
        "last" takes the last rows, in the order of `groups` if they are given, else as they stand;
        "groups" draws whole groups. Rows of one group never stand on both sides.
    fraction : float
        Share of the rows.
    groups : array-like of shape (n_samples,) or None
        Moment or group of each row.
    random_state : RandomState
        Draws rows or groups.

    Raises
    ------
    ValueError
        If the groups are missing or of no use, a part would be empty, or the training part would be
        of one class only.
    """
    n = len(target)
    if how == "random":
        if groups is not None:
            raise ValueError("validation='random' has no use for groups; choose 'last' or 'groups'")
        rows, n_valid = np.arange(n), math.ceil(fraction * n)
        parts = train_test_split(
            rows,
            test_size=fraction,
            stratify=strata(target, min(n_valid, n - n_valid)),
            random_state=random_state,
        )
    else:
        if groups is None and how == "groups":
            raise ValueError("validation='groups' takes groups; pass them to fit, or their column")
        # Without groups each row is a moment of its own.
        codes = np.arange(n) if groups is None else group_codes(groups, n, ordered=how == "last")
        if how == "groups":
            codes = random_state.permutation(codes.max() + 1)[codes]
        order = np.argsort(codes, kind="stable")
        parts = np.split(order, [nearest_change(codes[order], 1 - fraction)])
        if not all(map(len, parts)):
            raise ValueError("all rows have one and the same group; there must be several.")
    train, valid = (np.sort(part) for part in parts)
    if target[train].min() == target[train].max():
        raise ValueError(f"the {len(train)} rows left for training have one class only.")
    return Split(train, valid)


def folds(
    target: NDArray[np.float64],
    how: str,
    fraction: float,
    groups: Any,
    random_state: np.random.RandomState,
    n_folds: int,
) -> list[Split]:
    """Set a fraction of the rows aside, other ones each time, until all have had their turn.

    Parameters
    ----------
    target, fraction, random_state
        As for :func:`split`.
    how : {"random", "groups"}
        Whether rows are drawn, as many of each class as there are, or whole groups.
    groups : array-like of shape (n_samples,) or None
        Group of each row.
    n_folds : int
        How often.

    Raises
    ------
    ValueError
        As :func:`split` does.
    """
    split(target, how, fraction, groups, random_state)  # what it refuses is refused here too
    place = np.empty(len(target))  # of each row in a circle of length 1
    if how == "random":
        for value in np.unique(target):
            rows = np.flatnonzero(target == value)
            place[rows] = (random_state.permutation(len(rows)) + 0.5) / len(rows)
    else:
        codes = group_codes(groups, len(target), ordered=False)
        order = random_state.permutation(codes.max() + 1)
        sizes = np.bincount(codes)[order] / len(target)
        middle = np.cumsum(sizes) - sizes / 2
        place = middle[np.argsort(order)][codes]
    parts = []
    for number in range(n_folds):
        distance = np.rint((place - number * fraction) / PLACE).astype(np.int64) % round(1 / PLACE)
        is_valid = distance < max(round(fraction / PLACE), distance.min() + 1)
        train, valid = np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
        if not len(train) or target[train].min() == target[train].max():
            raise ValueError(
                f"the {len(train)} rows left for training of member {number} have one class only."
            )
        parts.append(Split(train, valid))
    return parts


def strata(target: NDArray[np.float64], n_most: int) -> NDArray[np.float64]:
    """Return what to draw from in proportion: the classes, the rarest of them as one if need be.

    A stratum must have two rows, and there may be `n_most` of them: as many as the smaller part has
    rows.  The most frequent class stays alone, and so do two classes.

    Examples
    --------
    >>> import numpy as np
    >>> strata(np.array([0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 3.0, 3.0]), n_most=4)
    array([1., 1., 1., 2., 2., 3., 3., 3.])
    """
    classes, counts = np.unique(target, return_counts=True)
    rarest = np.argsort(counts, kind="stable")
    n_small = 1 + int(np.searchsorted(np.cumsum(counts[rarest]), 2))  # to have two rows
    n_merged = min(max(n_small, len(classes) - n_most + 1), len(classes) - 1)
    merged = classes[rarest[:n_merged]]
    return np.where(np.isin(target, merged), merged[:1], target) if n_merged > 1 else target


def group_codes(groups: Any, n_samples: int, *, ordered: bool) -> NDArray[np.intp]:
    """Return for each row the position of its group among all; `ordered` ones are moments.

    Raises
    ------
    ValueError
        If their number is wrong, some are missing, or moments are strings that are no dates.
    """
    name = "time" if ordered else "groups"
    values = pd.Series(np.asarray(groups))
    if len(values) != n_samples:
        raise ValueError(f"{name} has {len(values)} entries, but X has {n_samples} rows.")
    if n_missing := int(values.isna().sum()):
        raise ValueError(f"{name} has {n_missing} missing entries; every row needs one.")
    if ordered and pd.api.types.infer_dtype(values) == "string":
        try:
            values = pd.to_datetime(values, format="ISO8601", utc=True)
        except ValueError as error:
            raise ValueError(
                f"{name} holds strings that are no ISO 8601 dates, such as {values[0]!r}, and "
                "would be sorted as text; make them dates first, for example with pd.to_datetime"
            ) from error
    return pd.factorize(values, sort=ordered)[0]


def nearest_change(ordered: NDArray[Any], share: float) -> int:
    """Return where one group ends and the next begins, as near as possible to a share of rows."""
    cut = round(share * len(ordered))
    moment = ordered[min(cut, len(ordered) - 1)]
    around = (np.searchsorted(ordered, moment, side) for side in ("left", "right"))
    return min((int(change) for change in around), key=lambda change: abs(change - cut))


def warn_of_order(estimator: Any, indices: NDArray[np.integer]) -> None:
    """Warn if rows stand in the order of a column, so that random ones do not tell of later ones.

    Parameters
    ----------
    estimator : BaseCTRClassifier
        Knows the names of the columns and has the encoder.
    indices : ndarray of shape (n_samples, n_fields)
        Encoded rows in the order of the table.
    """
    n = len(indices)
    if n < ORDER_MIN_ROWS:
        return
    # Fields of crosses come after those of the columns, and follow from them.
    n_columns = min(getattr(estimator, "n_features_in_", np.inf), indices.shape[1])
    labels = getattr(estimator, "feature_names_in_", range(indices.shape[1]))[:n_columns]
    head, tail = indices[: n * 8 // 10], indices[n * 9 // 10 :]
    known = [np.zeros(estimator.encoder_.cardinalities_[j], dtype=bool) for j in range(len(labels))]
    for is_known in known:
        is_known[:2] = True  # rare and missing
    for block in _blocks(head):
        for is_known, column in zip(known, block.T, strict=False):
            is_known[column] = True
    n_new = np.zeros(len(labels))
    for block in _blocks(tail):
        columns = zip(known, block.T, strict=False)
        n_new += [np.count_nonzero(~is_known[column]) for is_known, column in columns]
    found = [labels[j] for j in np.flatnonzero(n_new / len(tail) > NEW_AT_THE_END)]
    if found:
        warn(
            f"the rows stand in the order of columns {found}, as a log does in that of time: if "
            "later rows are to be predicted, drop these columns, and pass validation='last' to "
            "stop by the last rows instead of random ones"
        )


def _blocks(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the rows, some at a time."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]
