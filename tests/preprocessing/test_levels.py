"""Categorical columns: T02, what is one level, how columns are stored, category-encoders."""

import datetime
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.preprocessing import FieldEncoder
from sk_dynint.preprocessing._columns import read_columns
from sk_dynint.preprocessing._levels import make_ordinal_encoder

from .reference import encode_levels

TEXTS = st.sampled_from(["", "a", "b", "A", "1", "nan", "None", "é", "e\u0301", "漢"])
MIXED = TEXTS | st.sampled_from(
    [0, 1, 2, 1.0, 0.5, -1, True, False, b"a", (1, 2), np.str_("a"), np.int8(2), np.bool_(True)]
)
MISSING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])


def frame(cells, dtype=object):
    return pd.DataFrame({"c": pd.Series(cells, dtype=dtype)})


def encode(encoder, cells, dtype=object):
    return encoder.transform(frame(cells, dtype))[:, 0].tolist()


def test_t02_threshold_order_and_table():
    cells = ["b"] * 3 + ["a"] * 3 + ["c"] * 5 + ["d"] * 2 + ["e"] + [None] * 4
    encoder = FieldEncoder(min_count=3).fit(frame(cells))
    assert encode(encoder, ["c", "a", "b", "d", "e", None, "new"]) == [2, 3, 4, 0, 0, 1, 0]
    expected = pd.DataFrame(
        {
            "level": pd.Series([None, np.nan, "c", "a", "b"], dtype=object),
            "count": [3, 4, 5, 3, 3],
        },
        index=pd.RangeIndex(5, name="index"),
    )
    pd.testing.assert_frame_equal(encoder.levels_[0], expected)
    assert encoder.cardinalities_.dtype == np.int64
    assert encoder.cardinalities_.tolist() == [5]


@pytest.mark.parametrize(
    ("min_count", "n_kept"), [(0, 3), (1, 3), (1.5, 2), (2, 2), (3, 1), (4, 0)]
)
def test_t02_a_level_is_kept_at_the_threshold(min_count, n_kept):
    encoder = FieldEncoder(min_count=min_count).fit(frame(["a"] * 3 + ["b"] * 2 + ["c"]))
    assert encoder.cardinalities_.tolist() == [2 + n_kept]


@settings(deadline=None, max_examples=40)
@given(
    cells=st.lists(MIXED | MISSING, min_size=1, max_size=150),
    new=st.lists(MIXED | MISSING, min_size=1, max_size=150),
    min_count=st.integers(1, 4),
)
def test_against_loops_over_cells(cells, new, min_count):
    """Lengths on both sides of the point below which distinct values are not looked for."""
    encoder = FieldEncoder(categorical_features="all", min_count=min_count)
    expected, _ = encode_levels(cells, cells, min_count)
    encoded = encoder.fit_transform(frame(cells))[:, 0].tolist()
    # The order of levels of several types is settled by another test.
    kept, expected_kept = np.array(encoded), np.array(expected)
    np.testing.assert_array_equal(np.minimum(kept, 2), np.minimum(expected_kept, 2))
    assert len(set(zip(encoded, expected, strict=True))) == len(set(expected)) == len(set(encoded))
    assert encode(encoder, cells) == encoded
    translate = dict(zip(expected, encoded, strict=True))
    expected_new = [translate.get(i, i) for i in encode_levels(cells, new, min_count)[0]]
    assert _encode_if_same_kind(encoder, new) in (None, expected_new)


def _encode_if_same_kind(encoder, cells):
    try:
        return encode(encoder, cells)
    except ValueError as error:
        assert "in fit" in str(error)  # noqa: PT017
        return None


@settings(deadline=None, max_examples=15)
@given(
    cells=st.lists(TEXTS | st.none(), min_size=1, max_size=150),
    new=st.lists(TEXTS | st.none(), min_size=1, max_size=150),
    min_count=st.integers(1, 4),
)
def test_all_ways_to_store_strings_give_the_same(cells, new, min_count):
    expected, table = encode_levels(cells, cells, min_count)
    expected_new, _ = encode_levels(cells, new, min_count)
    for store in STORES.values():
        encoder = FieldEncoder(min_count=min_count)
        assert encoder.fit_transform(store(cells))[:, 0].tolist() == expected
        assert encoder.levels_[0]["level"][2:].tolist() == [level for level, _ in table[2:]]
        assert encoder.levels_[0]["count"].tolist() == [count for _, count in table]
        for other in STORES.values():
            assert encoder.transform(other(new))[:, 0].tolist() == expected_new


