"""How long training takes, and which rows come when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from sk_dynint.engine import Batch, MemberBatch
from sk_dynint.training._data import EncodedData, MemberData
from sk_dynint.training._order import WholeOrder, WindowOrder, order_of

FULL_BATCH_MAX_ROWS = 128
"""Up to so many rows, `batch_size="auto"` trains on all of them at once, sorted and in float64, so
that the result depends neither on the order of rows nor on whether a weight is written as repeated
rows; and `early_stopping="auto"` sets no validation rows aside."""

MIN_PERIOD = 2
"""Steps between two evaluations, at least.  With 8, tables of 400 to 3,200 rows often passed the
best step between two evaluations: test logloss .004 higher (docs/benchmarks.md)."""


def auto_batch_size(n_rows: int) -> int:
    """Rows in a batch for about 300 steps in a pass, from 128 to 1024."""
    return int(np.clip(2 ** round(np.log2(n_rows / 300)), 128, 1024))


def number_of_members(asked: int | Literal["auto"], n_rows: float = np.inf) -> int:
    """Return the number of members for so many rows; where rows are few, more members pay."""
    if asked == "auto":
        return 8 if n_rows < 10_000 else 4
    return asked


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

    @classmethod
    def planned(
        cls, n_rows: int, batch_size: int, n_passes: int, period: int | None, *, validates: bool
    ) -> Self:
        """Choose the period if it is None.

        There are four evaluations in a pass if there are any rows to evaluate, but at least
        `MIN_PERIOD` steps between them; otherwise a period is a pass.
        """
        steps = -(-n_rows // batch_size)
        by_default = max(-(-steps // 4), MIN_PERIOD) if validates else steps
        return cls(n_rows, batch_size, n_passes, period or by_default)

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

    The order of the rows in a pass follows from the seed and the number of the pass, see
    :mod:`sk_dynint.training._order`.  The state is therefore two numbers.

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
        self._order: WholeOrder | WindowOrder | None = None

    def is_finished(self) -> bool:
        """Whether all batches of all passes have been handed out."""
        return self.position >= self.schedule.n_steps

    def is_at_end_of_period(self) -> bool:
        """Whether the last batch of an evaluation period has been handed out."""
        return self.is_finished() or self.position % self.schedule.period == 0

    def period(self) -> Iterator[Batch]:
        """Yield the batches up to the end of the evaluation period."""
        n = self.schedule.period
        end = min((self.position // n + 1) * n, self.schedule.n_steps)
        while self.position < end:
            yield self.draw()

    def draw(self) -> Batch:
        """Return the next batch."""
        n_pass, step = divmod(self.position, self.schedule.steps_in_pass)
        self.position += 1
        size = self.schedule.batch_size
        if self.seed is None:
            return self.data.take(slice(step * size, (step + 1) * size))
        if self._order is None:
            self._order = order_of(self.data, size, self.seed)
        return self._order.batch(n_pass, step)

    def state_dict(self) -> dict[str, Any]:
        """Return the seed and the number of batches that have been handed out."""
        return {"seed": self.seed, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batches that had been handed out."""
        self.seed, self.position = state["seed"], state["position"]
        self._order = None


class MemberBatches(Batches):
    """The batches of the members of an ensemble, each with its own rows in its own order.

    Parameters
    ----------
    data : MemberData
        Rows of all members.
    schedule : Schedule
        How long to train; a member with fewer rows begins its next pass earlier.
    seed : int, default=None
        The first member's; those that follow have the next numbers.
    """

    def __init__(self, data: MemberData, schedule: Schedule, seed: int | None = None) -> None:
        self.data = data  # type: ignore[assignment]
        self.schedule = schedule
        self.members = [
            Batches(
                part,  # type: ignore[arg-type]
                replace(schedule, n_rows=len(part)),
                None if seed is None else seed + number,
            )
            for number, part in enumerate(data.parts)
        ]

    @property
    def position(self) -> int:  # type: ignore[override]
        """Number of steps that have been handed out."""
        return self.members[0].position

    def draw(self) -> MemberBatch:  # type: ignore[override]
        """Return the next batch of each member."""
        return MemberBatch(member.draw() for member in self.members)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the members' batches."""
        return {str(number): b.state_dict() for number, b in enumerate(self.members)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the batches that had been handed out."""
        for number, batches in enumerate(self.members):
            batches.load_state_dict(state[str(number)])
