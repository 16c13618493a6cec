"""How long training takes, and which rows come when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sk_dynint.engine import Batch
from sk_dynint.training._data import EncodedData


@dataclass(frozen=True)
class Schedule:
    """Numbers of rows, steps and evaluation periods of a run.

    Parameters
    ----------
    n_rows : int
        Rows of the training part.
    batch_size : int
        Rows in a step; the last step of a pass may have fewer.
    n_passes : int
        Passes over the rows (epochs), at most.
    period : int
        Steps between two evaluations; an evaluation period may span passes.

    Examples
    --------
    >>> schedule = Schedule(n_rows=1_000, batch_size=128, n_passes=3, period=5)
    >>> schedule.steps_in_pass, schedule.n_steps, schedule.n_periods
    (8, 24, 5)
    """

    n_rows: int
    batch_size: int
    n_passes: int
    period: int

    @property
    def steps_in_pass(self) -> int:
        """Steps in a pass over the rows."""
        return -(-self.n_rows // self.batch_size)

    @property
    def n_steps(self) -> int:
        """Steps in all."""
        return self.n_passes * self.steps_in_pass

    @property
    def n_periods(self) -> int:
        """Evaluations in all; the last period may be shorter."""
        return -(-self.n_steps // self.period)


class Batches:
    """The batches of all passes over encoded data, counted.

    The order of the rows in a pass follows from the seed and the number of the pass: it is the
    permutation that a generator with that seed draws after those of the earlier passes.  The state
    is therefore two numbers.

    Parameters
    ----------
    data : EncodedData
        Rows to go over.
    schedule : Schedule
        How many of them, and how often.
    seed : int, default=None
        Asks for another order of rows in each pass; None means the order in which they stand.
    """

    def __init__(self, data: EncodedData, schedule: Schedule, seed: int | None = None) -> None:
        self.data = data
        self.schedule = schedule
        self.seed = seed
        self.position = 0
        self._pass = -1

    def period(self) -> Iterator[Batch]:
        """Yield the batches up to the end of the evaluation period."""
        steps, n = self.schedule.steps_in_pass, self.schedule.period
        end = min((self.position // n + 1) * n, self.schedule.n_steps)
        while self.position < end:
            n_pass, step = divmod(self.position, steps)
            rows = self._rows(n_pass, step)
            self.position += 1
            yield self.data.take(rows)

    def _rows(self, n_pass: int, step: int) -> slice | Tensor:
        """Positions of the rows of a step."""
        size = self.schedule.batch_size
        if self.seed is None:
            return slice(step * size, (step + 1) * size)
        if n_pass != self._pass:
            self._draw_order(n_pass)
        return self._order[step]

    def _draw_order(self, n_pass: int) -> None:
        """Draw the orders of all passes up to this one that have not been drawn yet."""
        if self._pass < 0:
            self._generator = torch.Generator().manual_seed(self.seed or 0)
        for _ in range(self._pass, n_pass):
            order = torch.randperm(len(self.data), generator=self._generator)
        self._order = torch.split(order, self.schedule.batch_size)
        self._pass = n_pass

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the number of batches that have been handed out."""
        return {"seed": self.seed, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batches that had been handed out."""
        self.seed, self.position = state["seed"], state["position"]
        self._pass = -1
