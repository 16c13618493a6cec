"""Rows as dicts have the indices that they have in a frame."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import dok_array
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import OrdinalEncoder

from sk_dynint import FieldEncoder
from sk_dynint._warnings import warnings_ignored
from sk_dynint.preprocessing._binning import SCORES
from sk_dynint.preprocessing._dicts import MAX_ROWS, as_dicts
from tests.conftest import fast

TABLE = pd.DataFrame(
    {
        "site": pd.Series(["a", "b", None, "\ud800", "a", "", "a", "b"] * 30, dtype=object),
        "zip": [1, 2, 2**60, 4, 5, 1, 2, 4] * 30,
        "mobile": [True, False, None, True] * 60,
        "any": pd.Series(["a", 1, True, None, 2.5, "1", 1, "a"] * 30, dtype=object),
        "amount": np.tile([0.5, np.nan, -3.0, 1e300, 5e-324, 0.0, -0.0, 7.25], 30),
        "count": [0, 1, 2, 3, 5, 8, 13, 10**6] * 30,
        "empty": [None] * 240,
    }
)
CATEGORICAL = ["site", "zip", "mobile", "any"]


def make_encoder(binning="auto", **params):
    with warnings_ignored():  # of columns that are of no use
        return FieldEncoder(
            min_count=1, categorical_features=CATEGORICAL, binning=binning, **params
        ).fit(TABLE)


@pytest.fixture(scope="module", params=SCORES)
def encoder(request):
    return make_encoder(request.param)


def frame_of(rows):
    return pd.DataFrame({name: pd.Series([r[name] for r in rows], dtype=object) for name in TABLE})


numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_infinity=False)
    | st.sampled_from([0, 1, 2, 5, 2**60, 2**60 + 1, 7.25, np.float64(7.25), np.int64(2), -0.0])
)
texts = st.sampled_from(["a", "b", "", "\ud800", "unseen"]) | st.text(max_size=3)
cells = {
    "site": texts,
    "zip": numbers,
    "mobile": st.booleans(),
    "any": texts | numbers | st.booleans(),
    "amount": numbers,
    "count": numbers,
    "empty": st.none(),
}
cells = {name: st.none() | st.just(np.nan) | values for name, values in cells.items()}


@given(
    rows=st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=4),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_as_in_a_frame(rows, random, encoder):
    """In any order of the keys, one by one or together."""
    wanted = encoder.transform(frame_of(rows))
    shuffled = [dict(random.sample(list(row.items()), len(row))) for row in rows]
    np.testing.assert_array_equal(encoder.transform(shuffled), wanted)
    one_by_one = [encoder.transform(row) for row in shuffled]
    np.testing.assert_array_equal(np.concatenate(one_by_one), wanted)


def test_usual_rows_need_no_frame(encoder, monkeypatch):
    def refuse(*args):
        raise AssertionError("a frame")

    monkeypatch.setattr("sk_dynint.preprocessing._encoder.to_frame", refuse)
    rows = TABLE.astype(object).where(TABLE.notna(), None).to_dict("records")[:8]
    np.testing.assert_array_equal(encoder.transform(rows), encoder.transform(TABLE[:8]))


def test_many_rows(encoder):
    rows = TABLE.astype(object).to_dict("records")
    assert len(rows) > MAX_ROWS
    np.testing.assert_array_equal(encoder.transform(rows), encoder.transform(TABLE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": 1}, "'site' holds numbers, but .* held strings"),
        ({"amount": "1"}, "'amount' holds strings, but .* held numbers"),
        ({"amount": True}, "'amount' holds booleans, but"),
        ({"count": float("inf")}, "infinity .* column 'count'"),
        ({"zip": 10**400}, "infinity .* column 'zip'"),
        ({"site": ["a"]}, "'site' holds lists"),
        ({"zip": {"a": 1}}, "'zip' holds"),
        ({"color": "red", "size": 1}, r"row 0 has \['color', 'size'\], which fit did not"),
    ],
)
def test_what_a_frame_refuses(change, message, encoder):
    row = TABLE.iloc[0].to_dict() | {"mobile": True, "zip": 1}
    with pytest.raises((ValueError, TypeError), match=message):
        encoder.transform(row | change)


def test_a_row_that_lacks_columns(encoder):
    with pytest.raises(ValueError, match=r"row 0 lacks \['zip', .*'empty'\]; None is a missing"):
        encoder.transform({"site": "a"})
    with pytest.raises(ValueError, match="row 0 lacks"):
        encoder.transform(dict.fromkeys([*list(TABLE)[:-1], "other"]))


def test_values_that_need_a_closer_look():
    """Dates, decimals and lists are read by way of a frame."""
    X = pd.DataFrame(
        {
            "day": pd.to_datetime(["2024-01-01", "2024-01-02"] * 10),
            "price": [Decimal("1.50"), Decimal("2")] * 10,
            "tags": [["a", "b"], []] * 10,
        }
    )
    encoder = FieldEncoder(min_count=1).fit(X)
    row = {"tags": ["b"], "price": Decimal("2.0"), "day": dt.date(2024, 1, 2)}
    by_frame = encoder.transform(pd.DataFrame({name: [row[name]] for name in X}))
    np.testing.assert_array_equal(encoder.transform(row), by_frame)


def test_columns_without_names():
    X = [["a", 1], ["b", 2]] * 20
    encoder = FieldEncoder(min_count=1).fit(X)
    np.testing.assert_array_equal(encoder.transform({1: 2, 0: "a"}), encoder.transform([["a", 2]]))


def test_crosses():
    X = pd.DataFrame({"a": list("xyxy") * 20, "b": list("uuvv") * 20})
    encoder = FieldEncoder(min_count=1, crosses=[("a", "b")]).fit(X, [0, 1, 1, 0] * 20)
    row = {"b": "v", "a": "x"}
    np.testing.assert_array_equal(encoder.transform(row), encoder.transform(X[2:3]))


@pytest.mark.parametrize("n_members", [1, 2])
def test_classifiers_predict_them(clicks, n_members):
    X, y = clicks
    X = X.drop(columns="day")
    model = fast(n_members=n_members, crosses=[("site", "device")]).fit(X, y)
    rows = X.astype(object).where(X.notna(), None).to_dict("records")
    for many in (rows, rows[:5]):
        wanted = model.predict_proba(X[: len(many)])
        np.testing.assert_array_equal(model.predict_proba(many), wanted)
        np.testing.assert_array_equal(model.predict(many), model.predict(X[: len(many)]))
    assert model.predict_proba(rows[0]).shape == (1, 2)
    with pytest.raises(ValueError, match=r"row 0 lacks \['hour'"):
        model.predict_proba({"site": "a"})
    with pytest.raises(TypeError, match=r"rows as dicts are for predicting; fit takes a table"):
        fast().fit(rows, y)


@pytest.mark.parametrize("frozen", [False, True])
def test_with_other_encoders(clicks, frozen):
    X, y = clicks
    X = X[["site", "device"]].astype(object).fillna("none")
    own = FrozenEstimator(FieldEncoder(min_count=1).fit(X)) if frozen else Codes()
    model = fast(encoder=own).fit(X, y)
    rows = X.to_dict("records")[:3]
    np.testing.assert_array_equal(model.predict_proba(rows), model.predict_proba(X[:3]))


class Codes(OrdinalEncoder):
    """An encoder of somebody else."""

    def fit_transform(self, X, y=None):
        codes = super().fit_transform(X).astype(int)
        self.cardinalities_ = codes.max(0) + 1
        return codes

    def transform(self, X):
        return super().transform(X).astype(int)


def test_a_sparse_matrix_of_keys_is_no_row():
    X = dok_array((2, 2))
    assert isinstance(X, dict)
    assert as_dicts(X) is None
    with pytest.raises(TypeError, match="Sparse data"):
        FieldEncoder().fit(X)


def test_a_missing_list_has_as_many_columns_as_another():
    X = pd.DataFrame({"tags": [["a", "b"], ["b"], None] * 5, "site": list("xyz") * 5})
    encoder = FieldEncoder().fit(X)
    rows = X.to_dict("records")
    assert np.array_equal(encoder.transform(rows[2]), encoder.transform(X.iloc[[2]]))
    assert np.array_equal(encoder.transform(rows), encoder.transform(X))
