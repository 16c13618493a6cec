"""The net that users find under `net_`: skorch's methods work on encoded rows."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sk_dynint import BaselineClassifier, EncodedData, _rows
from sk_dynint.training import CTRNet
from tests.conftest import fast, make_clicks

SIZES = (1, 64, 65, 1_024, 1_025, 1_500)  # the ways of predicting change at 64 and 1,024 rows


@pytest.mark.parametrize("n_rows", SIZES)
def test_agrees_with_the_classifier_to_the_bit(fitted, n_rows):
    model, X, indices = fitted
    net, X, rows = model.net_, X.head(n_rows), indices[:n_rows]
    logit = model.decision_function(X)
    for given in (rows, torch.from_numpy(rows), EncodedData(rows)):
        np.testing.assert_array_equal(net.predict_proba(given), model.predict_proba(X))
        np.testing.assert_array_equal(net.predict(given), model.predict(X))
        np.testing.assert_array_equal(net.infer(given).numpy().astype(float), logit)
        np.testing.assert_array_equal(net.forward(given).numpy().astype(float), logit)
    np.testing.assert_array_equal(torch.cat(list(net.forward_iter(rows))).numpy(), logit)


@pytest.mark.parametrize("model", ["dnn", "dcnv2", "lr"])
def test_so_does_the_net_of_a_competitor(clicks, model):
    X, y = clicks
    classifier = BaselineClassifier(model, hidden_units=(8,), dropout=0.5, max_epochs=2).fit(X, y)
    found = classifier.net_.predict_proba(classifier.encoder_.transform(X))
    np.testing.assert_array_equal(found, classifier.predict_proba(X))


def test_labels_of_the_net_are_positions(clicks):
    X, y = clicks
    model = fast().fit(X, np.where(y, "yes", "no"))
    positions = model.net_.predict(model.encoder_.transform(X))
    np.testing.assert_array_equal(model.classes_[positions], model.predict(X))


@pytest.mark.parametrize(
    "make", [fast, lambda **params: BaselineClassifier("dcnv2", max_epochs=3, **params)]
)
def test_a_clone_trains_on_encoded_rows(many_clicks, make):
    X, y = many_clicks
    model = make(early_stopping=False).fit(X, y)
    net, indices = model.net_, model.encoder_.transform(X)
    copy_ = clone(net)
    assert not copy_.initialized_
    assert copy_.get_params(deep=False).keys() == net.get_params(deep=False).keys()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        copy_.fit(indices, y)
    assert copy_.history[-1, "train_loss"] == pytest.approx(net.history[-1, "train_loss"], abs=0.05)
    assert sum(copy_.history[:, "train_batch_count"]) == model.n_iter_
    same = [type(p.optimizer_) for p in (net, copy_)]
    assert same[0] is same[1]
    before = copy_.predict_proba(indices)
    copy_.partial_fit(EncodedData(indices, target=y.astype(float)))
    assert not np.array_equal(copy_.predict_proba(indices), before)


def test_training_mode_of_forward_draws():
    X, y = make_clicks(300)
    model = BaselineClassifier("dnn", hidden_units=(8,), dropout=0.5, max_epochs=1).fit(X, y)
    indices = model.encoder_.transform(X)
    with torch.random.fork_rng():
        one, two = (model.net_.forward(indices, training=True) for _ in range(2))
    assert not torch.equal(one, two)
    assert torch.equal(model.net_.forward(indices), model.net_.forward(indices))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_pickles(fitted, duplicate):
    model, _, indices = fitted
    twin = duplicate(model.net_)
    np.testing.assert_array_equal(twin.predict_proba(indices), model.net_.predict_proba(indices))
    assert twin.run_ is None


def test_wrong_rows_are_refused(fitted):
    model, _, indices = fitted
    net = model.net_
    wrong = indices.copy()
    wrong[3, 1] = 10_000
    with pytest.raises(ValueError, match=r"field 1 has indices 0 to \d+, but row 3 has 10000"):
        net.predict_proba(wrong)
    with pytest.raises(ValueError, match=r"field 0 has indices 0 to .*, but row 0 has -1"):
        net.infer(np.full_like(indices, -1))
    with pytest.raises(ValueError, match=r"have 2 columns, but the encoder has \d fields"):
        net.forward(indices[:, :2])
    with pytest.raises(ValueError, match="must be integers"):
        net.predict(indices.astype(float))
    with pytest.raises(ValueError, match="no target"):
        clone(net).fit(indices)


def test_its_parameters_say_what_was_trained():
    X, y = make_clicks(1_000)
    net = fast(batch_size=50, max_epochs=2, orthogonal_penalty=0.5, variant="dgp").fit(X, y).net_
    params = net.get_params(deep=False)
    expected = {"batch_size": 50, "max_epochs": 2, "orthogonal_penalty": 0.5, "device": "cpu"}
    assert {name: params[name] for name in expected} == expected
    assert isinstance(net, CTRNet)


def test_a_failed_chunk_leaves_everything_as_it_was(many_clicks, monkeypatch):
    """To the bit, in whatever step it fails, and whatever comes after is the same."""
    monkeypatch.setattr(_rows, "MAX_WEIGHT", np.inf)
    X, y = many_clicks
    chunk = X.head(2_000), y[:2_000]
    weight = np.ones(2_000)
    weight[1_500:] = 1e39
    for params in ({}, {"optimizer": torch.optim.Adam}, {"averaging": None}):
        model, untouched = (fast(**params).fit(X, y) for _ in range(2))
        before = model.predict_proba(X)
        with pytest.raises(ValueError, match="training loss became"):
            model.partial_fit(*chunk, sample_weight=weight)
        np.testing.assert_array_equal(model.predict_proba(X), before)
        assert len(model.net_.history) == len(untouched.net_.history)
        found = [m.partial_fit(*chunk).predict_proba(X) for m in (model, untouched)]
        np.testing.assert_array_equal(*found)
