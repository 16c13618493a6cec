"""Whatever is raised, and wherever: a fitted estimator is as it was."""

from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from skorch.callbacks import Callback

from sk_dynint import BaselineClassifier, FieldEncoder
from sk_dynint._rows import Rows
from sk_dynint.engine import Engine
from sk_dynint.optim import FTRL
from sk_dynint.training import CTRNet, Run
from tests.conftest import fast, make_clicks

X, y = make_clicks(300)


class Injected(Exception):
    """What is raised on purpose."""


class Raises(Callback):
    """Raises at an event of the training."""

    def __init__(self, event, error):
        self.event = event
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if self.event == "on_epoch_end":
            raise self.error

    def on_batch_end(self, net, **kwargs):
        if self.event == "on_batch_end":
            raise self.error

    def on_train_end(self, net, **kwargs):
        if self.event == "on_train_end":
            raise self.error


PLACES = [
    *((FieldEncoder, "fit_transform"), (FieldEncoder, "transform")),
    *((Rows, "take"), (Rows, "encoded"), (Rows, "class_weight")),
    *((CTRNet, "built"), (CTRNet, "renew"), (CTRNet, "make_engine"), (CTRNet, "history_frame")),
    *((Run, "planned"), (Run, "step"), (Run, "finish"), (Run, "warn_of_poor_ends")),
    *((Engine, "step"), (Engine, "gradients"), (Engine, "logits"), (FTRL, "step")),
]
"""Where a failure is injected: before or after the call of a method, the first or a later one."""

WRONG = {
    "a missing label": ((X, np.where(np.arange(300) == 7, np.nan, y)), {}),
    "fewer labels": ((X, y[:9]), {}),
    "an infinite number": ((X.assign(count=np.inf), y), {}),
    "negative weights": ((X, y), {"sample_weight": np.full(300, -1.0)}),
    "no weight at all": ((X, y), {"sample_weight": np.zeros(300)}),
    "huge weights": ((X, y), {"sample_weight": np.full(300, 1e300)}),
}
OTHER = {
    "labels of three classes": ((X, np.arange(300) % 3), {}),
    "labels of another kind": ((X, np.where(y, "yes", "no")), {}),
    "another kind of column": ((X.assign(count="a"), y), {}),
    "a column that is gone": ((X.drop(columns="site"), y), {}),
    "columns in another order": ((X[X.columns[::-1]], y), {}),
}
"""Data of another table, of which a new model can be made."""


class Fitted(RuleBasedStateMachine):
    """A classifier to which anything may happen; what predicted before predicts the same."""

    @initialize(
        make=st.sampled_from([fast, partial(BaselineClassifier, "deepfm", hidden_units=[8])]),
        warm_start=st.booleans(),
        early_stopping=st.booleans(),
    )
    def fit(self, make, warm_start, early_stopping):
        params = {"max_epochs": 1, "random_state": 0, "early_stopping": early_stopping}
        self.model = make(warm_start=warm_start, **params).fit(X, y)
        self.note()

    def note(self):
        self.expected = self.model.predict_proba(X)
        self.params = self.model.get_params()
        names = ("classes_", "n_iter_", "best_step_", "best_score_", "n_features_in_")
        self.attributes = {name: getattr(self.model, name) for name in names}
        self.history = self.model.history_.drop(columns="seconds")
        self.weights = [p.detach().clone() for p in self.model.net_.module_.parameters()]

    @invariant()
    def it_is_as_it_was(self):
        if not hasattr(self, "expected"):
            return
        np.testing.assert_array_equal(self.model.predict_proba(X), self.expected)
        for name, value in self.attributes.items():
            assert np.array_equal(getattr(self.model, name), value), name
        assert self.model.history_.drop(columns="seconds").equals(self.history)
        parameters = self.model.net_.module_.parameters()
        assert all(map(torch.equal, parameters, self.weights))

    @rule(method=st.sampled_from(["fit", "partial_fit"]))
    def succeed(self, method):
        """Now and then nothing fails, and the model goes on from a new state."""
        getattr(self.model, method)(X, y)
        self.note()

    @rule(
        method=st.sampled_from(["fit", "partial_fit"]),
        place=st.sampled_from(PLACES),
        n_earlier=st.integers(0, 2),
        after=st.booleans(),
        error=st.sampled_from([Injected, KeyboardInterrupt, MemoryError]),
    )
    def fail_inside(self, method, place, n_earlier, after, error):
        owner, name = place
        called = owner.__dict__[name]
        function = getattr(called, "__func__", called)
        calls = iter(range(1000))

        def failing(*args, **kwargs):
            fails = next(calls) == n_earlier
            if fails and not after:
                raise error
            result = function(*args, **kwargs)
            if fails:
                raise error
            return result

        replaced = type(called)(failing) if function is not called else failing
        self.attempt(method, (X, y), {}, error, lambda: patch.object(owner, name, replaced))

    @rule(
        method=st.sampled_from(["fit", "partial_fit"]),
        event=st.sampled_from(["on_epoch_end", "on_batch_end", "on_train_end"]),
    )
    def fail_in_a_callback(self, method, event):
        self.model.set_params(callbacks=[Raises(event, Injected())])
        self.attempt(method, (X, y), {}, Injected)
        self.model.set_params(callbacks=None)

    @rule(method=st.sampled_from(["fit", "partial_fit"]), wrong=st.sampled_from(sorted(WRONG)))
    def give_wrong_data(self, method, wrong):
        args, kwargs = WRONG[wrong]
        with pytest.raises((ValueError, TypeError)):
            getattr(self.model, method)(*args, **kwargs)

    @rule(other=st.sampled_from(sorted(OTHER)))
    def go_on_with_another_table(self, other):
        args, kwargs = OTHER[other]
        with pytest.raises((ValueError, TypeError)):
            self.model.partial_fit(*args, **kwargs)

    @rule(method=st.sampled_from(["fit", "partial_fit"]))
    def diverge(self, method):
        rates = {"lr": 1e30, "embedding_optimizer_params": {"lr": 1e30}}
        before = {name: getattr(self.model, name) for name in rates}
        self.model.set_params(**rates)
        self.attempt(method, (X, y), {}, (ValueError, FloatingPointError))
        self.model.set_params(**before)

    @rule(
        params=st.sampled_from(
            [
                {"lr": 0.5, "no_such": 1},
                {"max_epochs": 3, "encoder__no_such": 2},
                {"verbose": 0, "learning_rate": 0.1},
            ]
        )
    )
    def set_unknown_parameters(self, params):
        with pytest.raises(ValueError, match="has no parameter"):
            self.model.set_params(**params)
        found = self.model.get_params()
        assert {k: found[k] for k in self.params if "encoder__" not in k} == self.params

    def attempt(self, method, args, kwargs, error, context=nullcontext):
        """Call a method that may fail; if it does not, what it made is the new state."""
        try:
            with context():
                getattr(self.model, method)(*args, **kwargs)
        except error as raised:
            # The user's interrupt keeps what was trained up to the last evaluation.
            if not isinstance(raised, KeyboardInterrupt):
                return
        assert np.isfinite(self.model.predict_proba(X)).all()
        self.note()


TestFitted = pytest.mark.filterwarnings("ignore")(Fitted.TestCase)
TestFitted.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
