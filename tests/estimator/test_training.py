"""What `fit` does: reproducibility, weights, early stopping, continuing, callbacks."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Freezer, LRScheduler

from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint.datasets import load_flights
from sk_dynint.interactions import VARIANTS, InteractionLayer
from sk_dynint.training._average import WeightAverage
from sk_dynint.training._callbacks import KeepBest
from tests.conftest import fast, make_clicks


@pytest.mark.parametrize("variant", VARIANTS)
def test_xor_needs_an_interaction(variant):
    """Two fields, label their exclusive or: learnt by every variant, not without layers."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 2, (4_000, 2)), columns=["a", "b"]).astype("category")
    y = (X["a"].astype(int) ^ X["b"].astype(int)).to_numpy()
    train, test = slice(3_000), slice(3_000, None)
    aucs = [
        roc_auc_score(
            y[test],
            DynIntClassifier(variant, n_layers=n_layers, n_members=1, crosses=None, random_state=0)
            .fit(X[train], y[train])
            .decision_function(X[test]),
        )
        for n_layers in (3, 0)
    ]
    assert aucs[0] > 0.98
    assert aucs[1] < 0.6


@pytest.mark.parametrize("optimizer", ["ftrl", "adam", torch.optim.SGD, torch.optim.AdamW])
def test_same_seed_same_bits(many_clicks, optimizer):
    X, y = many_clicks
    params = {"optimizer": optimizer, "lr": 0.01, "early_stopping": True}
    one, two = (fast(**params).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, fast(**params, random_state=1).fit(X, y).predict_proba(X))


def test_global_generators_are_untouched(clicks):
    X, y = clicks
    numpy_state, torch_state = np.random.mtrand._rand.get_state()[1], torch.get_rng_state()
    fast(early_stopping=True).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(np.random.mtrand._rand.get_state()[1], numpy_state)
    fast(random_state=None).fit(X, y)  # NumPy's is asked for a seed, as everywhere in scikit-learn
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_are_repetitions(variant):
    """In the loss, in the penalty, and in what the encoder counts."""
    X, y = make_clicks(120)
    weight = np.arange(len(y)) % 3
    rows = np.repeat(np.arange(len(y)), weight)
    params = {"variant": variant, "orthogonal_penalty": 0.05}
    weighted = fast(**params).fit(X, y, sample_weight=weight)
    repeated = fast(**params).fit(X.iloc[rows], y[rows])
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-7)


def test_class_weight_moves_the_mean(many_clicks):
    X, y = many_clicks
    plain = fast().fit(X, y).predict_proba(X)[:, 1].mean()
    heavy = fast(class_weight={0: 1, 1: 5}).fit(X, y).predict_proba(X)[:, 1].mean()
    balanced = fast(class_weight="balanced").fit(X, y).predict_proba(X)[:, 1].mean()
    assert abs(plain - y.mean()) < 0.05
    assert heavy > plain + 0.1
    assert abs(balanced - 0.5) < 0.05


def test_class_weight_is_sample_weight(many_clicks):
    X, y = many_clicks
    by_class = fast(class_weight={0: 1, 1: 2}).fit(X, y)
    by_row = fast(encoder=FieldEncoder(min_count=1)).fit(X, y, sample_weight=np.where(y, 2.0, 1.0))
    assert by_class.encoder_.cardinalities_.shape == by_row.encoder_.cardinalities_.shape
    assert abs(by_class.predict_proba(X)[:, 1].mean() - by_row.predict_proba(X)[:, 1].mean()) < 0.02


@pytest.mark.parametrize(("scoring", "column"), [("logloss", "valid_loss"), ("auc", "valid_auc")])
def test_best_period_is_restored(scoring, column):
    """With a large step the net overfits; what `fit` leaves scores as the best period did."""
    X, y = make_clicks(3_000, seed=2)
    X_val, y_val = make_clicks(1_500, seed=3)
    model = fast(
        variant="pin", n_layers=2, lr=0.3, max_epochs=30, patience=3, scoring=scoring, batch_size=64
    ).fit(X, y, X_val=X_val, y_val=y_val)
    scores = model.history_[column]
    best = scores.min() if scoring == "logloss" else scores.max()
    assert len(scores) < 30
    assert scores.iloc[-1] != best
    p = model.predict_proba(X_val)[:, 1]
    found = log_loss(y_val, p) if scoring == "logloss" else roc_auc_score(y_val, p)
    assert found == pytest.approx(best, rel=1e-4)