STORES = {
    "object": frame,
    "str": lambda cells: frame(cells, "str"),
    "string[python]": lambda cells: frame(cells, "string[python]"),
    "string[pyarrow]": lambda cells: frame(cells, "string[pyarrow]"),
    "category": lambda cells: frame(cells, "category"),
    "arrow string": lambda cells: frame(cells, pd.ArrowDtype(pa.string())),
    "arrow dictionary": lambda cells: frame(
        pd.array(pa.array(cells, pa.string()).dictionary_encode(), dtype=None), None
    ),
    "arrow category": lambda cells: frame(cells, pd.ArrowDtype(pa.string())).astype("category"),
    "arrow table": lambda cells: pa.table({"c": pa.array(cells, pa.string())}),
    "polars": lambda cells: pl.DataFrame({"c": pl.Series(cells, dtype=pl.String)}),
    "polars categorical": lambda cells: pl.DataFrame({"c": pl.Series(cells, dtype=pl.Categorical)}),
}


@pytest.mark.parametrize("n_rows", [1, 64, 65, 200, 201, 202, 500])
def test_fewer_and_more_rows_than_levels(n_rows):
    """Each is looked up in a way of its own, in every kind of column."""
    fitted = [f"{i:03}" for i in range(200)]
    cells = [None if i % 7 == 3 else f"{i % 300:03}" for i in range(n_rows)]
    encoder = FieldEncoder(min_count=1).fit(frame(fitted, "str"))
    expected, _ = encode_levels(fitted, cells, 1)
    for store in STORES.values():
        assert encoder.transform(store(cells))[:, 0].tolist() == expected


def test_integers_with_holes_become_floats_and_stay_the_same_levels():
    encoder = FieldEncoder(categorical_features="all").fit(frame([10, 10, 2, 2, 3], "int64"))
    assert encode(encoder, [10, 2, np.nan, 3, 5], "float64") == [3, 2, 1, 0, 0]
    for dtype in ("Int64", "Float64", "int64[pyarrow]", object):
        assert encode(encoder, [10, 2, None, 3, 5], dtype) == [3, 2, 1, 0, 0]
    assert encode(encoder, [10, 2], "category") == [3, 2]
    assert encode(encoder, [10, 2], "uint8") == [3, 2]


def test_large_integers_are_not_rounded():
    ids = [2**53, 2**53 + 1] * 2
    encoder = FieldEncoder(categorical_features="all").fit(frame(ids, "int64"))
    assert encode(encoder, ids, "int64") == [2, 3, 2, 3]
    assert encode(encoder, ids, object) == [2, 3, 2, 3]


def test_true_one_and_the_digit_are_three_levels():
    cells = [1, "1", True, 1.0, "True", 0, False] * 2
    for length in (1, 20):  # a short column takes another way
        encoder = FieldEncoder().fit(frame(cells * length))
        encoded = encode(encoder, cells * length)[:7]
        assert encoded[0] == encoded[3]
        assert len(set(encoded)) == 6
        assert encoder.cardinalities_.tolist() == [8]
        levels = encoder.levels_[0]["level"].tolist()
        assert {type(level) for level in levels[2:]} == {int, str, bool}


@pytest.mark.parametrize("dtype", [bool, "boolean", "category", object, "bool[pyarrow]"])
def test_booleans_are_categorical(dtype):
    encoder = FieldEncoder().fit(frame([True, False, True, False, True], dtype))
    assert encoder.field_kinds_ == ["categorical"]
    assert encode(encoder, [False, True], dtype) == [3, 2]
    assert encode(encoder, [False, None, True]) == [3, 1, 2]


@pytest.mark.parametrize(
    "cells",
    [
        pd.period_range("2024-01", periods=3, freq="M"),
        pd.interval_range(0, 3),
        [datetime.date(2024, 1, 2), datetime.date(2024, 1, 3), datetime.date(2024, 1, 4)],
        [b"x", b"y", b"z"],
    ],
)
def test_other_objects_are_levels(cells):
    encoder = FieldEncoder(min_count=1)
    X = pd.DataFrame({"c": cells})
    assert encoder.fit_transform(X)[:, 0].tolist() == [2, 3, 4]
    assert encoder.transform(X[1:])[:, 0].tolist() == [3, 4]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, float("nan")])
