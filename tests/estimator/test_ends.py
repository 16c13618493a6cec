"""How training ends: what a fitted model tells, and when it warns."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from sk_dynint import DynIntClassifier, FieldEncoder
from tests.conftest import fast


@pytest.mark.parametrize(("scoring", "column"), [("logloss", "valid_loss"), ("auc", "valid_auc")])
def test_best_step_and_score(many_clicks, scoring, column):
    X, y = many_clicks
    model = fast(early_stopping=True, scoring=scoring, lr=0.3, max_epochs=20, patience=3).fit(X, y)
    history = model.history_
    best = history[history["best"]]
    assert model.best_step_ == best["step"].item() <= model.n_iter_
    assert model.best_score_ == best[column].item()
    assert model.best_score_ == (
        history[column].min() if scoring == "logloss" else history[column].max()
    )


def test_without_validation_rows_the_last_step_is_kept(clicks):
    X, y = clicks
    model = fast(early_stopping=False).fit(X, y)
    assert (model.best_step_, model.best_score_) == (model.n_iter_, None)
    assert "best" not in model.history_


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_run_that_was_still_improving_says_so(many_clicks):
    X, y = many_clicks
    params = {"early_stopping": True, "lr": 0.01, "embedding_optimizer_params": {"lr": 0.01}}
    with pytest.raises(ConvergenceWarning, match=r"max_epochs=2 ended training while .* improving"):
        fast(max_epochs=2, **params).fit(X, y)
    fast(max_epochs=60, lr=0.3, patience=2).fit(X, y)  # stopped by itself
    fast(max_epochs=1, early_stopping=False).fit(X, y)  # has nothing to go by


def test_a_run_that_learnt_nothing_says_so(many_clicks):
    """With an absurd rate the weights are finite, and worth nothing."""
    X, y = many_clicks
    with pytest.warns(UserWarning, match=r"nothing was learnt: .* logloss is \d+\.\d+"):
        fast(lr=100.0, embedding_optimizer_params={"lr": 100.0}, early_stopping=True).fit(X, y)


def test_weights_that_are_small_as_a_whole_are_mentioned(many_clicks):
    X, y = many_clicks
    weight = np.full(len(y), 1 / len(y))
    model = fast(early_stopping=False, encoder=FieldEncoder(min_count=0))
    with pytest.warns(UserWarning, match=r"have the mean 0.00025; .* divide the weights by their"):
        model.fit(X, y, sample_weight=weight)
    model.fit(X, y, sample_weight=weight * len(y))


def test_a_first_chunk_without_clicks_can_be_left(many_clicks):
    """The model starts at the odds of half a click in its rows, not at one in a million."""
    X, y = many_clicks
    none = np.flatnonzero(y == 0)[:500]
    model = fast(lr=0.2).partial_fit(X.iloc[none], y[none], classes=[0, 1])
    assert model.predict_proba(X)[:, 1].mean() > 1e-4
    for _ in range(4):
        model.partial_fit(X, y)
    base = log_loss(y, np.full(len(y), y.mean()))
    assert log_loss(y, model.predict_proba(X)) < base


def test_weights_that_end_infinite_are_an_error(many_clicks, monkeypatch):
    """The last step may spoil the weights after the loss was looked at."""
    X, y = many_clicks
    model = fast(early_stopping=False, averaging=None).fit(X, y)
    before = model.predict_proba(X)
    step = torch.optim.SGD.step

    def spoil(self, closure=None):
        step(self, closure)
        self.param_groups[-1]["params"][-1].data.fill_(np.inf)

    monkeypatch.setattr(torch.optim.SGD, "step", spoil)
    spoilt = model.set_params(
        optimizer=torch.optim.SGD, max_epochs=1, eval_every=10**6, batch_size=4_000
    )
    with pytest.raises(ValueError, match="weights became infinite or NaN: lower lr"):
        spoilt.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_a_run_that_diverges_late_keeps_its_best_weights(many_clicks, monkeypatch):
    from sk_dynint.training._run import Run

    X, y = many_clicks
    step, n = Run.step, [0]

    def spoil(self, batch, on_gradients=None):
        n[0] += 1
        if n[0] == 100:
            self.engine.module.bias.data.fill_(np.nan)
        return step(self, batch, on_gradients)

    monkeypatch.setattr(Run, "step", spoil)
    with pytest.warns(UserWarning, match="became nan in steps .* best .* are kept"):
        model = fast(early_stopping=True, max_epochs=9, eval_every=10).fit(X, y)
    assert model.best_step_ < 100
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cdua"])
def test_devices_that_are_not_there(clicks, device):
    with pytest.raises(ValueError, match=f"device='{device}'"):
        fast(device=device).fit(*clicks)


@pytest.mark.filterwarnings("ignore::skorch.exceptions.DeviceWarning")
def test_a_model_of_a_card_goes_on_without_one(clicks):
    """Loaded where there is no card, it predicted, but could not be told to go on elsewhere."""
    X, y = clicks
    expected = fast(early_stopping=False).fit(X, y).partial_fit(X, y).predict_proba(X)
    model = fast(early_stopping=False).fit(X, y)
    model.device = model.net_.device = "cuda"
    model._built_with.pop("device", None)
    model = pickle.loads(pickle.dumps(model))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device='auto' takes a card if there is one"):
            model.partial_fit(X, y)
    model.set_params(device="cpu").partial_fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_device_auto(clicks):
    model = DynIntClassifier(device="auto", max_epochs=1).fit(*clicks)
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert model.net_.module_.bias.device.type == expected
    model.partial_fit(*clicks)


def test_optimizers_that_need_a_closure_are_refused(clicks):
    with pytest.raises(ValueError, match="LBFGS evaluates the loss several times in a step"):
        fast(optimizer=torch.optim.LBFGS).fit(*clicks)


def test_warnings_point_to_the_users_line(clicks):
    X, y = clicks
    X = X.assign(user_id=np.arange(len(X)) % 500)
    for call in (FieldEncoder().fit, FieldEncoder().fit_transform, fast().fit):
        with pytest.warns(UserWarning, match="user_id") as found:
            call(X, y)
        assert {w.filename for w in found} == {__file__}
