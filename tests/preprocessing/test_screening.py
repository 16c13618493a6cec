"""The search for crosses: against a plain reference, on planted crosses, and on noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.preprocessing import _screening, find_crosses
from sk_dynint.preprocessing._screening import MAX_SHIFT, N_FOLDS, SHRINKAGE, _Rows, _shifts


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def shifts_by_loops(rows, columns):
    """The shift of each row, level by level, from the rows of other folds."""
    n = len(rows.fold)
    weight = [w if fold < N_FOLDS else 0.0 for w, fold in zip(rows.weight, rows.fold, strict=True)]
    out = np.empty_like(rows.logits)
    for c, (y, z) in enumerate(zip(rows.indicators, rows.logits, strict=True)):
        p = [sigmoid(value) for value in z]
        variance = sum(w * q * (1 - q) for w, q in zip(weight, p, strict=True)) / sum(weight)
        for i in range(n):
            number, excess = SHRINKAGE, 0.0
            for k in range(n):
                same = all(rows.indices[i, j] == rows.indices[k, j] for j in columns)
                if same and rows.fold[k] != rows.fold[i]:
                    number += weight[k]
                    excess += weight[k] * (y[k] - p[k])
            out[c, i] = min(max(excess / (variance * number), -MAX_SHIFT), MAX_SHIFT)
    return out


@given(n=st.integers(12, 40), n_classes=st.sampled_from([1, 3]), seed=st.integers(0, 999))
@settings(deadline=None, max_examples=25)
def test_shifts_are_those_of_a_plain_reference(n, n_classes, seed):
    rng = np.random.default_rng(seed)
    rows = _Rows(
        rng.integers(0, 3, (n, 3)).astype(np.int32),
        np.arange(n) % (N_FOLDS + 1),
        rng.random(n) + 0.1,
        rng.integers(0, 2, (n_classes, n)).astype(float),
        rng.normal(size=(n_classes, n)),
    )
    for columns in [(0,), (0, 2), (0, 1, 2)]:
        np.testing.assert_allclose(_shifts(rows, columns), shifts_by_loops(rows, columns))


def make(effect, n=6_000, seed=0):
    """Five columns of six levels, all with main effects; `effect` of the columns is added."""
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 6, (n, 5)).astype(np.int32)
    logit = (rng.normal(scale=0.5, size=(5, 6))[np.arange(5), indices]).sum(1) + effect(indices)
    return indices, (rng.random(n) < sigmoid(logit)).astype(float)


def pair(x):
    table = np.random.default_rng(5).normal(scale=1.5, size=(6, 6))
    return table[x[:, 1], x[:, 3]]


def triple(x):
    table = np.random.default_rng(6).normal(scale=1.5, size=(6, 6, 6))
    return table[x[:, 0], x[:, 2], x[:, 4]]


def test_finds_the_planted_pair_and_confirms_it():
    found = find_crosses(*make(pair))
    assert found[0].columns == (1, 3)
    assert found[0].is_kept
    assert found[0].gain > 0.02
    assert found[0].confirmed > found[0].error > 0
    assert not any(each.is_kept for each in found[1:])


def test_finds_a_planted_triple_by_way_of_its_pairs():
    found = find_crosses(*make(triple, n=40_000))
    assert (0, 2, 4) in [each.columns for each in found if each.is_kept]


@pytest.mark.parametrize("seed", range(5))
def test_main_effects_alone_ask_for_no_cross(seed):
    found = find_crosses(*make(lambda x: 0.0, seed=seed))
    assert not any(each.is_kept for each in found)


def test_rows_of_the_caller_confirm():
    indices, target = make(pair)
    rng = np.random.default_rng(0)
    later = indices.copy(), rng.permutation(target), np.ones(len(target))  # the pair means nothing
    found = find_crosses(indices, target, confirming=later)
    assert found[0].columns == (1, 3)
    assert not found[0].is_kept


def test_a_cross_that_tells_the_moment_is_refused():
    """Two columns that name the day together; each day has a rate of its own, and so have later."""
    rng = np.random.default_rng(0)
    week, weekday = rng.integers(0, 40, 12_000), rng.integers(0, 7, 12_000)
    late = week >= 30
    rates = rng.normal(scale=1.5, size=(40, 7))
    rates[30:] = 0.15 * rates[:10] + rng.normal(
        scale=1.5, size=(10, 7)
    )  # the week of another month
    target = (rng.random(12_000) < sigmoid(rates[week, weekday])).astype(float)
    indices = np.column_stack([week % 30, weekday, rng.integers(0, 5, 12_000)]).astype(np.int32)
    later = indices[late], target[late], np.ones(late.sum())
    found = find_crosses(indices[~late], target[~late], confirming=later)
    assert found[0].columns == (0, 1)
    assert found[0].gain > 0.05
    assert not any(each.is_kept for each in found)


def test_equal_weights_choose_the_same_cross():
    indices, target = make(pair, n=2_000)
    weighted = find_crosses(indices, target, np.full(2_000, 3.0))
    assert weighted[0].columns == find_crosses(indices, target)[0].columns


def test_more_than_two_classes():
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 5, (4_000, 4)).astype(np.int32)
    target = (indices[:, 0] + indices[:, 2] + (rng.random(4_000) < 0.2)) % 3.0
    found = find_crosses(indices, target)
    assert found[0].columns == (0, 2)
    assert found[0].is_kept


def test_many_rows_are_sampled(monkeypatch):
    monkeypatch.setattr(_screening, "MAX_ROWS", (1_000, 3_000))
    assert find_crosses(*make(pair))[0].columns == (1, 3)


def test_constant_columns_are_of_no_use():
    indices, target = make(pair, n=2_000)
    indices[:, 0] = 2
    assert all(0 not in each.columns for each in find_crosses(indices, target))
