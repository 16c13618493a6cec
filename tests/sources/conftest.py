"""A table in shards, and small parts so that few rows are many of them."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sk_dynint._sources import _parts, _source, _values

N = 3000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Read 130 rows at once, and keep the counts of 400."""
    monkeypatch.setattr(_parts, "BATCH_ROWS", 130)
    monkeypatch.setattr(_source, "BATCH_ROWS", 130)
    monkeypatch.setattr(_values, "CHUNK_ROWS", 400)


def make_table(n=N, seed=0):
    """Columns of all kinds that Parquet holds, with holes."""
    draw = np.random.default_rng(seed)
    some = draw.random(n) < 0.1

    def objects(values):
        return pd.Series([values[i] for i in draw.integers(0, len(values), n)], dtype=object)

    table = pd.DataFrame(
        {
            "site": objects(["a", "b", "c", "é", "", None]),
            "user": draw.integers(0, 400, n),
            "amount": np.where(some, np.nan, draw.normal(size=n).round(2)),
            "big": pd.array(draw.integers(2**60, 2**60 + 50, n), "Int64"),
            "few": pd.Categorical(draw.integers(0, 30, n)),
            "kind": pd.Categorical(objects(["x", "y", None])),
            "at": pd.Timestamp("2020-02-01") + pd.to_timedelta(draw.integers(0, 900, n), unit="h"),
            "zoned": pd.Timestamp("2020-02-01", tz="Europe/Paris")
            + pd.to_timedelta(draw.integers(0, 90, n), unit="h"),
            "day": objects([dt.date(2020, 1, 1), dt.date(2020, 1, 2), None]),
            "price": objects([Decimal("1.10"), Decimal("1.1"), Decimal("2.00"), None]),
            "raw": objects([b"\x00", b"\xff", None]),
            "flag": pd.array(draw.random(n) < 0.5, "boolean"),
            "tags": objects(["a|b", "a", "b|c|a", "", None]),
            "list": objects([["u", "v"], ["u"], ["w", "u", "u"], [], None]),
            "empty": pd.Series([None] * n, dtype="str"),
        }
    )
    table.loc[table.index % 17 == 3, ["big", "few", "at", "flag"]] = None
    return table


@pytest.fixture(scope="session")
def table():
    return make_table()


@pytest.fixture(scope="session")
def shards(table, tmp_path_factory):
    """The table in three files of several row groups."""
    folder = tmp_path_factory.mktemp("shards")
    for number, start in enumerate(range(0, N, 1000)):
        part = table.iloc[start : start + 1000]
        part.to_parquet(folder / f"part-{number}.parquet", row_group_size=300, index=False)
    return folder
