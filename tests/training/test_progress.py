"""The line of progress: in a terminal, a notebook and a log file, and how it ends."""

import io
import os
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from skorch.callbacks import Callback

from sk_dynint import _base, _net
from sk_dynint.training._progress import StepProgress, stage
from sk_dynint.training._run import Run
from tests.conftest import fast

STOPPED = {"lr": 0.5, "max_epochs": 60, "patience": 3, "early_stopping": True, "verbose": 1}
BAR = r"fit +\d+%\|[#█ ▏▎▍▌▋▊▉\d]+\| \d+/\d+ \[[\d:]+<[\d:?]+\]"
FIRST = r"(, compiling loops \(once\))?"
SUMMARY = r"stopped at step (\d+); best step (\d+), valid AUC (\.\d{4})"


class Terminal(io.StringIO):
    """A stream that is a terminal of 80 columns, and keeps what is written to it."""

    def __init__(self):
        super().__init__()
        pty, termios = (pytest.importorskip(name) for name in ("pty", "termios"))
        self.descriptors = pty.openpty()
        termios.tcsetwinsize(self.fileno(), (25, 80))

    def fileno(self):
        return self.descriptors[1]

    def isatty(self):
        return True

    def close(self):
        super().close()
        while self.descriptors:
            *self.descriptors, last = self.descriptors
            os.close(last)

    def lines(self):
        """What the one line has shown, one after the other."""
        shown = [line.strip() for line in re.split(r"[\r\n]", self.getvalue())]
        return [line for line in shown if line]


def as_stderr(monkeypatch, stream):
    """Let a stream be standard error."""
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


class Notebook:
    """Outputs of a notebook; what each of them has shown."""

    def __init__(self):
        self.outputs = []

    def display(self, data, raw, display_id):
        assert raw
        assert display_id is True
        shown = [data]
        self.outputs.append(shown)
        return SimpleNamespace(update=lambda data, raw: shown.append(data))


def fake_ipython(monkeypatch, notebook, **shell):
    """Let IPython look as if it were imported."""
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(**shell)
    display.display = notebook.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)


def check_summary(line, model):
    """Check that a line is full and says what the model has kept."""
    assert re.match(r"fit 100%\|[#█]+\| [\d:]+, stopped", line)
    stop, best, auc = re.search(SUMMARY + "$", line).groups()
    row = model.history_.set_index("step").loc[model.best_step_]
    assert (int(stop), int(best)) == (model.n_iter_, model.best_step_)
    assert float(auc) == pytest.approx(row["valid_auc"], abs=1e-4)


