"""Classifiers that look for crosses, or are told some."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from sk_dynint import BaselineClassifier, EncodedData, FieldEncoder
from sk_dynint.preprocessing import means_without
from sk_dynint.preprocessing._screening import Candidate
from sk_dynint.training import Run
from tests.conftest import fast


def make_pair(n=4_000, seed=0):
    """A table whose labels depend on two columns of 30 levels together, and one more column."""
    rng = np.random.default_rng(seed)
    table = np.random.default_rng(9).normal(scale=2.0, size=(30, 30))
    user, item = rng.integers(0, 30, (2, n))
    y = (rng.random(n) < 1 / (1 + np.exp(-table[user, item]))).astype(int)
    X = pd.DataFrame({"user": user, "item": item, "other": rng.integers(0, 5, n)}).astype("str")
    return X, y


def test_finds_the_pair_and_is_better_for_it():
    X, y = make_pair()
    X_test, y_test = make_pair(seed=1)
    models = {crosses: fast(crosses=crosses).fit(X, y) for crosses in ("auto", None)}
    table = models["auto"].crosses_
    assert table.loc[table["kept"].astype(bool), "columns"].tolist() == [("user", "item")]
    assert models["auto"].encoder_.crosses == [("user", "item")]
    assert models[None].crosses_.empty
    losses = {k: log_loss(y_test, model.predict_proba(X_test)) for k, model in models.items()}
    assert losses["auto"] < losses[None] - 0.05


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("validation", ["random", "last"])
def test_whatever_rows_confirm(n_members, validation):
    X, y = make_pair()
    model = fast(crosses="auto", n_members=n_members, validation=validation).fit(X, y)
    assert model.crosses_["kept"].tolist()[:1] == [True]


def test_a_network_has_the_last_word(monkeypatch):
    """A cross of a column with noise: what its means tell of a level is known, but for one's own
    label."""
    rng = np.random.default_rng(0)
    user, noise = rng.integers(0, 300, 4_000), rng.integers(0, 5, 4_000)
    y = (rng.random(4_000) < 1 / (1 + np.exp(-rng.normal(size=300)[user]))).astype(int)
    X = pd.DataFrame({"user": user, "noise": noise}).astype("str")
    settings = {"crosses": "auto", "max_epochs": 10, "n_layers": 3, "embedding_dim": 8}
    monkeypatch.setattr(
        "sk_dynint._crosses.find_crosses", lambda *_, **__: [Candidate((0, 1), 0.01, 0.01, 0.001)]
    )
    model = fast(**settings, class_weight={0: 1, 1: 2}).fit(X, y, sample_weight=np.ones(len(X)))
    losses = model.crosses_.attrs["logloss"]
    assert losses["with"] > losses["without"]
    assert model.crosses_["kept"].tolist() == [False]
    assert model.encoder_.crosses is None
    told = fast(**settings | {"crosses": [("user", "noise")]}).fit(X, y)
    assert told.encoder_.crosses == [("user", "noise")]


@pytest.mark.parametrize(("n_rare", "n_classes"), [(2, 2), (9, 2), (1, 3), (2, 3), (9, 3)])
def test_rare_classes(monkeypatch, n_rare, n_classes):
    """A class may be missing among the rows of the networks, or be on one side only."""
    X, y = make_pair(1_500)
    y = np.where(np.arange(1_500) < n_rare, 2, y if n_classes == 3 else 0)
    monkeypatch.setattr("sk_dynint._crosses.MAX_ROWS", 200)
    monkeypatch.setattr(
        "sk_dynint._crosses.find_crosses", lambda *_, **__: [Candidate((0, 1), 0.01, 0.01, 0.001)]
    )
    model = fast(crosses="auto", n_members=2).fit(X, y)
    assert model.crosses_["columns"].tolist() == [("user", "item")]
    assert model.predict_proba(X).shape == (1_500, n_classes)


@pytest.mark.parametrize("validation", ["random", "groups"])
def test_without_early_stopping(validation):
    X, y = make_pair()
    model = fast(crosses="auto", validation=validation, early_stopping=False).fit(X, y)
    assert model.crosses_["kept"].tolist()[:1] == [True]


def test_is_told_crosses():
    X, y = make_pair(500)
    model = fast(crosses=[("item", "user")]).fit(X, y)
    assert model.crosses_["columns"].tolist() == [("item", "user")]
    assert len(model.encoder_.cardinalities_) == 5
    by_encoder = fast(encoder=FieldEncoder(crosses=[("item", "user")]), crosses="auto").fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), by_encoder.predict_proba(X))
    assert by_encoder.crosses_["kept"].all()


def test_columns_without_names():
    X, y = make_pair()
    model = fast(crosses="auto").fit(X.to_numpy(), y)
    assert model.crosses_["columns"].tolist()[0] == (0, 1)
    assert model.predict_proba(X.to_numpy()[:1]).shape == (1, 2)


def test_few_rows_and_encoded_rows_get_none():
    X, y = make_pair(900)
    assert fast(crosses="auto").fit(X, y).crosses_.empty
    X, y = make_pair()
    encoder = FieldEncoder().fit(X)
    data = EncodedData(encoder.transform(X), encoder=encoder)
    assert fast(crosses="auto").fit(data, y).crosses_.empty
    with pytest.raises(ValueError, match="encoded already, so that crosses cannot be applied"):
        fast(crosses=[("user", "item")]).fit(data, y)


def test_competitors_take_crosses_too():
    X, y = make_pair()
    model = BaselineClassifier("fm", crosses="auto", max_epochs=2, random_state=0).fit(X, y)
    assert model.crosses_["columns"].tolist()[0] == ("user", "item")


def test_unknown_columns():
    X, y = make_pair(500)
    with pytest.raises(ValueError, match="crosses names column 'nobody'"):
        fast(crosses=[("user", "nobody")]).fit(X, y)


def test_members_do_not_know_the_labels_that_they_stop_by():
    """Their networks could make them out from means of the target, and would overfit for long."""
    X, y = make_pair(2000)
    encoder = FieldEncoder(crosses=[("user", "item"), ("item", "other")])
    indices = encoder.fit_transform(X, y)
    columns, (same,) = means_without(encoder, indices, y, None, [np.array([], dtype=int)])
    assert columns.tolist() == [4, 6]
    assert np.array_equal(same, indices[:, columns])
    held_out = [np.arange(0, 2000, 10), np.arange(1, 2000, 10)]
    _, means = means_without(encoder, indices, y, None, held_out)
    for rows, own in zip(held_out, means, strict=True):
        assert not np.array_equal(own, same)
        flipped = y.copy()
        flipped[rows] = 1 - y[rows]
        _, (others,) = means_without(encoder, indices, flipped, None, [rows])
        assert np.array_equal(others, own)
        without = FieldEncoder(crosses=encoder.crosses).fit(X.drop(rows), np.delete(y, rows))
        seen = without.transform(X.iloc[rows])[:, columns] > 0
        assert np.array_equal(own[rows] > 0, seen)


def test_each_member_has_its_means(monkeypatch):
    X, y = make_pair(2000)
    runs = []
    planned = Run.planned.__func__

    def noted(cls, engine, data, valid, **options):
        runs.append((data, valid))
        return planned(cls, engine, data, valid, **options)

    monkeypatch.setattr(Run, "planned", classmethod(noted))
    fast(crosses=[("user", "item")], n_members=2, random_state=0).fit(X, y)
    ((data, valid),) = runs
    for part in (data, valid):
        for rows, own, selection in zip(part.rows, part.own, part.parts, strict=True):
            batch = selection.take(slice(3, 50))
            assert np.array_equal(batch.indices[:, own.columns], own.values[3:50])
            others = np.delete(np.arange(5), own.columns)
            assert np.array_equal(
                batch.indices[:, others], data.data.indices[rows[3:50]][:, others]
            )
    frozen = FrozenEstimator(FieldEncoder(crosses=[("user", "item")]).fit(X, y))
    fast(encoder=frozen, n_members=2).fit(X, y)
    assert isinstance(runs[1][1], EncodedData)  # rows that all of them set aside
