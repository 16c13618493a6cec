"""Columns of lists through both classifiers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from sk_dynint import DynIntClassifier, EncodedData, FieldEncoder
from sk_dynint._baseline import MODELS
from sk_dynint.interactions import VARIANTS
from tests.conftest import fast, fast_by_name


@pytest.fixture(scope="module")
def tagged():
    """Rows whose label depends on a tag that is never the first of its list."""
    rng = np.random.default_rng(0)
    n = 1_500
    first = rng.choice(list("abc"), n)
    others = [list(rng.choice(list("defgh"), rng.integers(4), replace=False)) for _ in range(n)]
    X = pd.DataFrame(
        {"tags": [[a, *b] for a, b in zip(first, others, strict=True)], "x": rng.normal(size=n)}
    )
    score = 3.0 * np.array(["d" in tags for tags in others]) - 1.5 + X["x"]
    return X, (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)


@pytest.mark.parametrize("name", [*VARIANTS, *MODELS])
def test_one_element_is_one_value(tagged, name):
    """The same bits, for all that is fitted and predicted."""
    X, y = tagged
    single = X.assign(tags=X["tags"].str[0])
    single.loc[::7, "tags"] = None
    lists = single.assign(tags=[v and [v] for v in single["tags"].astype(object)])
    lists.loc[::14, "tags"] = pd.Series([[]] * len(lists))  # an empty list is missing
    for params in ({}, {"optimizer": "adam"}):
        of_values, of_lists = (
            fast_by_name(name, **params).fit(Z[:400], y[:400]) for Z in (single, lists)
        )
        np.testing.assert_array_equal(
            of_lists.predict_proba(lists), of_values.predict_proba(single)
        )


@pytest.mark.parametrize("name", [*VARIANTS, *MODELS])
def test_all_elements_count(tagged, name):
    X, y = tagged
    params = {"max_epochs": 10} if name in VARIANTS else {"max_epochs": 10, "lr": 0.02}
    model = fast_by_name(name, **params).fit(X[:1000], y[:1000])
    auc = roc_auc_score(y[1000:], model.decision_function(X[1000:]))
    first_only = X.assign(tags=X["tags"].str[:1])
    alone = fast_by_name(name, **params).fit(first_only[:1000], y[:1000])
    assert auc > roc_auc_score(y[1000:], alone.decision_function(first_only[1000:])) + 0.05


def test_the_default(tagged):
    X, y = tagged
    model = DynIntClassifier(random_state=0).fit(X[:1000], y[:1000])
    assert roc_auc_score(y[1000:], model.decision_function(X[1000:])) > 0.8
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    few = model.predict_proba(X[:50])  # by another way than many
    np.testing.assert_allclose(few, model.predict_proba(X)[:50], atol=1e-6)
    again.partial_fit(X, y)
    again.predict_proba(X.assign(tags=None))
    twin = clone(model).fit(X[:1000], y[:1000])
    np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))


def test_strings_with_a_separator(tagged):
    X, y = tagged
    joined = X.assign(tags=X["tags"].str.join("|"))
    by_lists = fast(n_members=2).fit(X, y)
    model = fast(n_members=2).set_params(encoder__separators={"tags": "|"}).fit(joined, y)
    np.testing.assert_array_equal(model.predict_proba(joined), by_lists.predict_proba(X))


def test_encoded_and_searched(tagged):
    X, y = tagged
    encoder = FieldEncoder()
    data = EncodedData(encoder.fit_transform(X), encoder=encoder)
    assert data.shape == (len(X), 5)
    model = fast().fit(data, y)
    np.testing.assert_array_equal(model.predict_proba(data), model.predict_proba(X))
    np.testing.assert_array_equal(model.net_.predict_proba(data), model.predict_proba(X))
    search = GridSearchCV(fast(), {"n_layers": [1, 2]}, cv=2, scoring="roc_auc").fit(data, y)
    assert (search.cv_results_["mean_test_score"] > 0.6).all()
    with pytest.raises(
        ValueError, match="indices have 2 columns, but the encoder has 2 fields in 5"
    ):
        EncodedData(data.indices[:, :2], encoder=encoder)
    with pytest.raises(ValueError, match="field 0 has indices 0 to 9, but row 3 has -2"):
        EncodedData(np.where(data.indices < 0, -2, data.indices), encoder=encoder)


def test_nothing_but_lists(tagged):
    X, y = tagged
    model = fast(crosses="auto").fit(X[["tags"]], y)
    assert model.crosses_.empty
    assert model.predict_proba(X[["tags"]]).shape == (len(X), 2)


def test_three_classes(tagged):
    X, y = tagged
    y = y + (X["x"] > 1)
    model = fast(max_epochs=8).fit(X, y)
    assert model.predict_proba(X).shape == (len(X), 3)
    assert np.mean(model.predict(X) == y) > np.mean(y == 0) + 0.1


def test_crosses_leave_lists_out(tagged):
    X, y = tagged
    X = X.assign(u=np.arange(len(X)) % 5, v=np.arange(len(X)) // 5 % 5)
    y = np.where(np.random.default_rng(1).random(len(X)) < 0.8, (X["u"] + X["v"]) % 2, y)
    settings = {"crosses": "auto", "categorical_features": ["u", "v"]}
    model = fast(**settings).fit(X, y)
    assert [
        cross
        for cross, kept in zip(*[model.crosses_[c] for c in ("columns", "kept")], strict=True)
        if kept
    ] == [("u", "v")]
    assert model.predict_proba(X).shape == (len(X), 2)
