"""An encoder restored from arrays and numbers is the same encoder."""

import datetime as dt
import json
import pickle
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder
from sk_dynint.preprocessing._state import pack_keys, unpack_keys
from tests.conftest import make_clicks

LEVELS = {
    "strings": st.text(max_size=5),
    "surrogates": st.sampled_from(["\ud800", "a\udfff", "b"]),
    "integers": st.integers(-(10**30), 10**30),
    "floats": st.floats(allow_nan=False, allow_infinity=False),
    "booleans": st.booleans(),
    "bytes": st.binary(max_size=4),
    "decimals": st.decimals(allow_nan=False, allow_infinity=False),
    "uuids": st.integers(0, 2**128 - 1).map(lambda n: uuid.UUID(int=n)),
    "dates": st.dates(),
    "instants": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)).map(pd.Timestamp),
    "zoned": st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2200, 1, 1)).map(
        lambda t: pd.Timestamp(t, tz="UTC").tz_convert("Europe/Berlin")
    ),
    "durations": st.integers(-(10**9), 10**9).map(lambda n: pd.Timedelta(n, "s")),
    "periods": st.integers(0, 500).map(lambda n: pd.Period(ordinal=n, freq="M")),
}


def through_files(state):
    """Arrays by their bytes, the rest as JSON: nothing is pickled."""
    found = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert value.dtype != object
            found[name] = np.frombuffer(value.tobytes(), dtype=value.dtype).reshape(value.shape)
        else:
            found[name] = json.loads(json.dumps(value))
    return found


def assert_same(one, two, X):
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    pd.testing.assert_frame_equal(
        one.inverse_transform(one.transform(X)), two.inverse_transform(two.transform(X))
    )
    for ours, theirs in zip(one.levels_, two.levels_, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
    assert one.state_dict().keys() == two.state_dict().keys()
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(two.state_dict()[name], value)


@given(data=st.data(), kind=st.sampled_from(sorted(LEVELS)), other=st.sampled_from(sorted(LEVELS)))
@settings(max_examples=150, deadline=None)
def test_levels_of_any_kind(data, kind, other):
    cells = data.draw(st.lists(LEVELS[kind] | LEVELS[other] | st.none(), min_size=1, max_size=9))
    X = pd.DataFrame({"c": pd.Series(cells, dtype=object)})
    encoder = FieldEncoder(categorical_features="all", min_count=1).fit(X)
    state = through_files(encoder.state_dict())
    twin = FieldEncoder(categorical_features="all", min_count=1).load_state_dict(state)
    np.testing.assert_array_equal(encoder.transform(X), twin.transform(X))
    for ours, theirs in zip(encoder.levels_[0]["level"], twin.levels_[0]["level"], strict=True):
        if not (pd.isna(ours) and pd.isna(theirs)):
            assert ours == theirs
            assert type(ours) is type(theirs) or isinstance(ours, np.generic)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("binning", ["auto", "authors", "quantile"])
def test_frames_of_all_kinds(binning, named):
    X, _ = make_clicks(400)
    if not named:
        X = X[["hour", "count"]].to_numpy()
    encoder = FieldEncoder(binning=binning, threshold_numeric=True).fit(X)
    twin = FieldEncoder(binning=binning, threshold_numeric=True)
    twin.load_state_dict(through_files(encoder.state_dict()))
    assert_same(encoder, twin, X)
    assert hasattr(twin, "feature_names_in_") == named
    assert_same(encoder, pickle.loads(pickle.dumps(twin)), X)


def test_instants_with_and_without_zone_are_levels_side_by_side():
    cells = [pd.Timestamp("2000-01-01"), pd.Timestamp("2000-01-01", tz="Europe/Berlin")] * 2
    X = pd.DataFrame({"c": pd.Series(cells, dtype=object)})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    assert encoder.transform(X).ravel().tolist() in ([2, 3, 2, 3], [3, 2, 3, 2])
    assert_same(encoder, FieldEncoder().load_state_dict(encoder.state_dict()), X)


def test_integers_of_any_length():
    """Python refuses to print those of more than 4,300 digits in decimal."""
    keys = [10**5_000, -(10**5_000), 7, 0]
    assert unpack_keys(pack_keys(keys, "c")).tolist() == keys


def test_a_level_that_cannot_be_stored_is_named():
    X = pd.DataFrame({"c": pd.Series([("a", 1)] * 2, dtype=object)})
    with pytest.raises(TypeError, match="'c' has a level of type tuple, which cannot be stored"):
        FieldEncoder().fit(X).state_dict()


def test_pickle_holds_levels_once():
    """The category-encoders mapping is built for `inverse_transform` only."""
    levels = pd.DataFrame({"c": [f"level {i}" for i in range(20_000)] * 2})
    encoder = FieldEncoder().fit(levels)
    size = len(pickle.dumps(encoder))
    text = sum(len(level) for level in levels["c"].unique())
    assert size < 2.2 * text
    encoder.inverse_transform(encoder.transform(levels.head(3)))
    assert len(pickle.dumps(encoder)) == size
