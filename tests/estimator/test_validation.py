"""Which rows are set aside: at random, the last ones, whole groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold

from sk_dynint import EncodedData, FieldEncoder
from sk_dynint._validation import split
from tests.conftest import fast, make_clicks


class Spy(FieldEncoder):
    """An encoder that notes the rows it was shown."""

    def fit_transform(self, X, y=None, sample_weight=None):
        self.rows_ = X.index.to_numpy()
        return super().fit_transform(X, y, sample_weight)


def training_rows(**params):
    """Rows that the encoder saw, out of 600 in the order of `day`, of 60 days and many sites."""
    X, y = make_clicks()
    order = np.random.default_rng(1).permutation(600)
    groups = params.pop("groups", None)
    if isinstance(groups, np.ndarray):
        groups = groups[order]
    model = fast(encoder=Spy(), **params).fit(X.iloc[order], y[order], groups=groups)
    return X, set(model.encoder_.rows_)


@given(
    n=st.integers(20, 200),
    n_groups=st.integers(2, 40),
    fraction=st.floats(0.05, 0.6),
    how=st.sampled_from(["last", "groups"]),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_groups_stay_together(n, n_groups, fraction, how, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.arange(n) % n_groups)
    target = (np.arange(n) % 2).astype(float)
    try:
        train, valid = split(target, how, fraction, groups, np.random.RandomState(seed))
    except ValueError:  # one class is left for training
        reject()
    assert sorted([*train, *valid]) == list(range(n))
    assert not set(groups[train]) & set(groups[valid])
    assert abs(len(valid) / n - fraction) <= np.bincount(groups).max() / n
    if how == "last":
        assert groups[train].max() < groups[valid].min()


def test_the_last_rows_are_set_aside():
    X, train = training_rows(validation="last", groups="day")
    days = X["day"].iloc[sorted(train)]
    assert days.max() < X["day"].drop(list(train)).min()
    assert len(train) == pytest.approx(540, abs=15)
    assert training_rows(validation="last", validation_column="day")[1] == train
    assert training_rows(validation="last", groups=X["day"].to_numpy())[1] == train
    assert training_rows(validation="last", groups=X["day"].astype(str).to_numpy())[1] == train


def test_without_a_column_the_last_rows_are_those_at_the_end():
    X, y = make_clicks()
    model = fast(validation="last", encoder=Spy()).fit(X, y)
    assert model.encoder_.rows_.tolist() == list(range(540))
    weight = np.where(np.arange(600) < 60, 0.0, 1.0)  # rows of weight 0 do not count
    model = fast(validation="last", encoder=Spy()).fit(X, y, sample_weight=weight)
    assert model.encoder_.rows_.tolist() == list(range(60, 546))


def test_whole_groups_are_set_aside():
    groups = np.arange(600) % 50
    _, train = training_rows(validation="groups", groups=groups)
    assert {groups[row] for row in train}.isdisjoint(groups[row] for row in set(range(600)) - train)
    assert len(train) == 540
    other = training_rows(validation="groups", groups=groups, random_state=1)[1]
    assert len(other) == 540
    assert other != train


def test_searches_take_the_column():
    X, y = make_clicks()
    model = fast(validation="groups", validation_column="day")
    search = GridSearchCV(model, {"embedding_dim": [2, 4]}, cv=2).fit(X, y)
    assert search.best_estimator_.validation_column == "day"


def test_groups_are_routed():
    X, y = make_clicks()
    with config_context(enable_metadata_routing=True):
        model = fast(validation="groups").set_fit_request(groups=True)
        splitter = GroupKFold(2)
        search = GridSearchCV(model, {"embedding_dim": [2, 4]}, cv=splitter, error_score="raise")
        search.fit(X, y, groups=np.arange(600) % 50)
    assert search.best_score_ > 0.5


@pytest.mark.parametrize(
    ("params", "groups", "message"),
    [
        ({}, np.arange(600), "validation='random' has no use for groups; choose 'last' or"),
        ({"validation_column": "day"}, None, "validation='random' has no use for groups"),
        ({"validation": "groups"}, None, "validation='groups' takes groups; pass them to fit"),
        ({"validation": "last"}, "days", r"groups='days' is no column of X; its columns are \["),
        ({"validation": "last"}, np.arange(9), "inconsistent numbers of samples"),
        ({"validation": "last"}, np.full(600, np.nan), "time has 600 missing entries"),
        ({"validation": "last"}, np.full(600, "monday"), "no ISO 8601 dates, such as 'monday'"),
        ({"validation": "groups"}, np.zeros(600), "all rows have one and the same group"),
        ({"validation": "first"}, None, "The 'validation' parameter"),
    ],
)
def test_what_is_wrong_is_said(params, groups, message):
    X, y = make_clicks()
    with pytest.raises(ValueError, match=message):
        fast(**params).fit(X, y, groups=groups)


def test_encoded_data_takes_an_array():
    X, y = make_clicks()
    encoder = FieldEncoder().fit(X)
    data = EncodedData(encoder.transform(X), encoder=encoder)
    fast(validation="last").fit(data, y, groups=X["day"])
    with pytest.raises(ValueError, match="groups='day' names a column, but X is no frame"):
        fast(validation="last").fit(data, y, groups="day")


def test_rows_in_the_order_of_a_column_are_told():
    X, y = make_clicks(1500)
    logged = X.assign(hours=np.arange(1500) // 3 / 2, session=[f"s{i // 5}" for i in range(1500)])
    told = r"the rows stand in the order of columns \['hours', 'session'\].*validation='last'"
    with pytest.warns(UserWarning, match=told):
        fast().fit(logged, y)
    fast().fit(logged.sample(1500, random_state=0), y)
    fast().fit(X.sort_values("site"), y)  # few levels, most of which occur before
    with pytest.warns(UserWarning, match="did not see.*'session'"):  # those of the last rows
        fast(validation="last").fit(logged.drop(columns="hours"), y)


def test_identifiers_beside_strings():
    X, y = make_clicks(300)
    model = fast(categorical_features=["hour"]).fit(X, y)
    kinds = dict(zip(X, model.encoder_.field_kinds_, strict=True))
    assert kinds == {
        **{"site": "categorical", "hour": "categorical", "count": "numeric"},
        **{"mobile": "categorical", "day": "numeric", "device": "categorical"},
    }
    assert fast(categorical_features="all").fit(X, y).encoder_.field_kinds_ == ["categorical"] * 6
    given = FieldEncoder(categorical_features="all", min_count=3)
    assert fast(encoder=given).fit(X, y).encoder_.field_kinds_ == ["categorical"] * 6
    model = fast(encoder=given, categorical_features=["hour"]).fit(X, y)
    assert model.encoder_.field_kinds_.count("numeric") == 2
    assert (model.encoder_.min_count, given.categorical_features) == (3, "all")
    with pytest.raises(ValueError, match="categorical_features names column 'x', which is neither"):
        fast(categorical_features=["x"]).fit(X, y)
    data = EncodedData(model.encoder_.transform(X), encoder=model.encoder_)
    with pytest.raises(ValueError, match="encoded already, so that categorical_features"):
        fast(categorical_features="all").fit(data, y)


@pytest.mark.parametrize("names", [[7, 3], [("a", 1), ("a", 2)], [0.5, 1.5]])
def test_labels_that_are_no_strings_are_held_to_their_order(names):
    """Columns in another order were taken by their position, without a word."""
    X = pd.DataFrame({"site": ["a", "b"] * 50, "ad": ["x", "x", "y", "y"] * 25})
    y = np.arange(100) % 2
    labels = pd.MultiIndex.from_tuples(names) if isinstance(names[0], tuple) else names
    X.columns = labels
    model = fast().fit(X, y)
    p = model.predict_proba(X)
    swapped = X[X.columns[::-1]]
    for other in (swapped, X.set_axis(["site", "ad"], axis=1)):
        with pytest.raises(ValueError, match="must be those of fit, in the same order: column 0"):
            model.predict_proba(other)
    np.testing.assert_array_equal(model.predict_proba(X.to_numpy()), p)
    fast().fit(X.to_numpy(), y).predict_proba(X)  # fitted on an array, which has no labels
