"""The line that tells how far training is, and at its end what was kept; lines of long stages."""

# IPython is typed or not there at all.
# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

LINE = "fit {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"
LAST_LINE = "fit {percentage:3.0f}%|{bar}| {elapsed}{postfix}"

WIDTH = 80
"""Columns of a line where there is no terminal to ask."""

MANY_ROWS = 200_000
"""Rows that take seconds to encode or to predict."""

SCORES = {"valid_auc": "valid AUC", "valid_loss": "valid logloss", "train_loss": "train loss"}
"""Column of the history -> its name; the first that is there and finite is shown."""


class StepProgress:
    """One line over all training steps, with the last score and the best one.

    A terminal has a progress bar, a notebook one output that is updated in place, and any other
    stream, such as a log file, about ten lines.

    Parameters
    ----------
    n_steps : int
        Steps in all.
    first : str, default=""
        What takes its time before the first step; a log does not have it.
    """

    def __init__(self, n_steps: int, first: str = "") -> None:
        bar = NotebookBar if _in_notebook() else tqdm if _in_terminal() else LogBar
        self._bar = bar(total=n_steps, bar_format=LINE, dynamic_ncols=True)
        if first:
            self._bar.set_postfix_str(first)
        self._kept: str | None = None

    def step(self) -> None:
        """Advance by a step."""
        self._bar.update()

    def show(
        self, step: int, row: Mapping[str, Any], best: tuple[int, Mapping[str, Any]] | None = None
    ) -> None:
        """Show the scores at the end of an evaluation period.

        Parameters
        ----------
        step : int
            Steps made.
        row : mapping
            Row of the history.
        best : (int, mapping), default=None
            Step and row of the period whose weights will be kept; None keeps the last ones.
        """
        name, score = _score(row)
        shown, self._kept = f"{name.removeprefix('valid ')} {score}", f"{name} {score}"
        if best is not None:
            name, score = _score(best[1])
            shown += f" (best step {best[0]}: {score})"
            self._kept = f"best step {best[0]}, {name} {score}"
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix_str(shown)

    def close(self, kept: bool = False) -> None:
        """Leave a line that tells what was kept; a second call does nothing.

        Parameters
        ----------
        kept : bool, default=False
            Whether the weights of an evaluation period were kept, so that the bar ends full.
        """
        if self._bar.disable:
            return
        end = "nothing was kept"
        if kept and self._kept is not None:
            end, self._bar.total = self._kept, self._bar.n
        self._bar.bar_format = LAST_LINE
        self._bar.set_postfix_str(f"stopped at step {self._bar.n}; {end}", refresh=False)
        self._bar.close()


class NotebookBar(tqdm):
    """A bar in an output of a notebook, updated in place: an exported notebook has one line."""

    _handle: Any = None

    def __init__(self, **options: Any) -> None:
        options |= {"dynamic_ncols": False, "ncols": WIDTH, "ascii": False, "mininterval": 0.5}
        super().__init__(file=io.StringIO(), **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show the present line."""
        line = {"text/plain": str(self)}
        if self._handle is not None:
            self._handle.update(line, raw=True)
        else:
            from IPython import display  # its kernel is running

            show: Any = display.display  # IPython has no types
            self._handle = show(line, raw=True, display_id=True)


class LogBar(tqdm):
    """A bar in a stream that cannot go back: a line at the first score, then every tenth part."""

    _due = 1.0

    def __init__(self, **options: Any) -> None:
        options |= {"dynamic_ncols": False, "ncols": WIDTH, "ascii": True, "mininterval": np.inf}
        super().__init__(file=io.StringIO(), **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the present line if it is due, or the last one."""
        is_closed = self.disable
        if sys.stderr is not None and (is_closed or self.n >= self._due):
            print(self, file=sys.stderr)
            self._due = self.n + self.total / 10


@contextmanager
def stage(what: str, shown: Any = True) -> Iterator[None]:
    """Context of something that takes seconds, which a line tells if it is `shown`.

    A terminal has the line while it lasts, a notebook adds how long it took, and a log has only the
    line.

    Parameters
    ----------
    what : str
        What is going on.
    shown : object, default=True
        True or false.
    """
    if not shown or sys.stderr is None:
        yield
    elif _in_notebook():
        from IPython.display import display  # its kernel is running

        start = perf_counter()
        handle = display({"text/plain": f"{what} ..."}, raw=True, display_id=True)
        yield
        seconds = perf_counter() - start
        handle.update({"text/plain": f"{what}: {seconds:.0f} s"}, raw=True)
    elif _in_terminal():
        with tqdm(bar_format="{desc}", desc=f"{what} ...", leave=False, dynamic_ncols=True):
            yield
    else:
        print(what, file=sys.stderr)
        yield


def _score(row: Mapping[str, Any]) -> tuple[str, str]:
    """Name and value of the score to show of a row of the history."""
    column = next((c for c in SCORES if np.isfinite(row.get(c, np.nan))), "train_loss")
    return SCORES[column], f"{row[column]:.4f}".removeprefix("0")


def _in_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def _in_notebook() -> bool:
    """Whether a kernel of IPython runs this process, as in Jupyter; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
