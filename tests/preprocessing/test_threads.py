"""The same indices and the same encoder, whatever the number of threads."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sk_dynint._warnings import warnings_ignored
from sk_dynint.preprocessing import FieldEncoder, _threads

from .test_encoder import BINNINGS, ROWS, assert_same_encoder, make_frame
from .test_levels import STORES


@contextmanager
def threads(n_threads):
    """Share columns among so many threads, however short they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "MIN_ROWS_FOR_THREADS", 1)
        patch.setattr(_threads, "_openmp_effective_n_threads", lambda: n_threads)
        yield


@settings(deadline=None, max_examples=30)
@given(rows=ROWS, binning=BINNINGS, n_threads=st.integers(2, 5), data=st.data())
def test_threads_make_no_difference(rows, binning, n_threads, data):
    X = pd.concat([make_frame(rows).add_suffix(str(i)) for i in range(5)], axis=1)
    weights = st.none() | st.lists(st.floats(0.1, 3), min_size=len(X), max_size=len(X))
    weight = data.draw(weights)
    alone = FieldEncoder(binning=binning, n_bins=4)
    encoded = alone.fit_transform(X, sample_weight=weight)
    with threads(n_threads):
        shared = clone(alone).fit(X, sample_weight=weight)
        one_pass = clone(alone)
        np.testing.assert_array_equal(one_pass.fit_transform(X, sample_weight=weight), encoded)
        np.testing.assert_array_equal(one_pass.transform(X), encoded)
    assert_same_encoder(shared, alone)
    assert_same_encoder(one_pass, alone)


@pytest.mark.parametrize("n_threads", [2, 5])
@pytest.mark.parametrize("n_columns", [1, 7, 8, 9, 40])
def test_any_number_of_columns(n_threads, n_columns):
    """Columns of the matrix are filled some at a time, rows too."""
    rng = np.random.default_rng(n_columns)
    n_samples = 3_000
    stores = [STORES[name] for name in ("object", "str", "string[pyarrow]", "category")]
    X = pd.concat(
        [
            stores[j % 4](rng.integers(0, 4 + 50 * j, n_samples).astype(str).tolist())
            for j in range(n_columns)
        ],
        axis=1,
    ).set_axis([f"c{j}" for j in range(n_columns)], axis=1)
    alone = FieldEncoder()
    encoded = alone.fit_transform(X)
    by_column = [FieldEncoder().fit_transform(X[[name]]) for name in X]
    np.testing.assert_array_equal(encoded, np.hstack(by_column))
    with threads(n_threads):
        shared = FieldEncoder()
        np.testing.assert_array_equal(shared.fit_transform(X), encoded)
        np.testing.assert_array_equal(shared.transform(X), encoded)
        np.testing.assert_array_equal(shared.transform(X[:500]), encoded[:500])
    assert_same_encoder(shared, alone)


def test_an_error_is_that_of_the_first_column():
    X = pd.DataFrame({"a": ["x", "y"], "b": [{}, {}], "c": [{}, {}]})
    with threads(2), pytest.raises(TypeError, match="column 'b' holds something else"):
        FieldEncoder().fit(X)


def test_who_works():
    """Threads of their own, unless columns are short or OpenMP is held to one thread."""

    def workers(n_samples):
        with _threads.column_threads(n_samples) as map_columns:
            return set(map_columns(lambda _: threading.get_ident(), range(9)))

    here = {threading.get_ident()}
    with threads(2):
        assert not here & workers(100)
    assert workers(100) == here
    with threadpool_limits(1, "openmp"):
        assert workers(10**6) == here


def test_warnings_stay_ignored_while_other_threads_come_and_go():
    """Whoever came first puts his filters back, so the second has to wait."""
    filters = list(warnings.filters)
    inside, left = threading.Event(), threading.Event()

    def second():
        with warnings_ignored("an old"):
            inside.set()
            left.wait(10)
            warnings.warn("an old option", stacklevel=1)

    with ThreadPoolExecutor(1) as pool:
        with warnings_ignored("an old"):
            done = pool.submit(second)
            inside.wait(0.1)
        left.set()
        done.result()
    assert list(warnings.filters) == filters
    with warnings_ignored("an old"), pytest.raises(UserWarning, match="another"):
        warnings.warn("another", stacklevel=1)