@pytest.mark.parametrize("length", [1, 50])
def test_kinds_of_missing(missing, length):
    encoder = FieldEncoder().fit(frame(["a", "a", missing] * length))
    assert encode(encoder, ["a", missing, "b"] * length) == [2, 1, 0] * length
    never_seen = FieldEncoder().fit(frame(["a", "a"]))
    assert encode(never_seen, ["a", missing, "b"] * length) == [2, 1, 0] * length


def test_levels_that_arrow_cannot_hold():
    encoder = FieldEncoder(min_count=1).fit(frame(["\ud800", "a"]))
    new = [f"{i}" for i in range(100)] + ["a"]
    with pytest.warns(UserWarning, match="hold values that fit did not see"):
        assert encode(encoder, new, "str") == [0] * 100 + [2]
    assert encoder.inverse_transform([[2], [3]])["c"].tolist() == ["a", "\ud800"]


@settings(deadline=None, max_examples=40)
@given(
    cells=st.lists(MIXED | MISSING, min_size=1, max_size=100),
    new=st.lists(MIXED | MISSING, min_size=1, max_size=100),
)
def test_category_encoders_agrees(cells, new):
    """Two ways through one mapping: by rows in category-encoders, by distinct values here."""
    X = pd.DataFrame({"c": cells, "d": cells[::-1]}, dtype=object)
    encoder = FieldEncoder(categorical_features="all").fit(X)
    new = pd.DataFrame({"c": new, "d": new[::-1]}, dtype=object)
    try:
        expected = encoder.transform(new)
    except ValueError:  # numbers, say, where strings were
        return
    columns = read_columns(encoder, new, reset=False)
    keys = pd.DataFrame({j: column.keys() for j, column in enumerate(columns)}, dtype=object)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'future.no_silent_downcasting'", DeprecationWarning)
        applied = make_ordinal_encoder(encoder._fields).transform(keys)
    np.testing.assert_array_equal(np.maximum(applied, 0), expected)  # it calls unseen levels -1


def test_category_encoders_shares_the_levels():
    """A million levels must not be held twice; what is pickled holds them once."""
    encoder = FieldEncoder(min_count=1).fit(frame(["a", "b", None]))
    (mapping,) = make_ordinal_encoder([encoder._fields[0]]).category_mapping
    assert np.shares_memory(
        mapping["mapping"].index.to_numpy(), encoder._fields[0].levels.to_numpy()
    )
    assert mapping["mapping"].index.tolist()[1:] == ["a", "b"]
    assert mapping["mapping"].tolist() == [1, 2, 3]


@pytest.mark.slow
def test_a_million_levels():
    rng = np.random.default_rng(0)
    cells = pd.Series(rng.integers(0, 2_000_000, 2_000_000)).map("{:x}".format).astype("str")
    encoder = FieldEncoder(min_count=2)
    encoded = encoder.fit_transform(frame(cells, "str"))[:, 0]
    count = cells.value_counts()
    assert encoder.cardinalities_[0] == 2 + (count >= 2).sum()
    assert len(count) > 1_000_000
    np.testing.assert_array_equal(encoded >= 2, cells.map(count) >= 2)
    assert cells[encoded >= 2].nunique() == len(np.unique(encoded[encoded >= 2]))
    np.testing.assert_array_equal(encoder.transform(frame(cells, object))[:, 0], encoded)


def test_a_column_that_keeps_no_level_is_told():
    """Distinct strings, or weights that add up to less than min_count."""
    X = pd.DataFrame({"id": [f"row {i}" for i in range(200)], "site": ["a", "b"] * 100})
    with pytest.warns(UserWarning, match=r"columns \['id'\] keep no level"):
        FieldEncoder().fit(X)
    with pytest.warns(UserWarning, match=r"columns \['id', 'site'\] keep no level.*sample_weight"):
        FieldEncoder().fit_transform(X, sample_weight=np.full(200, 1 / 200))
    with pytest.warns(UserWarning, match=r"columns \['id'\] hold no value"):
        FieldEncoder().fit(X.assign(id=None))
    for min_count in (1, 150):
        FieldEncoder(min_count=min_count).fit(X)
    FieldEncoder().fit(X.head(50))
