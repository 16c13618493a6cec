"""Numeric columns: T01, quantiles, what is nearest, what "auto" chooses, dates."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.preprocessing import FieldEncoder
from sk_dynint.preprocessing._binning import SCORES, quantile_thresholds

from .reference import bin_of, encode_bins

VALUES = [-100, -7, -2, -1, 0, 1, 2, 3, 4, 5, 7, 10, 20, 55, 100, 1000, 12345, 10**5, 10**6]
# Worked out by hand: ⌊(ln v)²⌋ of 3 ... 10⁶, ⌊ln(v² + 1)⌋ and ⌊ln(v²)⌋ of all (0 has none).
WINNER = [1, 1, 2, 3, 5, 8, 16, 21, 47, 88, 132, 190]
AUTHORS = [9, 3, 1, 0, 0, 0, 1, 2, 2, 3, 3, 4, 5, 8, 9, 13, 18, 23, 27]
LITERAL = [9, 3, 1, 0, None, 0, 1, 2, 2, 3, 3, 4, 5, 8, 9, 13, 18, 23, 27]


def column(values):
    return pd.DataFrame({"x": values})


def encode(encoder, values):
    return encoder.transform(column(values))[:, 0].tolist()


def test_t01_scores_are_the_printed_tables():
    v = np.array(VALUES, dtype=float)
    assert SCORES["winner"](v)[7:].tolist() == WINNER
    assert len(set(SCORES["winner"](v)[:7])) == 7  # every value up to 2 by itself
    assert SCORES["winner"](v)[:7].max() < 0
    assert SCORES["authors"](v).tolist() == AUTHORS
    literal = SCORES["literal"](v).tolist()
    assert literal.pop(4) == -math.inf
    assert literal == [k for k in LITERAL if k is not None]


@pytest.mark.parametrize("binning", ["winner", "authors", "literal"])
def test_t01_bins_of_nineteen_values(binning):
    cells = [*VALUES, None, 3, 1000]
    encoder = FieldEncoder(binning=binning)
    encoded = encoder.fit_transform(column(cells))[:, 0].tolist()
    assert encoded == encode_bins(cells, cells, binning)
    assert encoder.binning_ == [binning]
    assert encoder.cardinalities_.tolist() == [max(encoded) + 1]


@pytest.mark.parametrize("binning", ["winner", "authors", "literal"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_bins_against_the_formula(binning, data):
    numbers = st.integers(-50, 10**6) | st.floats(-50, 10**6).map(lambda v: round(v, 3))
    seen = data.draw(st.lists(numbers | st.none(), min_size=1, max_size=90))
    seen.append(0.5)
    encoder = FieldEncoder(binning=binning)
    expected = encode_bins(seen, seen, binning)
    assert encoder.fit_transform(column(seen))[:, 0].tolist() == expected
    assert encode(encoder, seen) == expected


def test_winner_keeps_small_fractions_finite():
    encoder = FieldEncoder(binning="winner").fit(column([0.2, 0.9, 1.1, 1.9, 2.0, 2.1, 3.0]))
    assert encode(encoder, [0.2, 0.9, 1.1, 1.9, 2.0, 2.1, 3.0]) == [2, 2, 3, 3, 4, 5, 6]


def test_a_value_of_no_seen_bin_falls_in_the_nearest():
    encoder = FieldEncoder(binning="winner").fit(column([1, 10, 1000]))  # bins SP1, 5, 47
    # 170 is in bin 26, as far from 5 as from 47: the lower; 185 is in bin 27.
    assert encode(encoder, [-500, 1, 2, 9, 20, 170, 185, 10**9]) == [2, 2, 2, 3, 3, 3, 4, 4]
    quantile = FieldEncoder(binning="quantile").fit(column([1, 2, 4]))
    assert encode(quantile, [-500, 1.5, 1.6, 3, 3.1, 10**9]) == [2, 2, 3, 3, 4, 4]


def test_few_values_have_a_bin_each():
    rng = np.random.default_rng(0)
    values = rng.choice([0.1, 0.2, 0.7, 100.0], 500)
    encoder = FieldEncoder(binning="quantile", n_bins=4).fit(column(values))
    assert encoder.cardinalities_.tolist() == [6]
    assert encode(encoder, [0.1, 0.2, 0.7, 100.0, 0.3, 0.6]) == [2, 3, 4, 5, 3, 4]


def test_quantile_bins_weigh_the_same():
    values = np.random.default_rng(1).permutation(10_000) ** 2
    encoder = FieldEncoder(binning="quantile", n_bins=10).fit(column(values))
    assert encoder.levels_[0]["count"].tolist() == [0, 0] + [1000] * 10


def test_a_heavy_value_has_a_bin_to_itself():
    rng = np.random.default_rng(2)
    values = np.concatenate([np.zeros(9000), rng.normal(size=1000)])
    encoder = FieldEncoder(binning="quantile", n_bins=32).fit(column(values))
    table = encoder.levels_[0]
    zero = table[(table["lower"] <= 0) & (table["upper"] >= 0)]
    assert zero[["lower", "upper", "count"]].to_numpy().tolist() == [[0, 0, 9000]]
    assert 32 <= len(table) - 2 <= 33
    assert table["count"][2:].drop(zero.index).max() <= 2 * 1000 / 31


@given(
    values=st.lists(
        st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40, unique=True
    ),
    n_bins=st.integers(2, 60),
)
def test_thresholds_part_neighbours(values, n_bins):
    """Also where the half-way point is not a number of its own, or overflows if added up."""
    values = np.unique(values)
    thresholds = quantile_thresholds(values, np.ones(len(values), int), n_bins)
    assert np.isfinite(thresholds).all()
    bins = np.searchsorted(thresholds, values)
    assert (np.diff(bins) >= 0).all()
    assert len(np.unique(bins)) == len(thresholds) + 1
    if len(values) <= n_bins:
        assert len(thresholds) == len(values) - 1


@settings(deadline=None, max_examples=40)
@given(counts=st.lists(st.integers(1, 40), min_size=3, max_size=60), n_bins=st.integers(2, 12))
def test_quantile_bins_are_alone_or_light(counts, n_bins):
    counts = np.array(counts)
    thresholds = quantile_thresholds(np.arange(len(counts)) + 0.0, counts, n_bins)
    bins = np.searchsorted(thresholds, np.arange(len(counts)))
    heavy = np.zeros(len(counts), dtype=bool)
    for _ in counts:  # what is heavy among the rest depends on who has left it
        fair = counts[~heavy].sum() / max(n_bins - heavy.sum(), 1)
        heavy = heavy | (counts >= fair)
    if len(counts) <= n_bins:
        assert bins.tolist() == list(range(len(counts)))
        return
    assert (np.bincount(bins)[bins[heavy]] == 1).all()
    share = counts[~heavy].sum() / max(n_bins - heavy.sum(), 1)
    light_bins = np.bincount(bins[~heavy], counts[~heavy])
    assert (light_bins < share + counts[~heavy].max(initial=0)).all()
    assert len(thresholds) + 1 <= n_bins + heavy.sum()


COUNTS = np.floor(np.exp(np.random.default_rng(3).normal(1.5, 1.8, 5000)))


@pytest.mark.parametrize(
    ("values", "binning"),
    [
        (COUNTS, "winner"),
        (COUNTS - 2, "winner"),  # Criteo's I2 starts at -2
        (np.where(COUNTS > 3, COUNTS, -999), "winner"),
        (COUNTS + 0.5, "quantile"),  # not whole
        (np.minimum(COUNTS, 40), "quantile"),  # few
        (-COUNTS, "quantile"),  # negative
        (np.arange(5000), "quantile"),  # no tail
        (1900 + np.arange(5000) % 120, "quantile"),  # years
        (np.random.default_rng(4).normal(size=5000), "quantile"),
        (np.full(50, 7), "quantile"),
        (np.maximum(np.arange(20_000) - 19_900, 0), "quantile"),  # next to nothing but zeros
    ],
)
@pytest.mark.filterwarnings("ignore:columns .* hold whole numbers")
def test_auto(values, binning):
    assert FieldEncoder(binning="auto", n_bins=64).fit(column(values)).binning_ == [binning]


def test_binning_by_column():
    X = pd.DataFrame({"a": COUNTS, "b": COUNTS, "c": COUNTS, "s": "x"})
    encoder = FieldEncoder(binning={"a": "authors", 1: "auto"}).fit(X)
    assert encoder.binning_ == ["authors", "winner", "quantile", None]


def test_threshold_numeric():
    values = [1] * 5 + [10] * 4 + [1000] * 5
    encoder = FieldEncoder(binning="winner", min_count=5, threshold_numeric=True)
    assert encoder.fit_transform(column(values))[:, 0].tolist() == [2] * 5 + [0] * 4 + [3] * 5
    assert encode(encoder, [9, 11, 999]) == [0, 0, 3]
    assert encoder.levels_[0]["count"].tolist() == [4, 0, 5, 5]
    assert FieldEncoder(binning="winner", min_count=5).fit(column(values)).cardinalities_ == [5]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("timezone", [None, "UTC", "Asia/Tokyo"])
def test_dates_are_seconds_in_utc(unit, timezone):
    start = pd.Timestamp("2024-02-28", tz="UTC")
    days = pd.Series(start + pd.to_timedelta([0, 1, 2, 2, 0], unit="D")).dt.as_unit(unit)
    days = days.dt.tz_convert(timezone or "UTC")
    days = days if timezone else days.dt.tz_localize(None)
    days = days.reindex(range(6))
    encoder = FieldEncoder()
    assert encoder.fit_transform(column(days))[:, 0].tolist() == [2, 3, 4, 4, 2, 1]
    assert encoder.field_kinds_ == ["numeric"]
    tokyo = (days if timezone else days.dt.tz_localize("UTC")).dt.tz_convert("Asia/Tokyo")
    assert encode(encoder, tokyo.dt.as_unit("ns")) == [2, 3, 4, 4, 2, 1]
    assert encoder.levels_[0]["lower"][4] == pd.Timestamp("2024-03-01")
    assert encoder.inverse_transform([[3]])["x"][0] == pd.Timestamp("2024-02-29")


def test_durations():
    spans = pd.to_timedelta(pd.Series([1.5, 0.25, None, 1.5]), unit="s")
    encoder = FieldEncoder()
    assert encoder.fit_transform(column(spans))[:, 0].tolist() == [3, 2, 1, 3]
    assert encode(encoder, spans.dt.as_unit("ms")) == [3, 2, 1, 3]
    assert encoder.levels_[0]["upper"][3] == pd.Timedelta("1.5s")


def test_levels_table_of_numbers():
    encoder = FieldEncoder(binning="authors").fit(column([-3, 3, 4, np.nan, 100]))
    assert bin_of(-3, "authors") == bin_of(4, "authors") != bin_of(100, "authors")
    expected = pd.DataFrame(
        {
            "lower": [np.nan, np.nan, 3, 100],
            "upper": [np.nan, np.nan, 4, 100],
            "count": [0, 1, 3, 1],
        },
        index=pd.RangeIndex(4, name="index"),
    )
    pd.testing.assert_frame_equal(encoder.levels_[0], expected)
