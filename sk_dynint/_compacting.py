"""Compact tables: all rows that are exactly zero are one, and places tell the row of each index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sk_dynint._packing import ArchiveError

Weights = Mapping[str, NDArray[Any]]

TABLES = ("embedding", "first_order")
"""Names of the tables of a module, in the order of its `table_rows`."""

_TABLE = re.compile(rf"(?:members\.\d+\.)?({'|'.join(TABLES)})\.weight")


class Compaction(NamedTuple):
    """What `compact` has done to the tables of all members; places count with the bytes."""

    n_rows_before: int
    n_rows_after: int
    n_bytes_before: int
    n_bytes_after: int


def compacted(weights: Weights) -> tuple[dict[str, NDArray[Any]], Compaction]:
    """Return weights with compact tables, as far as these are smaller.

    Parameters
    ----------
    weights : dict of str to ndarray
        State of a module.  A table of several members gets as many rows in each.
    """
    made = dict(weights)
    for table in TABLES:
        names = [name for name in weights if _table_of(name) == table]
        if any(_places_of(name) in weights for name in names):
            continue
        is_used = {name: weights[name].any(axis=1) for name in names}
        n_rows = 1 + max((int(used.sum()) for used in is_used.values()), default=0)
        for name, used in is_used.items():
            rows = np.zeros((n_rows, weights[name].shape[1]), dtype=weights[name].dtype)
            rows[1 : 1 + used.sum()] = weights[name][used]
            places = np.where(used, np.cumsum(used), 0).astype(np.int32)
            if rows.nbytes + places.nbytes < weights[name].nbytes:  # in all members or in none
                made[name], made[_places_of(name)] = rows, places
    sizes = _size(weights), _size(made)
    return made, Compaction(*(n for n, _ in sizes), *(n for _, n in sizes))


def table_rows(weights: Weights) -> tuple[int | None, int | None]:
    """Return the rows of compact tables, None for those of a row for each index.

    Raises
    ------
    ArchiveError
        If a place is beyond the rows.
    """
    found: dict[str | None, int] = {}
    for name, rows in weights.items():
        places = weights.get(_places_of(name)) if _table_of(name) else None
        if places is None:
            continue
        if len(places) and not (places.min() >= 0 and places.max() < len(rows)):
            raise ArchiveError(f"{_places_of(name)} has a place beyond the rows of its table")
        found[_table_of(name)] = len(rows)
    return found.get(TABLES[0]), found.get(TABLES[1])


def _table_of(name: str) -> str | None:
    """Return the table whose rows a weight is."""
    found = _TABLE.fullmatch(name)
    return found and found[1]


def _places_of(name: str) -> str:
    """Return the name of the places of a table, given that of its rows."""
    return f"{name.removesuffix('weight')}places"


def _size(weights: Weights) -> tuple[int, int]:
    """Return the number of rows of all tables, and their bytes with those of the places."""
    names = [name for name in weights if _table_of(name)]
    places = (weights[_places_of(name)] for name in names if _places_of(name) in weights)
    n_bytes = sum(weights[name].nbytes for name in names) + sum(each.nbytes for each in places)
    return sum(len(weights[name]) for name in names), n_bytes
