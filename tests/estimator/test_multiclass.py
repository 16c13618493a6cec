"""More than two classes: what is learnt, scores, weights, and classes that are rare or absent."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier

from sk_dynint import BaselineClassifier, DynIntClassifier, EncodedData
from sk_dynint._baseline import MODELS
from sk_dynint._validation import split, strata
from sk_dynint.interactions import VARIANTS
from tests.conftest import fast, make_clicks

NAMES = np.array(["no", "maybe", "yes"])


def make_table(n=1200, seed=0):
    """The sum of two columns modulo 3, of which neither tells anything alone."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, (2, n))
    return pd.DataFrame({"a": a.astype(str), "b": b.astype(str)}), NAMES[(a + b) % 3]


def make_noisy(n=600, n_classes=3, seed=0):
    """Clicks of several kinds."""
    X, y = make_clicks(n, seed)
    rng = np.random.default_rng(seed)
    return X, np.where(y == 1, rng.integers(1, n_classes, n), 0)


X, Y = make_noisy()


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_learn_interactions(variant):
    table, y = make_table()
    settings = {"n_layers": 2, "n_members": 2, "max_epochs": 30, "patience": 100}
    model = DynIntClassifier(variant, **settings, random_state=0)
    with pytest.warns(UserWarning, match="still improving"):
        model.fit(table, y)
    other, labels = make_table(seed=1)
    assert model.classes_.tolist() == sorted(NAMES)
    assert model.score(other, labels) > 0.99
    assert model.history_["valid_auc"].iloc[-1] > 0.99


@pytest.mark.filterwarnings("ignore:.*still improving")
@pytest.mark.parametrize("model", [m for m in MODELS if m != "lr"])
def test_competitors_learn_interactions(model):
    table, y = make_table()
    lr = 0.01 if MODELS[model].only_deep or model not in ("fm", "xdeepint") else None
    found = BaselineClassifier(
        model, hidden_units=(32,), lr=lr, n_layers=2, max_epochs=40, batch_size=64, random_state=0
    )
    other, labels = make_table(seed=1)
    assert found.fit(table, y).score(other, labels) > 0.9


