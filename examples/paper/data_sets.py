"""The data sets: how to read them, and what their columns mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sk_dynint.datasets import (
    load_flights,
    make_ctr_classification,
    read_avazu,
    read_criteo,
    read_ipinyou,
)

AVAZU_DROPPED = ("id", "src", "hour")  # what is left are the paper's 21 fields
ALL = ("",)


@dataclass(frozen=True)
class DataSet:
    """What the columns of a data set mean, and how to read its file."""

    label: str
    categories: tuple[str, ...] | None = None
    """Prefixes of columns that are categories, even as integers; None: the type decides."""
    numbers: tuple[str, ...] = ()
    """Columns with such a prefix that are numbers nevertheless."""
    drop: tuple[str, ...] = ()
    reader: object = None
    """Function that reads the file as it was published."""
    binning: str = "quantile"
    """Binning of its numeric columns with ``--grid paper``."""
    test_is_last: bool = False
    """Whether the last 20 % of the rows are the test part."""


DATASETS = {
    "criteo": DataSet(
        "label", ("C",), drop=("fold", "chunk"), reader=read_criteo, binning="winner"
    ),
    "avazu": DataSet("click", ALL, drop=AVAZU_DROPPED, reader=read_avazu),
    "ipinyou": DataSet("click", ALL, ("slotprice",), ("part",), read_ipinyou),
    "flights": DataSet("late15", drop=("date",)),
    "synthetic": DataSet("label", ("C",), binning="winner", test_is_last=True),
    "frappe": DataSet("label", ALL, drop=("part",)),
    "ml100k": DataSet("label", ALL, drop=("rating", "timestamp", "movie_title")),
}
NEED_NO_PATH = ("flights", "synthetic")


def load(
    name: str, path: str | Path | None = None, rows: int | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns and labels.

    `rows` are the first ones of a file as it was published, else random ones in their order (the
    same in every call), and how many to make of `synthetic` without a path.
    """
    data = DATASETS[name]
    if path is None:
        if name == "synthetic":
            X, y = make_ctr_classification(rows or 100_000, random_state=0)
            return X, np.asarray(y)
        if name != "flights":
            raise ValueError(f"--data {name} needs --path; {', '.join(NEED_NO_PATH)} need none.")
        X, y = load_flights(return_X_y=True)
    elif Path(path).suffix == ".parquet":
        X = pd.read_parquet(path)
        if data.label not in X:
            raise ValueError(f"{path} has no column {data.label!r}; it has {list(X)}.")
        X = X.drop(columns=[column for column in data.drop if column in X])
        y = X.pop(data.label)
    elif data.reader is not None:
        return _strings(*data.reader(path, n_rows=rows, return_X_y=True), data)
    else:
        raise ValueError(f"--data {name} takes a Parquet file, got {path}.")
    if rows is not None and rows < len(X):
        kept = np.sort(np.random.default_rng(0).choice(len(X), rows, replace=False))
        X, y = X.iloc[kept].reset_index(drop=True), y.iloc[kept]
    return _strings(X, y, data)


def _strings(X, y, data):
    """Turn categories into strings, so that the encoder puts no identifiers in bins."""
    for name in X if data.categories else ():
        is_number = pd.api.types.is_numeric_dtype(X[name].dtype)
        if is_number and name.startswith(data.categories) and name not in data.numbers:
            X[name] = X[name].astype("string").astype("str")
    return X, np.asarray(y)
