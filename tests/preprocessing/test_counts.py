"""Counts of parts add up to those of the whole, and so do encoders."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder

CELLS = {
    "strings": st.sampled_from(["a", "b", "c", "ä", "", "zz"]) | st.none(),
    "numbers": st.sampled_from([0.0, 1.0, 2.5, -3.0, 1e9, np.nan]) | st.floats(-9, 9),
    "whole": st.integers(-3, 3),
    "booleans": st.booleans(),
    "dates": st.dates(dt.date(2020, 1, 1), dt.date(2020, 1, 9)).map(pd.Timestamp),
    "mixed": st.sampled_from(["a", 1, 2.0, True, None, Decimal("1.5")]),
}
DTYPES = {"strings": "str", "dates": "datetime64[ns]", "mixed": object}


@st.composite
def frames(draw):
    n = draw(st.integers(2, 30))
    columns = {}
    for name, cells in CELLS.items():
        values = draw(st.lists(cells, min_size=n, max_size=n))
        columns[name] = pd.Series(values, dtype=DTYPES.get(name))
    return pd.DataFrame(columns).assign(never=pd.Series([None] * n, dtype=object))


def assert_equal(one, two):
    np.testing.assert_array_equal(one.cardinalities_, two.cardinalities_)
    assert one.field_kinds_ == two.field_kinds_
    assert one.binning_ == two.binning_
    assert one.n_samples_seen_ == two.n_samples_seen_
    for ours, theirs in zip(one.levels_, two.levels_, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)


def fit(part, weight, **params):
    return FieldEncoder(keep_counts=True, **params).fit(part, sample_weight=weight)


# A column of booleans or mixed objects may look like another kind where a part is short.
@given(X=frames(), data=st.data(), weighted=st.booleans(), min_count=st.sampled_from([1, 2, 2.5]))
@settings(max_examples=60, deadline=None)
def test_merged_encoders_are_those_of_all_rows(X, data, weighted, min_count):
    X = X.drop(columns="mixed")
    n = len(X)
    cut = data.draw(st.integers(1, n - 1))
    weight = None
    if weighted:
        eighths = data.draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))
        weight = np.array(eighths) / 8
    params = {"min_count": min_count, "n_bins": 4, "threshold_numeric": weighted}
    whole = fit(X, weight, **params)
    parts = [
        fit(X.iloc[rows], None if weight is None else weight[rows], **params)
        for rows in (slice(cut), slice(cut, None))
    ]
    for merged in (parts[0].merge(parts[1]), parts[1].merge(parts[0])):
        assert_equal(merged, whole)
        np.testing.assert_array_equal(merged.transform(X), whole.transform(X))
        for ours, theirs in zip(merged.counts_, whole.counts_, strict=True):
            one, two = (dict(zip(c.keys(), c.counts, strict=True)) for c in (ours, theirs))
            assert (one, ours.missing) == (two, theirs.missing)


@given(X=frames(), data=st.data())
@settings(max_examples=30, deadline=None)
def test_merging_is_associative(X, data):
    X = X.drop(columns="mixed")
    cuts = sorted(data.draw(st.lists(st.integers(1, len(X) - 1), min_size=2, max_size=2)))
    rows = [slice(0, cuts[0]), slice(cuts[0], cuts[1] + 1), slice(cuts[1], None)]
    a, b, c = (fit(X.iloc[part], None) for part in rows)
    assert_equal(a.merge(b).merge(c), a.merge(b.merge(c)))


def test_mixed_objects_take_in_other_kinds():
    parts = [pd.DataFrame({"c": pd.Series(v, dtype=object)}) for v in (["a", 1, True], ["a", "b"])]
    one, two = (fit(part, None, min_count=1) for part in parts)
    whole = fit(pd.concat(parts), None, min_count=1)
    for merged in (one.merge(two), two.merge(one)):
        assert_equal(merged, whole)


def test_a_part_without_values_follows_the_other():
    empty = pd.DataFrame({"c": pd.Series([None, None], dtype=object)})
    strings, numbers = pd.DataFrame({"c": ["a", "a"]}), pd.DataFrame({"c": [1.0, 2.0]})
    for other in (strings, numbers):
        merged = fit(empty, None).merge(fit(other, None))
        assert merged.field_kinds_ == fit(other, None).field_kinds_
        assert merged.levels_[0]["count"].tolist()[1] == 2
        merged.transform(other)


def test_what_cannot_be_merged_says_why():
    strings, numbers = pd.DataFrame({"c": ["a", "a"]}), pd.DataFrame({"c": [1.0, 2.0]})
    one = fit(strings, None)
    with pytest.raises(ValueError, match="'c' holds strings in one part and numbers in the other"):
        one.merge(fit(numbers, None))
    with pytest.raises(ValueError, match=r"different parameters: {'min_count': \(2, 5\)}"):
        one.merge(fit(strings, None, min_count=5))
    with pytest.raises(ValueError, match=r"different columns: \['c'\] and \['d'\]"):
        one.merge(fit(strings.rename(columns={"c": "d"}), None))
    with pytest.raises(ValueError, match="keep_counts=True"):
        one.merge(FieldEncoder().fit(strings))
    assert not hasattr(FieldEncoder().fit(strings), "counts_")


def test_fit_transform_keeps_the_same_counts():
    X = pd.DataFrame({"c": ["a", "b", "b", None], "n": [1, 1, 2, 3]})
    one, two = FieldEncoder(keep_counts=True), FieldEncoder(keep_counts=True)
    one.fit(X)
    two.fit_transform(X)
    for ours, theirs in zip(one.counts_, two.counts_, strict=True):
        np.testing.assert_array_equal(ours.keys(), theirs.keys())
        np.testing.assert_array_equal(ours.counts, theirs.counts)
