"""The encoder learns from a table in parts what it learns from a frame, to the bit."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder
from sk_dynint._sources import Source
from sk_dynint.datasets import read_table
from sk_dynint.preprocessing import _streaming

OPTIONS = {"categorical_features": ["user", "big"], "separators": {"tags": "|"}}

pytestmark = [
    pytest.mark.filterwarnings("ignore:columns .'empty'. hold no value"),
    pytest.mark.filterwarnings("ignore:columns .'user'. hold whole numbers"),
]


@pytest.fixture(params=["folder", "pattern", "data set", "LazyFrame"])
def lazy(request, shards):
    pattern = str(shards / "*.parquet")
    made = {
        "folder": lambda: shards,
        "pattern": lambda: pattern,
        "data set": lambda: ds.dataset(shards),
        "LazyFrame": lambda: pl.scan_parquet(pattern),
    }
    return made[request.param]()


def columns_of(lazy, table):
    """The columns that a table in parts tells apart as the frame does.

    polars has no categories of numbers, whoever asks for a frame or a LazyFrame.
    """
    return [c for c in table if not (isinstance(lazy, pl.LazyFrame) and c == "few")]


def chosen(lazy, names):
    """Some columns of a table in parts."""
    return lazy.select(names) if isinstance(lazy, pl.LazyFrame) else lazy


def test_same_fields_and_indices(lazy, table):
    names = columns_of(lazy, table)
    lazy, table = chosen(lazy, names), table[names]
    encoder, expected = FieldEncoder(**OPTIONS), FieldEncoder(**OPTIONS)
    indices = encoder.fit_transform(lazy)
    assert np.array_equal(indices, expected.fit_transform(table))
    assert encoder.equals(expected)
    assert encoder.feature_names_in_.tolist() == names
    assert encoder.n_samples_seen_ == len(table)
    assert np.array_equal(encoder.transform(lazy), indices)
    assert np.array_equal(encoder.transform(table), indices)
    assert FieldEncoder(**OPTIONS).fit(lazy).equals(expected)


def test_weights_and_crosses(shards, table):
    draw = np.random.default_rng(1)
    y, weight = draw.integers(0, 2, len(table)), draw.integers(0, 4, len(table)).astype(float)
    options = OPTIONS | {"crosses": [("site", "user"), ("flag", "amount", "few")]}
    encoder, expected = FieldEncoder(**options), FieldEncoder(**options)
    indices = encoder.fit_transform(shards, y, weight)
    weighted = expected.fit_transform(table, y, weight)
    assert np.array_equal(indices[weight > 0], weighted[weight > 0])
    assert encoder.equals(expected)
    assert np.array_equal(encoder.transform(shards), expected.transform(table))
    with pytest.raises(ValueError, match="requires y to be passed"):
        FieldEncoder(**options).fit(shards)


@pytest.mark.parametrize("options", [{"keep_counts": True}, {"categorical_features": "all"}])
def test_other_options(options, shards, table):
    table = table.drop(columns=["list"]) if "categorical_features" in options else table
    source = pl.scan_parquet(shards / "*.parquet").select(c for c in table if c != "few")
    encoder = FieldEncoder(**options).fit(source)
    expected = FieldEncoder(**options).fit(table.drop(columns=["few"]))
    assert encoder.equals(expected)
    if encoder.keep_counts:
        assert encoder.merge(encoder).equals(expected.merge(expected))


def test_a_text_file_is_read_as_read_table_reads_it(table, tmp_path):
    named = ["site", "user", "big"]
    text = table[["site", "user", "amount", "big", "tags"]].copy()
    text["mixed"] = np.where(np.arange(len(table)) == 2500, "x", "7")
    text["odd"] = np.where(np.arange(len(table)) % 3, "NA", " 1.5 ")
    options = {"categorical_features": named, "separators": {"tags": "|"}}
    for name in ("clicks.csv", "clicks.csv.gz", "clicks.tsv"):
        text.to_csv(tmp_path / name, index=False, sep="\t" if "tsv" in name else ",")
        frame = read_table(tmp_path / name, categorical_features=named)
        frame["odd"] = pd.to_numeric(frame["odd"])
        encoder = FieldEncoder(**options)
        indices = encoder.fit_transform(tmp_path / name)
        assert encoder.equals(FieldEncoder(**options).fit(frame))
        assert np.array_equal(indices, encoder.transform(frame))
        assert np.array_equal(encoder.transform(tmp_path / name), indices)


def test_text_where_numbers_were(tmp_path):
    (tmp_path / "fit.csv").write_text("x,y\n" + "1,a\n2,b\n" * 50)
    (tmp_path / "new.csv").write_text("x,y\n1,a\ntwo,b\n")
    encoder = FieldEncoder().fit(tmp_path / "fit.csv")
    with pytest.raises(ValueError, match=r"column 'x' holds strings, but it is numeric"):
        encoder.transform(tmp_path / "new.csv")


def test_many_numbers_are_binned_by_a_sample(shards, table, monkeypatch):
    monkeypatch.setattr(_streaming, "MAX_VALUES", 100)
    monkeypatch.setattr(_streaming, "SAMPLE_ROWS", 1500)
    names = ["amount", "user"]
    encoder = FieldEncoder(n_bins=4).fit(pl.scan_parquet(shards / "*.parquet").select(names))
    exact = FieldEncoder(n_bins=4).fit(table[names])
    assert not encoder.equals(exact)
    for frame, expected in zip(encoder.levels_, exact.levels_, strict=True):
        assert abs(frame["count"].sum() - len(table)) < 200
        assert np.allclose(frame["count"], expected["count"], rtol=0.15, atol=20)
    again = FieldEncoder(n_bins=4).fit(pl.scan_parquet(shards / "*.parquet").select(names))
    assert again.equals(encoder)


CELLS = {
    "strings": st.sampled_from(["a", "b", "c", "", "é" * 40, None]),
    "whole": st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**62, None]),
    "real": st.sampled_from([0.0, -0.0, 1.5, -2.25, 5e-324, 1e300, None, float("nan")]),
}


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(*CELLS.values()), min_size=1, max_size=60),
    named=st.sets(st.sampled_from(["whole", "real"])),
    size=st.integers(1, 20),
)
def test_any_cells_in_any_parts(rows, named, size):
    frame = pl.DataFrame(
        rows,
        schema={"strings": pl.String, "whole": pl.Int64, "real": pl.Float64},
        orient="row",
        strict=False,
    )
    options = {"categorical_features": sorted(named), "min_count": 2}
    parts = [Rows(frame[i : i + size]) for i in range(0, len(frame), size)]
    source = Source(parts, frame.to_arrow().schema)
    encoder, expected = FieldEncoder(**options), FieldEncoder(**options)
    assert np.array_equal(encoder.fit_transform(source), expected.fit_transform(frame))
    assert encoder.equals(expected)


class Rows:
    """A part in memory."""

    name = "rows"

    def __init__(self, frame):
        self.frame = frame

    def count(self):
        return len(self.frame)

    def read(self, columns, start):
        if start < len(self.frame):
            yield self.frame[start:].select(list(columns)).to_arrow()
