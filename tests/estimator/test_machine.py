"""Any order of fits, continued fits, failures, interrupts, files and pickles: nothing is lost."""

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import sk_dynint
from sk_dynint._warnings import warnings_ignored
from sk_dynint.training._run import Run
from tests.conftest import fast, make_clicks

X, Y = make_clicks(400)
X = X.drop(columns="day")
PARAMS = {"max_epochs": 2, "eval_every": 4, "batch_size": 64, "early_stopping": True}


class Life(RuleBasedStateMachine):
    """A classifier, and what it is known to predict."""

    @st.composite
    def rows(draw):
        """Positions of 300 of the rows."""
        return np.random.default_rng(draw(st.integers(0, 5))).permutation(len(X))[:300]

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.model = fast(**PARAMS)
        self.known = None

    def teardown(self):
        self.folder.cleanup()

    def learn(self, work, *args, **options):
        """Let the classifier learn; remember what it predicts then."""
        with warnings_ignored():
            work(*args, **options)
        self.known = self.model.predict_proba(X)
        assert np.isfinite(self.known).all()

    @rule(rows=rows(), n_members=st.sampled_from([1, 2]))
    def fit(self, rows, n_members):
        """Fit anew."""
        self.model.set_params(n_members=n_members, warm_start=False, checkpoint=None)
        self.learn(self.model.fit, X.iloc[rows], Y[rows])

    @precondition(lambda self: self.known is not None)
    @rule(rows=rows())
    def go_on(self, rows):
        """Learn more rows."""
        if self.model.net_.can_continue_:
            self.learn(self.model.partial_fit, X.iloc[rows], Y[rows])
        else:
            with pytest.raises(ValueError, match="saved without the state of its optimizer"):
                self.model.partial_fit(X.iloc[rows], Y[rows])

    @rule(rows=rows())
    def fail(self, rows):
        """Rows that no fit takes."""
        with pytest.raises(ValueError, match="NaN"):
            self.model.fit(X.iloc[rows], np.where(rows < 200, np.nan, 1.0))

    @rule(rows=rows(), step=st.integers(1, 8))
    def interrupt_and_resume(self, rows, step):
        """Break off in a step, and go on: as if it had never stopped."""
        whole = fast(**PARAMS)
        with warnings_ignored():
            wanted = whole.fit(X.iloc[rows], Y[rows]).predict_proba(X)
        (self.path / "run").unlink(missing_ok=True)
        self.model = fast(**PARAMS, checkpoint=self.path / "run")
        count, original = iter(range(1, 10**6)), Run.step

        def interrupted(*args):
            sums = original(*args)
            if next(count) == step:
                args[0].checkpoint.signal = 2
            return sums

        Run.step = interrupted
        try:
            with warnings_ignored(), pytest.raises(KeyboardInterrupt):
                self.model.fit(X.iloc[rows], Y[rows])
        finally:
            Run.step = original
        self.learn(self.model.fit, X.iloc[rows], Y[rows], resume=True)
        np.testing.assert_array_equal(self.known, wanted)
        self.model.set_params(checkpoint=None)

    @precondition(lambda self: self.known is not None)
    @rule(training_state=st.booleans())
    def through_a_file(self, training_state):
        """Save and load."""
        if training_state and not self.model.net_.can_continue_:
            with pytest.raises(ValueError, match="has no state of its optimizer"):
                self.model.save(self.path / "model", training_state=True)
            return
        self.model.save(self.path / "model", training_state=training_state)
        self.model = sk_dynint.load(self.path / "model")

    @precondition(lambda self: self.known is not None)
    @rule()
    def through_a_pickle(self):
        """Pickle and load."""
        self.model = pickle.loads(pickle.dumps(self.model))

    @invariant()
    def predicts_what_it_did(self):
        """Nothing but learning changes a bit."""
        if self.known is not None:
            np.testing.assert_array_equal(self.model.predict_proba(X), self.known)


Life.TestCase.settings = settings(max_examples=6, stateful_step_count=8, deadline=None)
TestLife = Life.TestCase


@pytest.mark.slow
def test_long_lives():
    from hypothesis.stateful import run_state_machine_as_test

    longer = settings(max_examples=30, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(Life, settings=longer)
