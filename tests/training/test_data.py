"""Encoded data in the place of raw columns."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict

from sk_dynint import BaselineClassifier, DynIntClassifier, EncodedData, FieldEncoder
from sk_dynint.training import Batch
from tests.conftest import fast, make_clicks


@pytest.fixture(scope="module")
def encoded():
    X, y = make_clicks(2_000, seed=6)
    encoder = FieldEncoder().fit(X)
    return X, y, EncodedData(encoder.transform(X), encoder=encoder)


@pytest.fixture
def no_second_encoding(monkeypatch):
    """Fail if anything is encoded or fitted again."""

    def fail(*args, **kwargs):
        raise AssertionError("encoded again")

    for name in ("fit", "transform", "fit_transform"):
        monkeypatch.setattr(FieldEncoder, name, fail)


PARAMS = {"max_epochs": 2, "random_state": 0}


@pytest.mark.parametrize(
    "make", [DynIntClassifier, lambda **params: BaselineClassifier("deepfm", **params)]
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_same_bits_as_raw_columns_with_a_frozen_encoder(encoded, make, early_stopping):
    X, y, data = encoded
    weight = np.linspace(0, 2, len(y))
    params = PARAMS | {"early_stopping": early_stopping}
    raw = make(encoder=FrozenEstimator(data.encoder), **params).fit(X, y, sample_weight=weight)
    model = make(**params).fit(data, y, sample_weight=weight)
    assert model.encoder_ is data.encoder
    for rows in (X, data):
        np.testing.assert_array_equal(model.predict_proba(rows), raw.predict_proba(X))
    np.testing.assert_array_equal(model.feature_names_in_, X.columns)
    assert model.n_features_in_ == X.shape[1]


def test_nothing_is_encoded_again(encoded, no_second_encoding):
    _, y, data = encoded
    train, valid = data[:1_500], data[1_500:]
    model = DynIntClassifier(**PARAMS).fit(train, y[:1_500], X_val=valid, y_val=y[1_500:])
    model.partial_fit(data[::2], y[::2]).predict_proba(valid)
    DynIntClassifier(**PARAMS).partial_fit(data, y, classes=[0, 1])


def test_searches_split_it(encoded, no_second_encoding):
    _, y, data = encoded
    search = GridSearchCV(fast(), {"variant": ["pin", "da"]}, cv=2, scoring="roc_auc").fit(data, y)
    assert search.best_score_ > 0.6
    p = cross_val_predict(fast(), data, y, cv=3, method="predict_proba")
    assert p.shape == (len(y), 2)


def test_indexing(encoded):
    _, _, data = encoded
    rows = np.array([5, 3, 8])
    mask = np.zeros(len(data), bool)
    mask[[3, 5, 8]] = True
    for key, expected in [(rows, rows), (mask, [3, 5, 8]), (slice(2, 9, 3), [2, 5, 8])]:
        part = data[key]
        np.testing.assert_array_equal(part.indices, data.indices[expected])
        assert part.encoder is data.encoder
        assert part.shape == (3, data.shape[1])


def test_batches_have_names(encoded):
    _, y, data = encoded
    full = data.with_target(y.astype(float), np.arange(len(y), dtype=float))
    for rows in (torch.tensor([4, 2]), slice(2, 4)):
        batch = full.take(rows)
        assert isinstance(batch, Batch)
        positions = rows.numpy() if isinstance(rows, torch.Tensor) else rows
        np.testing.assert_array_equal(batch.indices.numpy(), data.indices[positions])
        np.testing.assert_array_equal(batch.target.numpy(), y[positions])
        np.testing.assert_array_equal(batch.weight.numpy(), np.arange(len(y))[positions])
    with pytest.raises(ValueError, match="no target"):
        data.take(slice(3))


def test_pickles(encoded):
    X, y, data = encoded
    twin = pickle.loads(pickle.dumps(data.with_target(y, np.ones(len(y)))))
    np.testing.assert_array_equal(twin.indices, data.indices)
    model = fast().fit(data, y)
    twin_model = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin_model.predict_proba(data), model.predict_proba(X))
    assert twin_model.encoder_ is not data.encoder
    other = FieldEncoder().fit(X.iloc[::-1].assign(hour=X["hour"] + 1))
    assert not data.encoder.equals(other)
    with pytest.raises(ValueError, match="of another encoder"):
        twin_model.predict_proba(EncodedData(data.indices[:, :], encoder=other))


def test_errors_say_what_is_wrong(encoded):
    X, y, data = encoded
    with pytest.raises(ValueError, match="must be integers"):
        EncodedData(data.indices / 1)
    with pytest.raises(ValueError, match=r"target has shape \(3,\), but there are 2000 rows"):
        EncodedData(data.indices, target=np.ones(3))
    with pytest.raises(ValueError, match="field 0 has indices 0 to"):
        EncodedData(data.indices + 1_000, encoder=data.encoder)
    with pytest.raises(ValueError, match="without an encoder"):
        fast().fit(EncodedData(data.indices), y)
    with pytest.raises(ValueError, match="encoded already, so that encoder=FieldEncoder"):
        fast(encoder=FieldEncoder(min_count=7)).fit(data, y)
    fast(encoder=FrozenEstimator(data.encoder), max_epochs=1).fit(data, y)
    other = FieldEncoder(min_count=300).fit(X)
    strangers = EncodedData(other.transform(X), encoder=other)
    with pytest.raises(ValueError, match="of another encoder"):
        fast(max_epochs=1).fit(data, y).predict_proba(strangers)
    with pytest.raises(ValueError, match="of another encoder"):
        fast(max_epochs=1).fit(data, y, X_val=strangers, y_val=y)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples|Found input variables"):
        fast().fit(data, y[:-1])


def test_columns_without_names():
    X, y = make_clicks(300)
    array = X[["hour", "count"]].to_numpy()
    encoder = FieldEncoder().fit(array)
    named = fast(max_epochs=1).fit(pd.DataFrame(array, columns=["a", "b"]), y)
    named.fit(EncodedData(encoder.transform(array), encoder=encoder), y)
    assert not hasattr(named, "feature_names_in_")
    named.predict(array)
