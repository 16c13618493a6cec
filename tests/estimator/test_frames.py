"""Frames of any content: what a row is depends on nothing but the row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder
from sk_dynint._warnings import warnings_ignored
from tests.conftest import fast
from tests.frames import COLUMNS, frames

REFUSALS = (ValueError, TypeError)
"""What `fit` raises of what it does not take."""


def fitted(estimator, X, *y):
    """Fit, or give the example up if the frame is refused."""
    try:
        return estimator.fit(X, *y)
    except REFUSALS:
        assume(False)


def containers(X):
    """The same rows, otherwise stored."""
    yield "copies", X.copy()
    yield "another index", X.reset_index(drop=True)
    yield "objects", X.astype(object)
    yield "sliced", pd.concat([X, X.iloc[::-1]]).iloc[: len(X)]
    yield "every second", X.iloc[np.repeat(np.arange(len(X)), 2)].iloc[::2]
    yield "dicts", X.to_dict("records")


@pytest.mark.parametrize("kind", COLUMNS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_index_of_a_cell_depends_on_the_cell(kind, data):
    X = data.draw(frames(kinds=[kind]))
    options = data.draw(st.sampled_from([{}, {"categorical_features": "all"}, {"min_count": 3}]))
    with warnings_ignored():
        check(X, FieldEncoder(**options), data.draw(st.randoms(use_true_random=False)))


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(X=frames(), random=st.randoms(use_true_random=False))
def test_the_index_of_a_cell_in_frames_of_all_kinds(X, random):
    with warnings_ignored():
        check(X, FieldEncoder(), random)


def check(X, encoder, random):
    """Encode rows alone, in another order, and otherwise stored."""
    before = X.copy()
    encoder = fitted(encoder, X)
    indices = encoder.transform(X)
    pd.testing.assert_frame_equal(X, before)
    assert indices.shape[0] == len(X)
    assert (indices < encoder.cardinalities_[encoder.slots_]).all()
    np.testing.assert_array_equal(fitted(encoder, X).transform(X), indices)
    order = random.sample(range(len(X)), len(X))
    np.testing.assert_array_equal(encoder.transform(X.iloc[order]), indices[order])
    for i in order[:5]:
        np.testing.assert_array_equal(encoder.transform(X.iloc[[i]])[0], indices[i])
        row = {name: column.iloc[i] for name, column in X.items()}  # X.iloc[i] makes floats of ids
        np.testing.assert_array_equal(encoder.transform(row)[0], indices[i])
    for name, other in containers(X):
        np.testing.assert_array_equal(encoder.transform(other), indices, err_msg=name)
    again = encoder.transform(encoder.inverse_transform(indices))
    known = indices[:, : X.shape[1]] > 0
    np.testing.assert_array_equal(again[:, : X.shape[1]][known], indices[:, : X.shape[1]][known])


@settings(max_examples=12, deadline=None)
@given(X=frames(24, 60), seed=st.integers(0, 9))
def test_predictions_of_rows_alone(X, seed):
    predict_alone(X, seed)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(X=frames(24, 300), seed=st.integers(0, 9))
def test_predictions_of_rows_alone_in_many_frames(X, seed):
    predict_alone(X, seed)


def predict_alone(X, seed):
    """Fit twice; predict in a batch and row by row."""
    y = np.random.default_rng(seed).permutation(len(X)) % 2
    with warnings_ignored():
        model = fitted(fast(max_epochs=1), X, y)
        proba = model.predict_proba(X)
        assert np.isfinite(proba).all()
        np.testing.assert_array_equal(fast(max_epochs=1).fit(X, y).predict_proba(X), proba)
        for i in range(0, len(X), 7):
            alone = model.predict_proba(X.iloc[[i]])
            np.testing.assert_allclose(alone[0], proba[i], rtol=0, atol=1e-6)


ARRAYS = {
    "in the order of columns": np.asfortranarray,
    "backwards": lambda a: a[::-1].copy()[::-1],
    "every second": lambda a: np.repeat(a, 2, axis=0)[::2],
    "a part": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "other bytes": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "float32": lambda a: a.astype(np.float32),
}


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.integers(-4, 5, (300, 4)) / 4
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, rng.integers(0, 2, 300)


@pytest.mark.parametrize("form", ARRAYS)
def test_arrays_otherwise_stored(table, form):
    X, y = table
    expected = fast().fit(X, y).predict_proba(X)
    other = ARRAYS[form](X)
    before = other.copy()
    np.testing.assert_array_equal(fast().fit(other, y).predict_proba(other), expected)
    np.testing.assert_array_equal(other, before)


def test_what_must_not_be_written(table, tmp_path):
    """Mapped files, frozen arrays, and frames of these."""
    X, y = table
    model = fast().fit(X, y)
    expected = model.partial_fit(X, y).predict_proba(X)
    mapped = []
    for name, array in (("x", X), ("y", y), ("w", np.ones(len(y)))):
        np.save(tmp_path / f"{name}.npy", array)
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
        array.flags.writeable = False
    for data, target, weight in (mapped, (X, y, None), (pd.DataFrame(mapped[0]), y, mapped[2])):
        model = fast().fit(data, target, sample_weight=weight)
        model.partial_fit(data, target, sample_weight=weight)
        np.testing.assert_array_equal(model.predict_proba(data), expected)
    indices = model.encoder_.transform(X)
    indices.flags.writeable = False
    assert model.encoder_.inverse_transform(indices).shape == X.shape