def test_a_terminal_has_one_line_of_80_columns_that_ends_full(many_clicks, monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    model = fast(**STOPPED).fit(*many_clicks)
    assert model.n_iter_ < 60 * 29  # stopped early
    assert terminal.getvalue().count("\n") == 1
    *lines, last = terminal.lines()
    assert all(len(line) <= 80 for line in [*lines, last])
    assert re.fullmatch(BAR + FIRST, lines[0])
    assert re.fullmatch(BAR + r", AUC \.\d{4} \(best step \d+: \.\d{4}\)", lines[-1])
    check_summary(last, model)


def test_a_notebook_has_one_output(many_clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    notebook = Notebook()
    fake_ipython(monkeypatch, notebook, kernel=object())
    model = fast(**STOPPED).fit(*many_clicks)
    (shown,) = notebook.outputs
    assert all(set(data) == {"text/plain"} for data in shown)
    lines = [data["text/plain"] for data in shown]
    assert all(len(line) <= 80 and "\n" not in line for line in lines)
    assert re.match(BAR + r", AUC \.\d{4} \(best step", lines[-2])
    check_summary(lines[-1], model)
    assert log.getvalue() == ""


def test_a_shell_of_ipython_without_a_kernel_is_a_terminal(many_clicks, monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    notebook = Notebook()
    fake_ipython(monkeypatch, notebook)
    model = fast(**STOPPED).fit(*many_clicks)
    assert notebook.outputs == []
    check_summary(terminal.lines()[-1], model)


def test_ipython_is_not_imported(clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    monkeypatch.setitem(sys.modules, "IPython.display", None)  # importing it would raise
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    fast(verbose=1).fit(*clicks)
    assert log.getvalue()
    assert "IPython" not in sys.modules


def test_a_log_has_few_lines(many_clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    model = fast(lr=0.01, max_epochs=20, patience=99, early_stopping=True, verbose=1)
    model.fit(*many_clicks)
    assert len(model.history_) > 60
    *lines, last = log.getvalue().splitlines()
    assert 5 <= len(lines) <= 11
    for line in lines:
        assert len(line) <= 80
        assert re.fullmatch(BAR + r", AUC \.\d{4} \(best step \d+: \.\d{4}\)", line)
    check_summary(last, model)


def test_without_standard_error_nothing_is_shown(clicks, monkeypatch, capsys):
    """As in a program without a console."""
    monkeypatch.setattr(sys, "stderr", None)
    fast(verbose=1).fit(*clicks)
    with stage("something"):
        pass
    assert capsys.readouterr().out == ""


def test_without_validation_rows_the_training_loss_is_told(clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    model = fast(early_stopping=False, verbose=1).fit(*clicks)
    *lines, last = log.getvalue().splitlines()
    loss = f"{model.history_['train_loss'].iloc[-1]:.4f}".removeprefix("0")
    assert re.search(r"\], train loss \.\d{4}$", lines[0])
    assert last.startswith("fit 100%")
    assert last.endswith(f", stopped at step {model.n_iter_}; train loss {loss}")


def test_validation_rows_of_one_class_have_no_auc(clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    X, y = clicks
    fast(verbose=1).fit(X, y, X_val=X[y == 0], y_val=y[y == 0])
    assert re.search(r"best step \d+, valid logloss \.\d{4}\n$", log.getvalue())


def test_quiet_without_verbose(clicks, monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    fast().fit(*clicks)
    assert terminal.getvalue() == ""


# --- runs that do not end by themselves


class Interrupt(Callback):
    """A user's Ctrl-C after a number of steps."""

    def __init__(self, step):
        self.left = step

    def on_batch_end(self, net, training=False, **kwargs):
        self.left -= training
        if self.left == 0:
            raise KeyboardInterrupt


def test_interrupt_after_a_period(many_clicks, monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    model = fast(**STOPPED | {"lr": 0.01}, eval_every=10, callbacks=[Interrupt(25)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(*many_clicks)
    last = terminal.lines()[-1]
    assert last.startswith("fit 100%")
    assert re.search(rf"stopped at step 25; best step {model.best_step_}, valid AUC", last)


def test_interrupt_of_the_first_period_keeps_nothing(many_clicks, monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    model = fast(**STOPPED, eval_every=100, callbacks=[Interrupt(25)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(*many_clicks)
    assert re.match(r"fit +1%\|.+, stopped at step 25; nothing was kept$", terminal.lines()[-1]), (
        terminal.lines()[-1]
    )


@pytest.mark.filterwarnings("ignore:patience=99 makes no difference:UserWarning")
@pytest.mark.parametrize("early_stopping", [True, False])
def test_divergence(many_clicks, monkeypatch, early_stopping):
    log = as_stderr(monkeypatch, io.StringIO())
    step, n = Run.step, [0]

    def spoil(self, batch, on_gradients=None):
        n[0] += 1
        if n[0] == 100:
            self.engine.module.bias.data.fill_(np.nan)
        return step(self, batch, on_gradients)

    monkeypatch.setattr(Run, "step", spoil)
    model = fast(**STOPPED | {"patience": 99, "early_stopping": early_stopping}, eval_every=10)
    if early_stopping:
        with pytest.warns(UserWarning, match="became nan"):
            model.fit(*many_clicks)
        check = rf"100%.*stopped at step 100; best step {model.best_step_}, valid AUC \.\d+\n$"
    else:
        with pytest.raises(ValueError, match="became nan"):
            model.fit(*many_clicks)
        check = r"fit   \d%.*stopped at step 100; nothing was kept\n$"
    assert re.search(check, log.getvalue())


def test_warm_start_counts_the_steps_of_each_fit(clicks, monkeypatch):
    log = as_stderr(monkeypatch, io.StringIO())
    X, y = clicks
    model = fast(warm_start=True, verbose=1, early_stopping=True).fit(X, y)
    n_steps, history = model.n_iter_, model.history_
    log.truncate(0)
    model.fit(X, y)
    assert model.n_iter_ == 2 * n_steps
    stop, best, _ = re.search(SUMMARY, log.getvalue()).groups()
    assert int(stop) == n_steps
    assert int(best) == model.best_step_ - history["step"].iloc[-1]


def test_a_long_run_still_shows_the_auc_in_80_columns(monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    progress = StepProgress(1_392_000)
    row = {"train_loss": 0.5, "valid_loss": 0.5, "valid_auc": 0.7581}
    progress.show(583_000, row, (464_000, row | {"valid_auc": 0.7599}))
    progress.close(kept=True)
    *_, line, last = terminal.lines()
    assert line.endswith(", AUC .7581 (best step 464000: .7599)")
    assert last.endswith("stopped at step 583000; best step 464000, valid AUC .7599")
    assert max(len(line), len(last)) <= 80


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_members", [1, 3])
def test_members_and_classes_share_a_line(many_clicks, monkeypatch, n_members, n_classes):
    terminal = as_stderr(monkeypatch, Terminal())
    X, y = many_clicks
    y = y if n_classes == 2 else y + (X.iloc[:, 0] == X.iloc[0, 0])
    model = fast(**STOPPED | {"max_epochs": 2}, n_members=n_members).fit(X, y)
    assert terminal.getvalue().count("\n") == 1
    check_summary(terminal.lines()[-1], model)


# --- what else takes seconds


def test_a_terminal_forgets_a_stage(monkeypatch):
    terminal = as_stderr(monkeypatch, Terminal())
    with stage("encoding"):
        assert terminal.lines() == ["encoding ..."]
    assert "\n" not in terminal.getvalue()
    assert re.search(r"\r +\r$", terminal.getvalue())


def test_a_notebook_tells_how_long_a_stage_took(monkeypatch):
    notebook = Notebook()
    fake_ipython(monkeypatch, notebook, kernel=object())
    with stage("encoding"):
        pass
    assert notebook.outputs == [[{"text/plain": "encoding ..."}, {"text/plain": "encoding: 0 s"}]]


@pytest.mark.parametrize("verbose", [0, 1])
def test_stages_of_a_classifier(many_clicks, monkeypatch, tmp_path, verbose):
    pytest.importorskip("onnxscript")
    log = as_stderr(monkeypatch, io.StringIO())
    X, y = many_clicks
    monkeypatch.setattr(_base, "MANY_ROWS", len(X))
    monkeypatch.setattr(_net, "write_onnx", lambda *args, **options: None)
    model = fast(crosses="auto", early_stopping=False, verbose=verbose).fit(X, y)
    model.predict(X)
    model.predict(X[:-1])
    model.to_onnx(tmp_path / "model.onnx", raw_inputs=False)
    if verbose:
        lines = log.getvalue().splitlines()
        *stages, last = [line for line in lines if not line.startswith("fit ")]
        assert stages[0] == "fit: looking for crosses"
        assert stages[-2:] == [f"fit: encoding {len(X):,} rows", f"predict: {len(X):,} rows"]
        assert last == f"to_onnx: writing {tmp_path / 'model.onnx'}"
    else:
        assert log.getvalue() == ""