def test_validation_rows_meet_the_encoder_as_new(many_clicks):
    """A level that only validation rows have is unknown to the encoder."""
    X, y = many_clicks
    X_val = X.head(200).assign(site="only here")
    model = fast(encoder=FieldEncoder(min_count=1))
    with pytest.warns(UserWarning, match="hold values that fit did not see.*'site': '100%'"):
        model.fit(X, y, X_val=X_val, y_val=y[:200])
    with pytest.warns(UserWarning, match="hold values that fit did not see"):
        codes = model.encoder_.transform(X_val)
    assert (codes[:, X.columns.get_loc("site")] == 0).all()


def test_early_stopping_auto_leaves_small_tables_whole():
    X, y = make_clicks(100)
    assert "valid_loss" not in fast().fit(X, y).history_
    assert "valid_loss" in fast(early_stopping=True).fit(X, y).history_
    for n_samples, stops in [(128, False), (129, True)]:
        X, y = make_clicks(n_samples)
        assert ("valid_loss" in fast(max_epochs=1).fit(X, y).history_) == stops


def test_eval_every_counts_steps(many_clicks):
    X, y = many_clicks
    model = fast(batch_size=100, eval_every=7, early_stopping=True, max_epochs=2, patience=99)
    history = model.fit(X, y).history_
    assert history["step"].iloc[:3].tolist() == [7, 14, 21]
    assert history["step"].iloc[-1] == 2 * 36  # 3,600 rows, 100 a batch
    assert model.n_iter_ == 72


@pytest.mark.parametrize("variant", ["da", "dwp"])
def test_blocks_of_a_batch_make_no_difference(variant, monkeypatch):
    """The gradient of a batch is the sum of those of its blocks, penalty and weights included."""
    X, y = make_clicks(100)
    params = {"variant": variant, "orthogonal_penalty": 0.01, "max_epochs": 5}
    weight = np.linspace(0.5, 2.0, len(y))
    found = []
    for block in (len(y), 30):
        monkeypatch.setattr("sk_dynint.engine.kernels._stack.BLOCK", block)
        monkeypatch.setattr("sk_dynint.engine._autograd.AUTOGRAD_BLOCK", block)
        found.append(fast(**params).fit(X, y, sample_weight=weight).predict_proba(X))
    np.testing.assert_allclose(*found, atol=1e-9)


def test_partial_fit_learns_and_takes_new_levels(many_clicks):
    X, y = many_clicks
    model = fast(lr=0.2)
    for start in 4 * list(range(0, 4_000, 1_000)):
        part = slice(start, start + 1_000)
        model.partial_fit(X[part], y[part], classes=[0, 1])
    assert roc_auc_score(y, model.decision_function(X)) > 0.7
    n_levels = model.encoder_.cardinalities_.copy()
    new = X.head(50).assign(site="new")
    before = model.predict_proba(new)
    for _ in range(20):
        model.partial_fit(new, np.ones(50, int))
    np.testing.assert_array_equal(model.encoder_.cardinalities_, n_levels)
    assert (model.predict_proba(new)[:, 1] > before[:, 1]).all()


def test_frozen_encoder_keeps_its_levels(many_clicks):
    X, y = many_clicks
    encoder = FieldEncoder().fit(X)
    model = fast(encoder=FrozenEstimator(encoder)).partial_fit(X.head(9), y[:9], classes=[0, 1])
    np.testing.assert_array_equal(model.encoder_.cardinalities_, encoder.cardinalities_)
    np.testing.assert_array_equal(model.encoder_.transform(X), encoder.transform(X))
    clone(model).fit(X, y).predict(X)


def test_partial_fit_wants_classes_first(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        fast().partial_fit(X, y)
    model = fast().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(X, y, classes=[0, 2])


def test_partial_fit_after_early_stopping_goes_on_from_the_best(many_clicks):
    X, y = many_clicks
    model = fast(early_stopping=True, lr=0.2, max_epochs=10, patience=2).fit(X, y)
    before = log_loss(y, model.predict_proba(X))
    model.partial_fit(X.head(1), y[:1])
    assert log_loss(y, model.predict_proba(X)) == pytest.approx(before, abs=0.02)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("averaging", [None, 8.0])
def test_a_step_that_weighs_nothing_changes_nothing(many_clicks, early_stopping, averaging):
    """Training goes on from the weights that predict, averaged or not."""
    X, y = many_clicks
    model = fast(early_stopping=early_stopping, averaging=averaging, lr=0.2).fit(X, y)
    before = model.predict_proba(X)
    model.partial_fit(X.head(200), y[:200], sample_weight=np.full(200, 1e-12))
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-4)