def test_logistic_regression_learns_the_effects_of_single_levels():
    """Each class has weights of its own, and the embedding table holds them."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, 600)
    model = BaselineClassifier("lr", random_state=0).fit(a.astype(str)[:, None], a)
    assert model.score(a.astype(str)[:, None], a) == 1
    module = model.net_.module_
    assert module.embedding.weight.shape[1] == 5
    assert module.first_order is None


def test_shapes_and_probabilities():
    model = fast().fit(X, Y)
    logits, proba = model.decision_function(X), model.predict_proba(X)
    assert logits.shape == proba.shape == (600, 3)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-14)
    odds = np.exp(logits)
    np.testing.assert_allclose(proba, odds / odds.sum(1, keepdims=True))
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(1)])
    restored = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(restored.predict_proba(X), proba)
    encoded = EncodedData(model.encoder_.transform(X), encoder=model.encoder_)
    np.testing.assert_array_equal(model.predict_proba(encoded), proba)
    np.testing.assert_array_equal(model.net_.predict_proba(encoded), proba)
    for n_rows in (1, 70):  # the module itself, and the engine
        np.testing.assert_allclose(model.predict_proba(X[:n_rows]), proba[:n_rows], atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "adam", "lr": 0.01},
        {"optimizer": torch.optim.AdamW, "lr": 0.01},
        {"oov": "zero"},
        {"averaging": None},
        {"variant": "dgp", "orthogonal_penalty": 0.01},
        {"variant": "dwp", "orthogonal_penalty": 0.01},
        {"scoring": "auc", "n_knots": None, "popularity": 0.0},
    ],
    ids=str,
)
def test_options(params):
    model = fast(**params | {"max_epochs": 8}).fit(X, Y)
    shares = np.bincount(Y) / len(Y)
    assert log_loss(Y, model.predict_proba(X)) < log_loss(Y, np.tile(shares, (len(Y), 1)))


def test_group_lasso_prunes_the_table():
    options = {"l1": 30.0}
    model = fast(embedding_optimizer_params=options).fit(X, Y)
    assert 0 < model.n_pruned_rows_ <= len(model.net_.module_.embedding.weight)


def test_few_rows_are_exact():
    """Up to 128 rows, a weight is as good as repeated rows, and the order of no importance."""
    table, y = X[:40], Y[:40]
    weight = np.arange(40) % 3
    repeated = np.repeat(np.arange(40), weight)
    one = fast().fit(table, y, sample_weight=weight)
    two = fast().fit(table.iloc[repeated[::-1]], y[repeated[::-1]])
    assert one.net_.module_.bias.dtype == torch.float64
    np.testing.assert_allclose(*(m.predict_proba(table[weight > 0]) for m in (one, two)), atol=1e-9)


# ---------------------------------------------------------------- scores and weights


def test_validation_scores_are_scikit_learns():
    """The AUC is the mean of each class against all others, as in "roc_auc_ovr"."""
    valid, labels = make_noisy(300, seed=1)
    weight = np.random.default_rng(0).uniform(0.5, 2, 300)
    model = fast(averaging=None, patience=100).fit(
        X, Y, X_val=valid, y_val=labels, sample_weight_val=weight
    )
    best = model.history_[model.history_["best"]].iloc[0]
    proba = model.predict_proba(valid)
    expected = roc_auc_score(labels, proba, multi_class="ovr", sample_weight=weight)
    assert best["valid_auc"] == pytest.approx(expected, abs=1e-6)
    assert best["valid_loss"] == pytest.approx(log_loss(labels, proba, sample_weight=weight))


def test_auc_of_validation_rows_that_lack_a_class():
    """It is the mean over those that are there."""
    valid, labels = make_noisy(300, seed=1)
    there = labels != 2
    model = fast(averaging=None, patience=100).fit(X, Y, X_val=valid[there], y_val=labels[there])
    best = model.history_[model.history_["best"]].iloc[0]
    proba = model.predict_proba(valid[there])
    aucs = [roc_auc_score(labels[there] == c, proba[:, c]) for c in (0, 1)]
    assert best["valid_auc"] == pytest.approx(np.mean(aucs), abs=1e-6)


def test_class_weight():
    y = NAMES[Y]
    factors = dict(zip(*np.unique(y, return_counts=True), strict=True))
    factors = {name: 600 / 3 / count for name, count in factors.items()}
    plain, heavy, balanced, by_hand = (
        fast(class_weight=weight, early_stopping=False).fit(X, y).predict_proba(X)
        for weight in (None, {"maybe": 9, "no": 1, "yes": 1}, "balanced", factors)
    )
    assert heavy.mean(0)[0] > plain.mean(0)[0] + 0.2
    np.testing.assert_array_equal(balanced, by_hand)
    with pytest.raises(ValueError, match=r"class_weight=.*; all weights must be above 0"):
        fast(class_weight={"maybe": 0, "no": 1, "yes": 1}).fit(X, y)


def test_weights_are_balanced_without_classes_that_come_later():
    y = np.where(np.arange(600) > 590, 2, Y % 2)
    model = fast(class_weight="balanced", validation="last").fit(X, y)
    assert model.predict_proba(X)[:, 2].max() < 0.1


def test_nothing_learnt_is_said():
    rng = np.random.default_rng(0)
    table = rng.choice([*"abcdefgh"], (400, 3))
    with pytest.warns(UserWarning, match="nothing was learnt: .* same probability for every row"):
        fast(lr=3.0, embedding_optimizer_params={"lr": 3.0}).fit(table, rng.integers(0, 4, 400))


# ---------------------------------------------------------------- rare classes, later classes


def test_a_class_of_one_row_and_more_classes_than_validation_rows():
    y = Y.copy()
    y[:1], y[1:3] = 7, 8
    assert fast().fit(X, y).predict_proba(X).shape == (600, 5)
    many = np.arange(600) % 90  # 60 validation rows
    assert fast(max_epochs=1).fit(X, many).predict_proba(X).shape == (600, 90)


def test_strata():
    """The rarest classes are drawn from together, as few of them as can be."""
    y = np.repeat([0.0, 1.0, 2.0, 3.0], [5, 1, 9, 2])
    assert np.unique(strata(y, 4)).tolist() == [0, 1, 2]  # 1 and 3
    assert np.unique(strata(y, 2)).tolist() == [1, 2]
    assert np.unique(strata(y, 1)).tolist() == [1, 2]
    for enough in (np.repeat([0.0, 1.0], [5, 1]), np.repeat([0.0, 1.0, 2.0], [3, 2, 2])):
        assert strata(enough, 3) is enough


def test_classes_are_drawn_in_proportion():
    y = np.repeat([0.0, 1.0, 2.0], [100, 50, 10])
    _, valid = split(y, "random", 0.1, None, np.random.RandomState(0))
    assert np.bincount(y[valid].astype(int)).tolist() == [10, 5, 1]


def test_partial_fit_learns_classes_that_come_later():
    table, y = make_table(3000)
    early = y != "yes"
    model = fast(variant="pin", n_layers=2, embedding_dim=8)
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(table[early], y[early])
    model.partial_fit(table[early], y[early], classes=NAMES)
    assert model.predict_proba(table)[:, 2].max() < 0.1
    for _ in range(12):
        model.partial_fit(table, y)
    assert model.score(table, y) > 0.9
    with pytest.raises(ValueError, match="y has labels"):
        model.partial_fit(table, np.where(early, y, "never"))


def test_warm_start_goes_on():
    table, y = make_table()
    slow = {"n_knots": None, "popularity": 0.0}  # the first fit leaves something to learn
    model = fast(n_layers=2, embedding_dim=8, warm_start=True, early_stopping=False, **slow)
    model.fit(table, y)
    before = model.score(table, y)
    for _ in range(6):
        model.fit(table, y)
    assert model.score(table, y) > max(before, 0.9)
    assert len(model.net_.module_.bias) == 3
    with pytest.raises(ValueError, match="y has labels"):
        model.fit(table, np.where(y == "yes", "never", y))


def test_memory_is_counted_for_all_classes(monkeypatch):
    from sk_dynint.training import _memory

    monkeypatch.setattr(_memory, "available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"weights of 3 bodies \(one for each class\) on 6 field"):
        fast().fit(X, Y)


# ---------------------------------------------------------------- company


def test_scikit_learns_tools():
    model = fast(max_epochs=5)
    scores = cross_val_score(model, X, Y, scoring="roc_auc_ovr", cv=2)
    assert scores.min() > 0.55
    for tool in (CalibratedClassifierCV(model, cv=2), OneVsRestClassifier(model)):
        np.testing.assert_allclose(tool.fit(X, Y).predict_proba(X).sum(1), 1)


def test_two_classes_have_one_logit_and_no_more():
    model = fast().fit(X, Y > 0)
    assert model.decision_function(X).shape == (600,)
    assert model.net_.module_.bias.shape == ()
    assert model.net_.module_.first_order is None
