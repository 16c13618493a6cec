"""Schedules and the order of batches."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.training import Batches, EncodedData, Schedule

SIZES = {
    "n_rows": st.integers(1, 30),
    "batch_size": st.integers(1, 12),
    "n_passes": st.integers(1, 4),
    "period": st.integers(1, 9),
}


def make_batches(schedule, seed):
    """Batches whose targets are the numbers of the rows."""
    n = schedule.n_rows
    data = EncodedData(np.zeros((n, 1), np.int32), np.arange(n, dtype=float), np.ones(n))
    return Batches(data, schedule, seed)


def periods(batches):
    """Numbers of the rows of every batch, in lists of a period."""
    while batches.position < batches.schedule.n_steps:
        yield [batch.target.tolist() for batch in batches.period()]


@given(**SIZES, seed=st.none() | st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_every_pass_holds_every_row_once(seed, **sizes):
    schedule = Schedule(**sizes)
    found = list(periods(make_batches(schedule, seed)))
    assert [len(period) for period in found[:-1]] == [schedule.period] * (schedule.n_periods - 1)
    batches = [batch for period in found for batch in period]
    assert len(batches) == schedule.n_steps
    for n_pass in range(schedule.n_passes):
        part = batches[n_pass * schedule.steps_in_pass :][: schedule.steps_in_pass]
        assert all(len(batch) == schedule.batch_size for batch in part[:-1])
        rows = [row for batch in part for row in batch]
        assert sorted(rows) == list(range(schedule.n_rows))
        assert seed is not None or rows == sorted(rows)


@given(**SIZES, seed=st.none() | st.integers(0, 99), data=st.data())
@settings(max_examples=60, deadline=None)
def test_continues_at_any_batch(seed, data, **sizes):
    """From its state, or as a pickle: neither holds a generator that runs."""
    schedule = Schedule(**sizes)
    expected = [b for period in periods(make_batches(schedule, seed)) for b in period]
    batches = make_batches(schedule, seed)
    position = data.draw(st.integers(0, schedule.n_steps - 1))
    while batches.position < position:
        for _ in batches.period():
            if batches.position == position:
                break
    state = batches.state_dict()
    assert state == {"seed": seed, "position": position}
    again = make_batches(schedule, None)
    again.load_state_dict(state)
    for continued in (again, pickle.loads(pickle.dumps(again))):
        assert [b for period in periods(continued) for b in period] == expected[position:]


def test_orders_are_the_permutations_of_one_generator():
    schedule = Schedule(n_rows=20, batch_size=20, n_passes=3, period=1)
    generator = torch.Generator().manual_seed(7)
    for (found,) in periods(make_batches(schedule, 7)):
        assert found == torch.randperm(20, generator=generator).tolist()


@pytest.mark.parametrize(
    ("n_rows", "validates", "expected"), [(100_000, True, 25), (100_000, False, 98), (999, True, 2)]
)
def test_planned_periods(n_rows, validates, expected):
    assert Schedule.planned(n_rows, 1_024, 2, None, validates=validates).period == expected
    assert Schedule.planned(n_rows, 1_024, 2, 3, validates=validates).period == 3