def test_partial_fit_takes_batches_of_any_chunk(many_clicks):
    """Chunks of 1,000 and of 1,050 rows take eight and nine steps."""
    X, y = many_clicks
    for n_rows, n_steps in [(1_000, 8), (1_050, 9)]:
        model = fast().partial_fit(X[:n_rows], y[:n_rows], classes=[0, 1])
        assert model.n_iter_ == n_steps
        assert model.net_.module_.bias.dtype == torch.float32


def test_going_on_takes_new_options_and_refuses_new_shapes(many_clicks):
    X, y = many_clicks
    model = fast(warm_start=True).fit(X, y)
    before = model.predict_proba(X)
    still = {"lr": 1e-9, "embedding_optimizer_params": {"lr": 1e-9}}
    model.set_params(**still, max_epochs=1, averaging=None).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), before, atol=1e-4)
    table, *_, rest = model.net_.optimizer_.param_groups
    assert (table["lr"], table["group"], rest["lr"], rest["group"]) == (1e-9, True, 1e-9, False)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    again.set_params(n_layers=2)
    for go_on in (again.fit, again.partial_fit):
        with pytest.raises(ValueError, match=r"n_layers=2, but .* first fitted with 1"):
            go_on(X, y)
    again.set_params(n_layers=np.int64(1), device=torch.device("cpu")).fit(X, y)
    again.set_params(encoder__min_count=7)
    with pytest.raises(ValueError, match="encoder"):
        again.fit(X, y)
    assert again.set_params(warm_start=False).fit(X, y).encoder_.min_count == 7


def test_a_schedule_starts_from_the_new_rate(many_clicks):
    X, y = many_clicks
    model = fast(warm_start=True, lr=0.1).fit(X, y)
    constant = LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda period: 1.0)
    model.set_params(lr=0.02, callbacks=[constant]).fit(X, y)
    assert model.net_.optimizer_.param_groups[-1]["lr"] == model.net_.lr == 0.02


class Interrupt(Callback):
    """Ctrl-C in the third batch, or skorch's way to end training, after the first period."""

    def __init__(self, where):
        self.where = where

    def on_batch_end(self, net, training=False, **kwargs):
        if self.where == "batch" and len(net.history[-1]["batches"]) == 3:
            raise KeyboardInterrupt

    def on_epoch_end(self, net, **kwargs):
        if self.where == "period":
            raise KeyboardInterrupt


def test_interrupt_of_the_user_arrives_and_leaves_nothing_half_done(many_clicks):
    X, y = many_clicks
    model = fast(callbacks=[Interrupt("batch")])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.set_params(callbacks=[Interrupt("period")]).fit(X, y)
    assert len(model.history_) == 1
    before = model.predict_proba(X)
    for warm_start in (False, True):
        model.set_params(callbacks=[Interrupt("batch")], warm_start=warm_start)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
        np.testing.assert_array_equal(model.predict_proba(X), before)
    model.set_params(callbacks=None).fit(X, y)
    assert model.history_["step"].is_monotonic_increasing
    assert model.history_.drop(columns="best").notna().all(axis=None)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupt_after_a_period_keeps_what_was_learnt(many_clicks, early_stopping):
    """Ctrl-C arrives, and the estimator is fitted: with the best weights so far, if any are."""
    X, y = many_clicks

    class InterruptAtStep(Callback):
        def __init__(self, step):
            self.step_, self.n_ = step, 0

        def on_batch_end(self, net, training=False, **kwargs):
            self.n_ += training
            if self.n_ == self.step_:
                raise KeyboardInterrupt

    params = {"early_stopping": early_stopping, "eval_every": 8, "lr": 0.2, "max_epochs": 9}
    model = fast(callbacks=[InterruptAtStep(61)], **params)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(model.history_) == 7
    assert model.best_step_ <= model.n_iter_ == 56
    p = model.predict_proba(X)
    assert np.isfinite(p).all()
    if early_stopping:
        whole = fast(**params).fit(X, y)
        assert whole.history_["valid_loss"].iloc[:7].equals(model.history_["valid_loss"])
    model.set_params(callbacks=None).partial_fit(X, y)


