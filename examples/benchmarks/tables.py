"""The tables that accuracy is measured on, and how their rows are parted."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sk_dynint.datasets import load_flights

TESTS = ("random", "later")


class Table(NamedTuple):
    """Where a table is, and what its columns mean."""

    file: str | None
    """Name of the Parquet file without its end; None: `load_flights`."""
    label: str
    dropped: tuple[str, ...] = ()
    """Columns that are no features."""
    categories: str | None = None
    """Prefix of the columns that are categories, even as integers ("": all); None: what their dtype
    says."""
    time: str | None = None
    """Column with the moment of a row; it is no feature where later rows are predicted."""
    evenly: str | None = None
    """Which rows are spread evenly over time, as a query, if not all are."""


TABLES = {
    "criteo": Table("criteo_head100k", "label", ("fold", "chunk"), "C", "chunk"),
    "avazu": Table("avazu_union", "click", ("id", "src"), "", "hour", "src == 'unique20k'"),
    "frappe": Table("frappe_val_test", "label", ("part",), ""),
    "ml100k": Table(
        "ml100k_rating_ge4", "label", ("rating", "timestamp", "movie_title"), "", "timestamp"
    ),
    "flights": Table(None, "late15", ("date",), None, "date"),
    "adult": Table("adult", "label"),
}


class Rows(NamedTuple):
    """Columns, labels, and the moments in ascending order if later rows are to be predicted."""

    X: pd.DataFrame
    y: np.ndarray
    time: np.ndarray | None = None


class Parts(NamedTuple):
    """Training and test part."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


@cache
def load(name, folder=".", test="random"):
    """Return the rows of a table; categories that are coded as integers become strings.

    Raises
    ------
    ValueError
        If `test` is "later" and the table has no time.
    """
    table = TABLES[name]
    if test == "later" and table.time is None:
        have = [other for other in TABLES if TABLES[other].time]
        raise ValueError(f"{name} has no time; {', '.join(have)} have one")
    if table.file is None:
        flights = load_flights()
        frame = flights.frame.assign(date=flights.date)
    else:
        frame = pd.read_parquet(Path(folder) / f"{table.file}.parquet")
    time = None
    if test == "later":
        frame = frame.query(table.evenly) if table.evenly else frame
        frame = frame.sort_values(table.time, kind="stable", ignore_index=True)
        time = frame[table.time].to_numpy()
        frame = frame.drop(columns=table.time)
    X = frame.drop(columns=list(table.dropped), errors="ignore")
    y = X.pop(table.label).to_numpy()
    if table.categories is not None:
        categories = [c for c in X if c.startswith(table.categories)]
        X[categories] = X[categories].astype("string").astype("str")
    return Rows(X, y, time)


def part(rows, size=None, seed=0):
    """Return `size` training rows, or all of them, and a fifth of the rows as test part.

    The test part is drawn at random, stratified, or the last fifth in the order of time, in whole
    moments; there the training rows are in the order of time.  None is returned if there are no
    more training rows than `size`: all of them are another call.
    """
    X, y, time = rows
    if time is None:
        train, test = train_test_split(
            np.arange(len(X)), test_size=0.2, stratify=y, random_state=seed
        )
    else:
        cut = np.searchsorted(time, time[int(0.8 * len(X))])
        train, test = np.split(np.arange(len(X)), [cut])
    if size is not None and size >= len(train):
        return None
    if size is not None and time is None:
        train, _ = train_test_split(train, train_size=size, stratify=y[train], random_state=seed)
    elif size is not None:
        train = np.sort(np.random.default_rng(seed).choice(train, size, replace=False))
    return Parts(X.iloc[train], y[train], X.iloc[test], y[test])
