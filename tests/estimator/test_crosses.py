"""Classifiers on columns together: `encoder=FieldEncoder(crosses=...)`."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sk_dynint import BaselineClassifier, EncodedData, FieldEncoder
from tests.conftest import fast
from tests.preprocessing.test_crosses import make_pairs

CROSSES = [("user", "item"), ("user", "item", "age")]


@pytest.fixture(scope="module")
def pairs():
    """Labels that depend on the pair of a user and an item, of 400 pairs."""
    X, y = make_pairs(3_000)
    return X, np.where(y, "yes", "no")


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("make", [fast, lambda **p: BaselineClassifier("lr", random_state=0, **p)])
def test_crosses_help(make, statistics):
    X, y = make_pairs(8_000)
    losses = []
    for crosses in (None, CROSSES[:1]):
        encoder = FieldEncoder(crosses=crosses, target_statistics=statistics)
        model = make(encoder=encoder).set_params(max_epochs=5).fit(X[:6_000], y[:6_000])
        losses.append(log_loss(y[6_000:], model.predict_proba(X[6_000:])))
    assert losses[1] < losses[0] - (0.1 if statistics else 0.02)


def test_the_encoder_sees_the_labels_of_training_rows(pairs):
    X, y = pairs
    model = fast(encoder=FieldEncoder(crosses=CROSSES), early_stopping=False).fit(X, y)
    assert model.encoder_.field_kinds_[3:] == ["cross", "statistic"] * 2
    assert model.encoder_.equals(FieldEncoder(crosses=CROSSES).fit(X, y))
    assert model.n_features_in_ == 3
    one = model.predict_proba(X.iloc[[7]])
    np.testing.assert_allclose(one, model.predict_proba(X)[[7]], rtol=1e-4)
    unseen = pd.DataFrame({"user": ["new"], "item": ["i1"], "age": [np.nan]})
    assert model.predict(unseen)[0] in ("yes", "no")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    same = clone(model).fit(X, y)
    np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))


def test_weights_and_arrays(pairs):
    X, y = pairs
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    model = fast(encoder=FieldEncoder(crosses=[(0, 1), (2, 1)]))
    model.fit(X.to_numpy(), y, sample_weight=weight)
    assert model.predict_proba(X.to_numpy()[:1]).shape == (1, 2)
    assert len(model.encoder_.cardinalities_) == 7


def test_rows_in_the_order_of_a_column_of_an_array():
    """The warning knows columns from the fields that come after them."""
    n = 2_000
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(n) // 2, rng.integers(0, 5, n)])
    model = fast(encoder=FieldEncoder(crosses=[(0, 1)], categorical_features="all", min_count=1))
    with pytest.warns(UserWarning, match=r"in the order of columns \[0\]"):
        model.set_params(early_stopping=True).fit(X, rng.integers(0, 2, n))


def test_grid_search(pairs):
    X, y = pairs
    grid = {"encoder__crosses": [None, CROSSES[:1], CROSSES]}
    search = GridSearchCV(fast(encoder=FieldEncoder()), grid, cv=2).fit(X, y)
    assert search.best_params_["encoder__crosses"] is not None
    crosses = search.best_params_["encoder__crosses"]
    assert search.best_estimator_.encoder_.field_kinds_.count("cross") == len(crosses)
    assert fast().set_params(encoder__crosses=CROSSES).encoder.crosses == CROSSES


def test_later_calls_keep_the_statistics_of_the_first(pairs):
    X, y = pairs
    model = fast(encoder=FieldEncoder(crosses=CROSSES))
    model.partial_fit(X[:1_500], y[:1_500], classes=["no", "yes"])
    first = pickle.loads(pickle.dumps(model.encoder_))
    model.partial_fit(X[1_500:], y[1_500:])
    assert model.encoder_.equals(first)
    assert first.equals(FieldEncoder(crosses=CROSSES).fit(X[:1_500], y[:1_500]))
    with pytest.raises(ValueError, match=r"encoder__crosses=.*, but this estimator was first"):
        model.set_params(encoder__crosses=CROSSES[::-1]).partial_fit(X[1_500:], y[1_500:])


def test_warm_start(pairs):
    X, y = pairs
    encoder = FieldEncoder(crosses=CROSSES)
    model = fast(encoder=encoder, warm_start=True).fit(X[:2_000], y[:2_000])
    first = model.encoder_
    assert model.fit(X[2_000:], y[2_000:]).encoder_ is first


def test_encoded_beforehand(pairs):
    X, y = pairs
    encoder = FieldEncoder(crosses=CROSSES)
    data = EncodedData(encoder.fit_transform(X, y), encoder=encoder)
    raw = fast(encoder=encoder, early_stopping=False).fit(X, y)
    model = fast(early_stopping=False).fit(data, y)
    np.testing.assert_array_equal(model.predict_proba(X), raw.predict_proba(X))
    frozen = FrozenEstimator(FieldEncoder(crosses=CROSSES).fit(X[:1_000], y[:1_000]))
    model = fast(encoder=frozen).fit(X[1_000:], y[1_000:])
    assert model.score(X, y) > 0.5
    piped = make_pipeline(encoder, BaselineClassifier("lr", random_state=0, max_epochs=1))
    assert piped.fit(X, y).predict(X[:1])[0] in ("yes", "no")