def test_interrupt_after_a_period_is_one_too(many_clicks, monkeypatch):
    """Not only a batch takes time: copying the best weights, say."""
    X, y = many_clicks

    def interrupted(self, module, optimizer):
        raise KeyboardInterrupt

    monkeypatch.setattr(KeepBest, "keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fast().fit(X, y)


def test_failed_fits_leave_what_they_should(many_clicks):
    """A chunk that overflows leaves the model alone, and so does a new fit that fails."""
    X, y = many_clicks
    model = fast().fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"add up to 9e\+39"):
        model.partial_fit(X.head(9), y[:9], sample_weight=np.full(9, 1e39))
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="day"):
        model.fit(X, y, X_val=X.assign(day="monday"), y_val=y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_frozen_weights_stay(clicks):
    X, y = clicks
    params = {"variant": "dgp", "orthogonal_penalty": 0.1, "averaging": None}
    starts = fast(**params, max_epochs=1, lr=1e-12, embedding_optimizer_params={"lr": 1e-12})
    start = dict(starts.fit(X, y).net_.module_.named_parameters())
    model = fast(**params, callbacks=[Freezer(["embedding.*", "body.*"])]).fit(X, y)
    for name, parameter in model.net_.module_.named_parameters():
        same = torch.allclose(parameter, start[name], atol=1e-6)
        assert same == (name != "bias"), name


def test_validation_loss_is_the_weighted_mean_over_blocks(many_clicks, monkeypatch):
    X, y = many_clicks
    monkeypatch.setattr("sk_dynint.training._run.EVALUATION_BATCH_SIZE", 100)
    X_val, y_val = make_clicks(350, seed=3)
    weight = np.where(np.arange(350) < 100, 50.0, 1.0)
    model = fast(max_epochs=1).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    expected = log_loss(y_val, model.predict_proba(X_val), sample_weight=weight)
    assert model.history_["valid_loss"].min() == pytest.approx(expected, rel=1e-5)


# Libraries, too, put filters of warnings back as they found them, in whatever order threads leave.
@pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting'")
def test_fits_in_threads_are_those_in_a_row(clicks):
    """Dropout draws from a generator that all threads share."""
    X, y = clicks

    def predictions(seed):
        model = BaselineClassifier("dnn", hidden_units=(8,), dropout=0.3, random_state=seed)
        return model.set_params(max_epochs=5).fit(X, y).predict_proba(X)

    state = torch.get_rng_state()
    expected = [predictions(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(predictions, range(4)))
    np.testing.assert_array_equal(found, expected)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [300, 1_000])
def test_small_noisy_tables_do_not_end_far_above_the_base_rate(n_samples):
    X, y = load_flights(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))
    train, test = rows[:n_samples], rows[n_samples : n_samples + 4_000]
    model = DynIntClassifier(random_state=0).fit(X.iloc[train], y[train])
    found = log_loss(y[test], model.predict_proba(X.iloc[test]))
    base = log_loss(y[test], np.full(4_000, y[train].mean()))
    assert found < base + 0.1


def test_warm_start_continues(many_clicks):
    X, y = many_clicks
    model = fast(warm_start=True, early_stopping=False).fit(X, y)
    first = model.history_["train_loss"].iloc[0]
    n_periods, n_steps = len(model.history_), model.n_iter_
    model.fit(X, y)
    assert len(model.history_) == n_periods
    assert model.history_["train_loss"].iloc[0] < first
    assert model.history_["step"].iloc[-1] == model.n_iter_ == 2 * n_steps
    with pytest.raises(ValueError, match="labels"):
        model.fit(X, y + 1)
    cold = fast(early_stopping=False).fit(X, y).fit(X, y)
    assert len(cold.history_) == n_periods


def test_many_calls_of_partial_fit_keep_the_history_of_the_last(many_clicks):
    """It grew for ever, and with it the time of a call."""
    X, y = many_clicks
    model = fast()
    for call in range(1, 31):
        model.partial_fit(X[:200], y[:200], classes=[0, 1])
        assert model.n_iter_ == model.history_["step"].item() == 2 * call
    assert len(model.net_.history) == 1


def test_history(many_clicks):
    X, y = many_clicks
    history = fast(early_stopping=True).fit(X, y).history_
    expected = ["step", "train_loss", "valid_loss", "valid_auc", "best", "seconds"]
    assert history.columns.tolist() == expected
    assert history["best"].sum() == 1
    assert history.loc[history["best"], "valid_loss"].item() == history["valid_loss"].min()
    assert history.columns.dtype == object  # readable without pyarrow


def test_quiet_unless_verbose(clicks, capsys):
    X, y = clicks
    fast().fit(X, y)
    assert capsys.readouterr() == ("", "")
    fast(verbose=1).fit(X, y)
    out, err = capsys.readouterr()
    assert out == ""
    assert "valid AUC" in err


