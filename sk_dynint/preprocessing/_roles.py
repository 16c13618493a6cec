"""What each column is to be: parameters that name columns, resolved against a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._binning import BINNINGS
from ._column import Column
from ._counts import Counts
from ._lists import ListColumn


def resolve_categorical(chosen: str | ArrayLike, columns: Sequence[Column]) -> list[bool]:
    """Return which columns are categorical: those that are not numbers, and those chosen."""
    if isinstance(chosen, str):
        return [chosen == "all" or not column.is_numeric for column in columns]
    keys: list[Any] = list(chosen)  # type: ignore[arg-type]
    if any(isinstance(key, list | np.ndarray) for key in keys):  # but tuples: names of a MultiIndex
        raise ValueError(
            "categorical_features must be a one-dimensional array of names, positions or a mask, "
            f"got shape {np.shape(keys)}."
        )
    if keys and all(isinstance(key, bool | np.bool_) for key in keys):
        if len(keys) != len(columns):
            raise ValueError(
                f"categorical_features is a mask of length {len(keys)}, "
                f"but X has {len(columns)} columns."
            )
        keys = list(np.flatnonzero(keys))
    positions = {column_position(key, columns, "categorical_features") for key in keys}
    return [j in positions or not column.is_numeric for j, column in enumerate(columns)]


def named_categorical(chosen: str | ArrayLike, labels: Sequence[Any]) -> list[bool]:
    """Return which columns are called categorical, whatever they hold."""
    return resolve_categorical(chosen, columns_named(labels))


def columns_named(labels: Sequence[Any]) -> list[Column]:
    """Return columns without cells, to find names among."""
    return [Column(label, np.empty(0), "numbers") for label in labels]


def resolve_binning(
    asked: str | Mapping[Any, str],
    columns: Sequence[Column | Counts],
    is_categorical: Sequence[bool],
) -> list[str]:
    """Return the binning asked for each column; categorical ones do not use theirs."""
    if isinstance(asked, str):
        return [asked] * len(columns)
    binnings = ["quantile"] * len(columns)
    for key, binning in asked.items():
        j = column_position(key, columns, "binning")
        if binning not in BINNINGS:
            raise ValueError(f"binning[{key!r}] must be one of {BINNINGS}, got {binning!r}.")
        if is_categorical[j]:
            raise ValueError(
                f"binning[{key!r}]={binning!r}, but column {columns[j].label!r} is categorical."
            )
        binnings[j] = binning
    return binnings


def resolve_crosses(
    asked: Sequence[Sequence[Any]] | None, columns: Sequence[Column]
) -> list[tuple[int, ...]]:
    """Return the ascending positions of the columns of each cross."""
    crosses: list[tuple[int, ...]] = []
    for cross in asked or ():
        if not isinstance(cross, list | tuple):
            raise ValueError(
                "crosses must be a list of tuples of columns, such as [('user', 'item')], but "
                f"{cross!r} is no tuple."
            )
        positions = tuple(sorted({column_position(key, columns, "crosses") for key in cross}))
        if len(positions) < max(2, len(cross)):
            raise ValueError(f"a cross has two or more columns that differ, got {cross!r}.")
        if lists := [columns[j].label for j in positions if isinstance(columns[j], ListColumn)]:
            raise ValueError(f"crosses has {cross!r}, but {lists} hold lists, which have no cross.")
        if positions in crosses:
            raise ValueError(f"crosses has {cross!r} twice; the order of columns does not matter.")
        crosses.append(positions)
    return crosses


def resolve_separators(
    asked: Mapping[Any, str] | None, columns: Sequence[Column]
) -> dict[int, str]:
    """Return the separator of each column of strings that are lists, by the column's position."""
    separators = {}
    for key, separator in (asked or {}).items():
        if not isinstance(separator, str) or not separator:
            raise ValueError(
                f"separators[{key!r}] must be a string of one character or more, such as '|', "
                f"got {separator!r}."
            )
        separators[column_position(key, columns, "separators")] = separator
    return separators


def column_position(key: Any, columns: Sequence[Column | Counts], parameter: str) -> int:
    """Return the position of the column that a name or a position means."""
    labels = [column.label for column in columns]
    if key in labels:
        return labels.index(key)
    if isinstance(key, Integral) and -len(columns) <= int(key) < len(columns):
        return int(key) % len(columns)
    raise ValueError(
        f"{parameter} names column {key!r}, which is neither a name nor a position in X; "
        f"the columns are {labels}."
    )
