"""A run that is interrupted, terminated or killed goes on from its checkpoint to the same bits."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import sk_dynint
from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._archive import read
from sk_dynint._warnings import warnings_ignored
from sk_dynint.training import Checkpoint
from sk_dynint.training._run import Run
from tests.conftest import fast, make_clicks

CASES = {
    "one": lambda **p: fast(variant="dgp", orthogonal_penalty=0.01, **p),
    "members": lambda **p: fast(n_members=3, **p),
    "all rows": lambda **p: fast(early_stopping=False, **p),
    "adam": lambda **p: fast(optimizer="adam", averaging=None, **p),
    "dropout": lambda **p: BaselineClassifier(
        "dnn", hidden_units=(8,), dropout=0.3, batch_norm=True, max_epochs=3, random_state=0, **p
    ),
    "any state": lambda **p: fast(**{"random_state": np.random.RandomState(7)} | p),
}


@pytest.fixture(autouse=True)
def _interrupts():
    """Ctrl-C interrupts, though a shell that starts the tests in the background turns that off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def signal_at(monkeypatch):
    """Return a function that makes the process send itself a signal in a step of the next run."""

    def plan(*steps, number=signal.SIGINT):
        count, original = iter(range(1, 10**6)), Run.step

        def step(*args):
            sums = original(*args)
            if next(count) in steps:
                os.kill(os.getpid(), number)
            return sums

        monkeypatch.setattr(Run, "step", step)

    return plan


def assert_same(model, other, X):
    """Same predictions, weights and history, but for the seconds."""
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    for name, tensor in other.net_.module_.state_dict().items():
        assert torch.equal(model.net_.module_.state_dict()[name], tensor), name
    columns = [name for name in other.history_ if name != "seconds"]
    assert model.history_[columns].equals(other.history_[columns])
    assert (model.n_iter_, model.best_step_) == (other.n_iter_, other.best_step_)
    assert model.best_score_ == other.best_score_


@pytest.mark.parametrize("step", [1, 10, 11, 40])
@pytest.mark.parametrize("case", CASES)
def test_interrupted_and_resumed_is_the_same_as_undisturbed(
    case, step, many_clicks, tmp_path, signal_at
):
    """In the first step, before and at the end of a period of 11, and later."""
    X, y = many_clicks
    whole = CASES[case](eval_every=11).fit(X, y)
    params = {"eval_every": 11, "checkpoint": tmp_path / "run"}
    interrupted = CASES[case](**params)
    signal_at(step)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted.fit(X, y)
    if step < 11:  # not evaluated yet: as if it had never begun
        assert not hasattr(interrupted, "net_")
    else:
        assert np.isfinite(interrupted.predict_proba(X)).all()
        assert f"interrupted at step {interrupted.n_iter_}" in caught.value.__notes__[0]
        assert "resume=True goes on from" in caught.value.__notes__[0]
    resumed = CASES[case](**params).fit(X, y, resume=True)
    assert_same(resumed, whole, X)


def test_steps_are_not_made_twice(many_clicks, tmp_path, signal_at, monkeypatch):
    X, y = many_clicks
    model = fast(eval_every=11, checkpoint=str(tmp_path / "run"))
    signal_at(26)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    steps, original = [], Run.step
    monkeypatch.setattr(Run, "step", lambda *args: steps.append(1) or original(*args))
    model.fit(X, y, resume=True)
    assert len(steps) == model.n_iter_ - 26
    steps.clear()
    again = fast(eval_every=11, checkpoint=str(tmp_path / "run")).fit(X, y, resume=True)
    assert not steps  # the run was over
    assert_same(again, model, X)
    assert fast(eval_every=11, checkpoint=str(tmp_path / "run")).fit(X, y).n_iter_ == len(steps)


def test_a_run_may_be_interrupted_many_times(many_clicks, tmp_path, signal_at):
    X, y = many_clicks
    whole = fast(eval_every=7).fit(X, y)
    model = fast(eval_every=7, checkpoint=tmp_path / "run")
    for _ in range(4):
        signal_at(9)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y, resume=True)
    assert_same(model.fit(X, y, resume=True), whole, X)


def test_resume_begins_where_there_is_no_file(many_clicks, tmp_path):
    """The same command serves for the first start and for all others."""
    X, y = many_clicks
    model = fast(checkpoint=tmp_path / "run").fit(X, y, resume=True)
    assert_same(model, fast().fit(X, y), X)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "run"]


@pytest.fixture
def unfinished(many_clicks, tmp_path, signal_at):
    """Path of the checkpoint of a run that was interrupted."""
    signal_at(20)
    with pytest.raises(KeyboardInterrupt):
        fast(eval_every=11, checkpoint=tmp_path / "run").fit(*many_clicks)
    return tmp_path / "run"


def test_what_differs_is_told(many_clicks, unfinished):
    X, y = many_clicks

    def resume(X=X, y=y, **params):
        model = fast(**{"eval_every": 11, "checkpoint": unfinished} | params)
        return model.fit(X, y, resume=True)

    with pytest.raises(ValueError, match=r"other parameters \(lr: None, now 0.3\)"):
        resume(lr=0.3)
    with pytest.raises(ValueError, match=r"\(n_layers: 1, now 2; random_state: 0, now 1\)"):
        resume(n_layers=2, random_state=1)
    with pytest.raises(ValueError, match=r"other rows \(number of rows: 3600, now 3599"):
        resume(X[:-1], y[:-1])
    moved = X.assign(hour=X["hour"].to_numpy()[::-1])
    with pytest.raises(ValueError, match=r"other rows \(column hour: \w+, now \w+; validation col"):
        resume(moved)
    with pytest.raises(ValueError, match=r"validation labels: "):
        resume(y=1 - y)
    before = unfinished.read_bytes()
    with pytest.raises(FileExistsError, match=r"of a run that is not over: .* delete it to begin"):
        fast(eval_every=11, checkpoint=unfinished).fit(X, y)
    assert unfinished.read_bytes() == before
    quiet = resume(verbose=0, callbacks=[], device="cpu")
    assert_same(quiet, fast(eval_every=11).fit(X, y), X)