def test_skorch_callbacks_are_called(clicks):
    class Count(Callback):
        n_batches = 0

        def on_batch_end(self, net, training=False, **kwargs):
            self.n_batches += training

    X, y = clicks
    counter = Count()
    model = fast(callbacks=[counter]).fit(X, y)
    assert counter.n_batches == model.n_iter_


def test_sklearn_callbacks(clicks, capsys):
    X, y = clicks
    monitor = ScoringMonitor(scoring="roc_auc")
    model = fast().set_callbacks(monitor, ProgressBar()).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert len(log) == 1 + len(model.history_)
    best = int(np.flatnonzero(model.history_["best"]).item())
    auc = roc_auc_score(y, model.decision_function(X))
    assert log["roc_auc"].iloc[[0, 1 + best]].tolist() == pytest.approx([auc, auc])
    assert model.score(X, y) > 0.5
    assert "DynIntClassifier" in capsys.readouterr().out


def test_sklearn_callback_can_stop(clicks):
    class StopAtOnce:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context):
            return True

    X, y = clicks
    assert len(fast(max_epochs=9).set_callbacks(StopAtOnce()).fit(X, y).history_) == 1


def test_sklearn_callbacks_in_a_search(clicks, capsys):
    X, y = clicks
    search = GridSearchCV(fast(), {"variant": ["pin", "da"]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "GridSearchCV" in capsys.readouterr().out


def test_group_lasso_prunes_rows(many_clicks):
    """Rows are zero exactly, and counted."""
    X, y = many_clicks
    X = X.assign(noise=np.random.default_rng(0).integers(0, 400, len(X)).astype(str))
    free = fast(early_stopping=False).fit(X, y)
    model = fast(early_stopping=False, embedding_optimizer_params={"l1": 2.0, "start": "zero"}).fit(
        X, y
    )
    table = model.net_.module_.embedding.weight
    assert free.n_pruned_rows_ == 0
    assert model.n_pruned_rows_ == int((table == 0).all(1).sum())
    assert model.n_pruned_rows_ > 100
    assert roc_auc_score(y, model.decision_function(X)) > 0.7


def test_own_variant_in_one_class(clicks):
    class Square(InteractionLayer):
        def __init__(self, width, depth, *, power=2):
            super().__init__(width, depth)
            self.power = power

        def forward(self, x, x0):
            return x + x0**self.power

    X, y = clicks
    model = fast(variant=Square, variant_params={"power": 3}).fit(X, y)
    assert model.net_.module_.body.layers[0].power == 3


def test_numpy_and_polars_input(clicks):
    polars = pytest.importorskip("polars")
    X, y = clicks
    expected = fast().fit(X, y).predict_proba(X)
    frame = polars.from_pandas(X)
    np.testing.assert_array_equal(fast().fit(frame, y).predict_proba(frame), expected)
    array = X[["hour", "count"]].to_numpy()
    assert fast().fit(array, y).predict_proba(array).shape == (len(y), 2)


def test_loss_that_explodes_is_an_error(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match=r"training loss became (nan|inf).*lower lr"):
        fast(optimizer=torch.optim.SGD, lr=1e30, max_epochs=50).fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_average_is_lent_only_to_who_looks_at_it(clicks, monkeypatch, early_stopping):
    """A period without validation rows does not go over the whole table."""
    lent = []
    applied = WeightAverage.applied
    monkeypatch.setattr(WeightAverage, "applied", lambda self: lent.append(1) or applied(self))
    model = fast(early_stopping=early_stopping).fit(*clicks)
    n_best = model.history_["valid_loss"].cummin().nunique() if early_stopping else 0
    assert len(lent) == (len(model.history_) + n_best if early_stopping else 0)


@pytest.mark.parametrize("variant", ["dgp", "dwp"])
@pytest.mark.parametrize("size", ["full batch", "batches"])
def test_the_penalty_reaches_training(variant, size):
    """λ draws the low-rank vectors towards orthogonality (Eq. 11 and 12), through `fit` itself."""
    X, y = make_clicks(120 if size == "full batch" else 1_500, seed=3)
    found = []
    for penalty in (0.0, 0.3):
        model = fast(
            variant=variant,
            orthogonal_penalty=penalty,
            rank=3,
            n_subspaces=2,
            n_knots=None,
            popularity=0.0,
            variant_params={"init": "glorot"} if variant == "dgp" else None,
            max_epochs=10,
            early_stopping=False,
            averaging=None,
        ).fit(X, y)
        module = model.net_.module_.train()
        with torch.no_grad():
            module(torch.from_numpy(model.encoder_.transform(X)))
            found.append(float(module.penalty().mean()))
    assert found[1] < 0.7 * found[0]
