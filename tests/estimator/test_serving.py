"""A fitted classifier at work: several threads at once, arrays for frames, nothing left of fit."""

import gc
import pickle
import sys
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

from sk_dynint import BaselineClassifier, DynIntClassifier, _version
from tests.conftest import fast, make_clicks


@pytest.fixture
def often_switching():
    """Let threads take turns a thousand times as often as usual."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("often_switching")
@pytest.mark.parametrize(
    "model",
    [fast(variant=v) for v in ("da", "pin", "dgp", "dwp")]
    + [BaselineClassifier("deepfm", max_epochs=1, random_state=0)],
    ids=str,
)
def test_threads_predict_at_once(model):
    """A model fresh from a file, so that what is built when first needed is built at once too."""
    X, y = make_clicks(2_000)
    X["mixed"] = X["mobile"].astype(object).where(X["hour"] > 3, 1)
    stored = pickle.dumps(model.fit(X, y))
    parts = [X[i : i + 1] for i in range(40)] + [X[i : i + 300] for i in range(0, 1_500, 100)]
    serial = [model.predict_proba(part) for part in parts]
    for _ in range(3):
        fresh = pickle.loads(stored)
        with ThreadPoolExecutor(8) as pool:
            parallel = list(pool.map(fresh.predict_proba, parts))
        for a, b in zip(serial, parallel, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("often_switching")
def test_threads_predict_long_tables():
    """Long enough that every call has threads of its own."""
    X, y = make_clicks(110_000)
    model = fast(max_epochs=1).fit(X, y)
    expected = model.predict_proba(X)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(model.predict_proba, [X] * 3):
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("n_rows", [9, 64, 65, 500, 1024])  # fewer may do without torch
def test_few_rows_are_no_work_for_several_threads(n_rows):
    """Threads that share a small operation wait for whoever has one of the cores."""
    X, _ = make_clicks(n_rows)
    model = fast().fit(*make_clicks())
    seen = []
    model.net_.module_.embedding.register_forward_hook(
        lambda *_: seen.append(torch.get_num_threads())
    )
    torch.set_num_threads(2)
    try:
        model.predict_proba(X)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert set(seen) == {1}


def test_an_array_is_warned_about_once(clicks):
    X, y = clicks
    X = X[["hour", "count"]]
    model = fast().fit(X, y)
    for call in (model.predict_proba, model.encoder_.transform):
        with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
            found = call(X.to_numpy())
        assert len(caught) == 1
        np.testing.assert_array_equal(found, call(X))
    with pytest.warns(UserWarning, match="valid feature names, but DynIntClassifier") as caught:
        fast().fit(X, y, X_val=X.to_numpy(), y_val=y)
    assert sum("valid feature names" in str(warning.message) for warning in caught) == 1
    model = fast(early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X.to_numpy(), y).predict(X.to_numpy())


def test_an_array_of_objects_is_read_like_the_frame(clicks):
    X, y = clicks
    model = fast().fit(X, y)
    with pytest.warns(UserWarning, match="valid feature names"):
        found = model.predict_proba(X.to_numpy())
    np.testing.assert_array_equal(found, model.predict_proba(X))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_fit_keeps_nothing_of_the_frame(early_stopping):
    """Not the frame, nor a column of it, nor the labels; also of the rows for early stopping."""
    X, y = make_clicks(2_000)
    X["id"] = pd.Series(np.arange(len(X)) % 700).astype(str).astype(object)
    X_val, y_val = make_clicks(500, seed=1)
    X_val["id"] = "1"
    val = {"X_val": X_val, "y_val": y_val} if early_stopping else {}
    weight = np.linspace(1, 2, len(X))
    tables = [X, X_val, y, y_val, weight]
    arrays = [X[c].array for c in X] + [X[c].to_numpy() for c in ("hour", "count", "id")]
    references = [weakref.ref(thing) for thing in tables + arrays]
    model = DynIntClassifier(max_epochs=1, early_stopping=early_stopping)
    model.fit(X, y, sample_weight=weight, **val)
    model.predict_proba(X)
    one = X[:1].copy()
    del X, X_val, y, y_val, val, weight, tables, arrays
    gc.collect()
    assert [ref() for ref in references if ref() is not None] == []
    assert model.predict_proba(one).shape == (1, 2)


def test_a_pickle_of_another_version_is_told(clicks, monkeypatch):
    X, y = clicks
    model = fast().fit(X, y)
    for it in (model, model.encoder_):
        stored = pickle.dumps(it)
        assert vars(pickle.loads(stored)).keys() == vars(it).keys()
        with monkeypatch.context() as patch:
            patch.setattr(_version, "__version__", "0.2.0")
            with pytest.warns(UserWarning, match=r"by sk_dynint 0\.1\.0, .* by 0\.2\.0") as told:
                loaded = pickle.loads(stored)
        assert any(f"this {type(it).__name__} was pickled" in str(w.message) for w in told)
        assert type(loaded) is type(it)