def test_options_of_an_encoder_are_told_apart(many_clicks, tmp_path):
    X, y = many_clicks
    columns = {"categorical_features": ["hour", *(f"column {i}" for i in range(200))]}
    X = X.assign(**dict.fromkeys(columns["categorical_features"][1:], "x"))
    params = {"checkpoint": tmp_path / "run", "max_epochs": 1}
    with warnings_ignored():  # of columns that are all the same
        fast(encoder=FieldEncoder(min_count=3, **columns), **params).fit(X, y)
        fast(encoder=FieldEncoder(min_count=3, **columns), **params).fit(X, y, resume=True)
        columns["categorical_features"][-1:] = []
        with pytest.raises(ValueError, match=r"other parameters \(encoder: FieldEncoder"):
            fast(encoder=FieldEncoder(min_count=3, **columns), **params).fit(X, y, resume=True)


def test_files_that_are_no_checkpoints_are_left_alone(many_clicks, tmp_path):
    X, y = many_clicks
    model = fast().fit(X, y)
    model.save(tmp_path / "model")
    (tmp_path / "text").write_text("dear diary")
    for name, message in (("model", "holds a DynIntClassifier"), ("text", "no file that sk_dyn")):
        before = (tmp_path / name).read_bytes()
        for resume in (False, True):
            with pytest.raises(ValueError, match=message):
                fast(checkpoint=tmp_path / name).fit(X, y, resume=resume)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        fast(checkpoint=tmp_path / "no" / "run").fit(X, y)
    with pytest.raises(IsADirectoryError, match="is a folder; name a file"):
        fast(checkpoint=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match=r"resume=True goes on from the file that checkpoint="):
        fast().fit(X, y, resume=True)
    fast(checkpoint=tmp_path / "run").fit(X, y)
    with pytest.raises(ValueError, match="run is the checkpoint of a run, which is no"):
        sk_dynint.load(tmp_path / "run")


def test_a_full_disk_ends_no_training(many_clicks, tmp_path, monkeypatch):
    X, y = many_clicks

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sk_dynint.training._checkpoint.write", fail)
    with pytest.warns(UserWarning, match=r"could not be written, and training .* No space left"):
        model = fast(checkpoint=tmp_path / "run").fit(X, y)
    assert_same(model, fast().fit(X, y), X)


def test_signals_have_their_usual_effect_afterwards(many_clicks, tmp_path, signal_at):
    X, y = many_clicks
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fast(checkpoint=tmp_path / "run").fit(X, y)
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    checkpoint = Checkpoint(tmp_path / "other", {}, np.random.RandomState(0), resume=False)
    with checkpoint.listening():
        os.kill(os.getpid(), signal.SIGINT)
        assert checkpoint.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_clone_and_a_pickle_keep_the_path(tmp_path, clicks):
    model = fast(checkpoint=tmp_path / "run").fit(*clicks)
    assert pickle.loads(pickle.dumps(model)).checkpoint == tmp_path / "run"
    model.save(tmp_path / "model")
    assert sk_dynint.load(tmp_path / "model").checkpoint is None


def long_run(path):
    """A run of some seconds, with an evaluation and a checkpoint every 3 steps."""
    params = {"variant": "da", "n_layers": 2, "n_members": 2, "crosses": None, "max_epochs": 6}
    params |= {"eval_every": 3, "patience": 1000, "random_state": 3}
    return DynIntClassifier(**params, checkpoint=path)


SCRIPT = """
import sys
import torch
from tests.conftest import make_clicks
from tests.estimator.test_checkpoint import long_run
torch.set_num_threads(1)
X, y = make_clicks(4_000, seed=1)
model = long_run(sys.argv[1])
print("begins", flush=True)
model.fit(X, y, resume=True)
"""


@pytest.mark.parametrize(
    ("number", "n_times"),
    [
        (signal.SIGTERM, 2),
        (signal.SIGKILL, 3),
        pytest.param(signal.SIGKILL, 20, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:max_epochs:sklearn.exceptions.ConvergenceWarning")
def test_killed_at_any_moment(number, n_times, tmp_path):
    """Each time after a little work; the file is whole or not there, and the last run ends."""
    X, y = make_clicks(4_000, seed=1)
    whole = long_run(None).fit(X, y)
    path = tmp_path / "run"
    rng = np.random.default_rng(n_times)
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(path)]
    positions = [0]
    for _ in range(n_times):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "begins\n"
            while not path.exists():
                time.sleep(0.01)
            time.sleep(rng.uniform(0.1, 0.6))
            process.send_signal(number)
            assert process.wait(60) == -number
        content = read(path).content
        positions.append(content["state"]["batches"]["0"]["position"])
    assert positions == sorted(positions)
    assert 0 < positions[-1] < whole.n_iter_
    assert_same(long_run(path).fit(X, y, resume=True), whole, X)
