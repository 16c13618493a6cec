"""Members: networks that learn side by side, and whose mean logit is the model."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import BaselineClassifier
from sk_dynint._module import Ensemble
from sk_dynint._validation import folds
from sk_dynint.engine import Batch, Engine, MemberBatch, make_engine
from sk_dynint.interactions import InteractionStack
from sk_dynint.training import EncodedData, MemberData
from tests.conftest import fast, make_clicks

SIZES = [5, 7, 3]


def make_ensemble(n_members=3):
    torch.manual_seed(0)
    return Ensemble(n_members, SIZES, 4, lambda F, D: InteractionStack(F, D), init_std=0.3)


def make_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    indices = np.stack([rng.integers(0, size, n) for size in SIZES], 1).astype(np.int32)
    return EncodedData(indices, rng.integers(0, 2, n).astype("f4"), rng.random(n).astype("f4"))


@pytest.mark.parametrize("n_threads", [1, 3])
def test_each_member_has_the_gradients_of_its_own_batch(n_threads):
    module, batches = make_ensemble(), MemberBatch(make_rows(40, seed).batch for seed in range(3))
    engine = make_engine(module, torch.optim.SGD(module.parameters(), 0.0), n_threads=n_threads)
    with engine.workers.running():
        logits = engine.gradients(batches)
    found = [[p.grad.to_dense().clone() for p in m.parameters()] for m in module.members]
    alone = [
        Engine(member, n_threads=1).gradients(b) for member, b in zip(module, batches, strict=True)
    ]
    wanted = [[p.grad.to_dense() for p in m.parameters()] for m in module.members]
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    torch.testing.assert_close(logits, torch.cat(alone), rtol=0, atol=0)


def test_the_logit_is_the_mean_of_the_members():
    module, rows = make_ensemble(), make_rows(300).batch
    wanted = torch.stack([Engine(member).logits(rows.indices) for member in module]).mean(0)
    for optimizer in (None, torch.optim.SGD(module.parameters(), 0.0)):
        found = make_engine(module, optimizer).logits(rows.indices)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    torch.testing.assert_close(module(rows.indices).detach(), wanted)


def test_evaluates_rows_of_each_member_or_of_all():
    module, parts = make_ensemble(2), MemberBatch([make_rows(30).batch, make_rows(20, 1).batch])
    engine = make_engine(module, torch.optim.SGD(module.parameters(), 0.0))
    own = engine.evaluate(parts)
    alone = [Engine(member).evaluate(batch) for member, batch in zip(module, parts, strict=True)]
    torch.testing.assert_close(own.loss, alone[0].loss + alone[1].loss)
    torch.testing.assert_close(own.weight, alone[0].weight + alone[1].weight)
    together = engine.evaluate(parts[0])
    assert isinstance(parts[0], Batch)
    torch.testing.assert_close(together.logit, module(parts[0].indices).detach())


def test_members_go_over_their_own_rows():
    data = make_rows(10)
    members = MemberData(data, [np.array([0, 1, 2]), np.array([5, 9])])
    first, second = members.take(slice(0, 2))
    assert (first.indices.numpy() == data.indices[[0, 1]]).all()
    assert (second.indices.numpy() == data.indices[[5, 9]]).all()
    assert len(members) == 3
    np.testing.assert_array_equal(members.targets(), data.target[[0, 1, 2, 5, 9]])
    np.testing.assert_array_equal(members.batch.weight, data.weight[[0, 1, 2, 5, 9]])


@pytest.mark.parametrize("how", ["random", "groups"])
def test_parts_set_aside_are_disjoint_and_alike(how):
    rng = np.random.default_rng(0)
    target, groups = (rng.random(997) < 0.2).astype(float), rng.integers(0, 100, 997)
    given = groups if how == "groups" else None
    parts = folds(target, how, 0.1, given, np.random.RandomState(0), 10)
    valid = [set(part.valid) for part in parts]
    assert sum(map(len, valid)) == len(set.union(*valid)) == 997
    for train, aside in parts:
        assert set(train) | set(aside) == set(range(997))
        assert not set(train) & set(aside)
        if how == "groups":
            assert not set(groups[train]) & set(groups[aside])
        else:
            assert abs(target[aside].mean() - target.mean()) < 0.02


def test_more_members_than_parts_begin_again():
    target = np.arange(100) % 2.0
    parts = folds(target, "random", 0.25, None, np.random.RandomState(0), 6)
    assert all(24 <= len(part.valid) <= 26 for part in parts)
    assert set(parts[0].valid) & set(parts[4].valid)


@pytest.fixture(scope="module")
def model():
    X, y = make_clicks(1_500, seed=4)
    return X, y, fast(n_members=3).fit(X, y)


class TestClassifier:
    def test_history_is_that_of_all_members(self, model):
        _X, _y, fitted = model
        history = fitted.history_
        assert history.loc[history["step"] == fitted.best_step_, "best"].item()
        assert fitted.best_score_ == history["valid_loss"].min()
        assert len(fitted.net_.module_.members) == 3

    def test_predicts_as_the_mean_of_the_members(self, model):
        X, _, fitted = model
        indices = torch.from_numpy(fitted.encoder_.transform(X))
        logits = [Engine(member).logits(indices) for member in fitted.net_.module_]
        wanted = torch.stack(logits).double().mean(0).numpy()
        np.testing.assert_allclose(fitted.decision_function(X), wanted, atol=1e-5)
        one = np.concatenate([fitted.decision_function(X[i : i + 1]) for i in range(5)])
        np.testing.assert_allclose(one, wanted[:5], atol=1e-5)
        assert len({float(member.bias.detach()) for member in fitted.net_.module_}) == 3

    def test_the_same_bits_twice_and_through_a_pickle(self, model):
        X, y, fitted = model
        again = clone(fitted).fit(X, y)
        np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))
        loaded = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(fitted.predict_proba(X), loaded.predict_proba(X))

    def test_is_better_than_one(self):
        X, y = make_clicks(6_000, seed=1)
        train, test = slice(0, 2_000), slice(2_000, None)
        scores = {}
        for n_members in (1, 6):
            models = [
                fast(n_members=n_members, random_state=seed).fit(X[train], y[train])
                for seed in range(3)
            ]
            scores[n_members] = np.mean(
                [log_loss(y[test], model.predict_proba(X[test])) for model in models]
            )
        assert scores[6] < scores[1] - 0.002

    @pytest.mark.parametrize("validation", ["last", "groups"])
    def test_time_and_groups(self, validation):
        X, y = make_clicks(600)
        groups = np.arange(600) // 10
        model = fast(n_members=2, validation=validation).fit(X, y, groups=groups)
        assert model.best_score_ is not None

    def test_validation_rows_of_the_user_are_scored_by_the_mean(self):
        X, y = make_clicks(1_500)
        model = fast(n_members=2, eval_every=5, max_epochs=1)
        model.fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
        probability = model.predict_proba(X[1000:])[:, 1]
        best = model.history_.query("best").iloc[0]
        assert best["valid_loss"] == pytest.approx(log_loss(y[1000:], probability), abs=1e-5)
        assert best["valid_auc"] == pytest.approx(roc_auc_score(y[1000:], probability), abs=1e-6)

    def test_goes_on_by_partial_fit_and_warm_start(self):
        X, y = make_clicks(600)
        model = fast(n_members=2)
        model.partial_fit(X[:300], y[:300], classes=np.unique(y)).partial_fit(X[300:], y[300:])
        assert np.isfinite(model.predict_proba(X)).all()
        warm = fast(n_members=2, warm_start=True, max_epochs=1).fit(X, y)
        steps = warm.n_iter_
        assert warm.fit(X, y).n_iter_ > steps
        with pytest.raises(ValueError, match="n_members=3, but this estimator was first fitted"):
            warm.set_params(n_members=3).fit(X, y)

    def test_of_few_rows_a_weight_is_copies(self):
        X, y = make_clicks(50)
        params = {"n_members": 2, "batch_size": "auto"}
        weighted = fast(**params).fit(X, y, sample_weight=np.full(50, 2.0))
        copies = X.index.repeat(2)
        repeated = fast(**params).fit(X.loc[copies], y[copies])
        np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X))

    @pytest.mark.parametrize("model", ["dnn", "fm"])
    def test_competitors_have_members_too(self, model):
        X, y = make_clicks(600)
        fitted = BaselineClassifier(model, n_members=2, max_epochs=1, random_state=0).fit(X, y)
        assert fitted.predict_proba(X).shape == (600, 2)

    def test_fewer_groups_than_members(self):
        X, y = make_clicks(300)
        fast(n_members=8, validation="groups").fit(X, y, groups=np.arange(300) // 60)
