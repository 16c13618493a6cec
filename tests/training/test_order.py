"""Rows on the disk are shuffled in windows of blocks: each of them once a pass."""

import numpy as np
import pytest
import torch

from sk_dynint.training import Batches, EncodedData, MemberData, Schedule, _order
from sk_dynint.training._schedule import MemberBatches


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_order, "BLOCK_ROWS", 16)


def numbered(n, window):
    data = EncodedData(np.arange(n, dtype=np.int32)[:, None], np.zeros(n), np.ones(n))
    data.window = window
    return data


def drawn(batches, n_steps):
    return [batches.draw().indices[:, 0].numpy() for _ in range(n_steps)]


@pytest.mark.parametrize(("n", "window", "size"), [(1000, 200, 50), (1003, 130, 32), (64, 10, 20)])
def test_each_row_once_a_pass(n, window, size):
    schedule = Schedule(n, size, 3, 5)
    batches = Batches(numbered(n, window), schedule, seed=7)
    passes = []
    for _ in range(3):
        steps = drawn(batches, schedule.steps_in_pass)
        assert [len(step) for step in steps[:-1]] == [size] * (schedule.steps_in_pass - 1)
        passes.append(np.concatenate(steps))
        assert np.array_equal(np.sort(passes[-1]), np.arange(n))
    assert not np.array_equal(passes[0], passes[1])


def test_a_window_holds_whole_blocks_from_anywhere():
    batches = Batches(numbered(1600, 160), Schedule(1600, 40, 1, 5), seed=0)
    rows = np.concatenate(drawn(batches, 4))
    blocks = np.unique(rows // 16)
    assert len(blocks) == 10
    assert np.ptp(blocks) > 20
    assert not (np.diff(rows) > 0).all()


def test_same_seed_same_rows_from_any_step():
    schedule = Schedule(1003, 32, 2, 5)
    whole = drawn(Batches(numbered(1003, 130), schedule, seed=3), schedule.n_steps)
    for step in (1, 9, 32, 33, 40):
        later = Batches(numbered(1003, 130), schedule)
        later.load_state_dict({"seed": 3, "position": step})
        for a, b in zip(whole[step:], drawn(later, schedule.n_steps - step), strict=True):
            assert np.array_equal(a, b)
    other = drawn(Batches(numbered(1003, 130), schedule, seed=4), 1)[0]
    assert not np.array_equal(whole[0], other)


def test_rows_that_fit_in_a_window_are_shuffled_as_in_memory():
    schedule = Schedule(500, 32, 2, 5)
    steps = [drawn(Batches(numbered(500, w), schedule, seed=3), 32) for w in (None, 500, 10**6)]
    for others in steps[1:]:
        assert all(map(np.array_equal, steps[0], others))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(3))
    assert np.array_equal(steps[0][0], order[:32])


def test_members_share_the_window():
    rows = [np.arange(0, 900), np.arange(100, 1000)]
    batches = MemberBatches(MemberData(numbered(1000, 200), rows), Schedule(900, 30, 1, 5), seed=0)
    steps = [batches.draw() for _ in range(30)]
    for member, expected in enumerate(rows):
        seen = np.concatenate([step[member].indices[:, 0].numpy() for step in steps])
        assert np.array_equal(np.sort(seen), expected)
        assert len(np.unique(seen[:90] // 16)) < 12  # a window of 90 rows
