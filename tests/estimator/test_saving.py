"""Classifiers and encoders through files without code."""

import json
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import sk_dynint
from sk_dynint import EncodedData, FieldEncoder
from sk_dynint._archive import read, write
from sk_dynint._baseline import MODELS
from sk_dynint.interactions import VARIANTS, InteractionLayer
from tests.conftest import fast, fast_by_name, make_clicks


def through(path, model, *, trusted=(), **options):
    model.save(path, **options)
    return sk_dynint.load(path, trusted=trusted)


@pytest.mark.parametrize("name", [*VARIANTS, *MODELS])
def test_every_model(clicks, tmp_path, name):
    X, y = clicks
    model = fast_by_name(name).fit(X, np.where(y, "yes", "no"))
    again = through(tmp_path / "m", model)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert repr(again.get_params()) == repr(model.get_params())
    assert again.predict(X).tolist() == model.predict(X).tolist()
    pd.testing.assert_frame_equal(again.history_, model.history_, check_column_type=False)
    for attribute in ("n_iter_", "best_step_", "best_score_", "n_features_in_", "n_pruned_rows_"):
        assert getattr(again, attribute) == getattr(model, attribute)


FORMS = {
    "members": {"n_members": 3},
    "crosses": {"crosses": [("site", "device")]},
    "adam": {"optimizer": "adam", "optimizer_params": {"l2": 1e-4}},
    "sgd": {"optimizer": torch.optim.SGD, "lr": 0.01},
    "hybrid": {"beside": "dcnv2", "beside_params": {"hidden_units": (4,)}, "fusion": "tri-bce"},
    "weights": {"class_weight": {0: 1.0, 1: 3.0}, "n_knots": 3, "device": torch.device("cpu")},
    "encoder": {"encoder": FieldEncoder(min_count=5, n_bins=7)},
}


@pytest.mark.parametrize("name", FORMS)
def test_training_goes_on(clicks, tmp_path, name):
    X, y = clicks
    model = fast(**FORMS[name]).fit(X, y)
    trusted = [torch.optim.SGD]
    again = through(tmp_path / "m", model, training_state=True, trusted=trusted)
    for each in (model, again):
        each.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    light = through(tmp_path / "m", model, trusted=trusted)
    np.testing.assert_array_equal(light.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="saved without the state of its optimizer"):
        light.partial_fit(X, y)
    np.testing.assert_array_equal(light.predict_proba(X), model.predict_proba(X))
    light.fit(X, y)  # anew


def test_few_rows_and_several_classes(tmp_path):
    X, y = make_clicks(90)
    exact = fast().fit(X, y)
    np.testing.assert_array_equal(
        through(tmp_path / "m", exact).predict_proba(X), exact.predict_proba(X)
    )
    several = fast().fit(X, np.arange(90) % 3)
    np.testing.assert_array_equal(
        through(tmp_path / "m", several).predict_proba(X), several.predict_proba(X)
    )


def test_columns_of_any_name(tmp_path):
    X, y = make_clicks(300)
    X.columns = pd.MultiIndex.from_tuples([("a", i) for i in range(X.shape[1])])
    model = fast().fit(X, y)
    again = through(tmp_path / "m", model)
    with pytest.raises(ValueError, match="the same order"):
        again.predict(X[X.columns[::-1]])
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_encoders(clicks, tmp_path):
    X, y = clicks
    encoder = FieldEncoder(crosses=[("site", "hour")]).fit(X, y)
    again = through(tmp_path / "e", encoder)
    assert again.equals(encoder)
    assert again.get_params() == encoder.get_params()
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))
    frozen = fast(encoder=FrozenEstimator(FieldEncoder().fit(X))).fit(X, y)
    twin = through(tmp_path / "m", frozen)
    np.testing.assert_array_equal(twin.predict_proba(X), frozen.predict_proba(X))
    data = EncodedData(frozen.encoder.transform(X), encoder=frozen.encoder.estimator)
    np.testing.assert_array_equal(twin.predict_proba(data), frozen.predict_proba(X))


class Doubling(InteractionLayer):
    def forward(self, x, x0):
        return x + x * x0


class Plain(TransformerMixin, BaseEstimator):
    """An encoder that cannot tell its state."""

    def fit(self, X, y=None):
        self.cardinalities_ = np.array([3] * X.shape[1])
        return self

    def transform(self, X):
        return np.ones(X.shape, dtype=np.int32)


class Stateful(Plain):
    def __init__(self, shift=1):
        self.shift = shift

    def state_dict(self):
        return {"cardinalities": self.cardinalities_}

    def load_state_dict(self, state):
        self.cardinalities_ = state["cardinalities"]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "cardinalities_")


def test_parts_of_the_user(clicks, tmp_path):
    X, y = clicks
    model = fast(variant=Doubling, encoder=Stateful(shift=2)).fit(X, y)
    for missing, trusted in ((Stateful, [Doubling]), (Doubling, [Stateful])):
        name = missing.__name__
        with pytest.raises(ValueError, match=rf"names the class .*{name}.*trusted=\[{name}\]"):
            through(tmp_path / "m", model, trusted=trusted)
    again = through(tmp_path / "m", model, trusted=[Doubling, Stateful])
    assert again.encoder.shift == 2
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(TypeError, match=r"encoder_? holds a Plain, which cannot be saved"):
        fast(encoder=Plain()).fit(X, y).save(tmp_path / "m")


def test_what_is_left_out_is_told(clicks, tmp_path):
    X, y = clicks
    model = fast(random_state=np.random.RandomState(0), callbacks=[]).fit(X, y)
    with pytest.warns(UserWarning, match="is not saved: the loaded classifier has"):
        model.save(tmp_path / "m")
    assert sk_dynint.load(tmp_path / "m").random_state is None
    with pytest.raises(NotFittedError):
        fast().save(tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_files_that_do_not_fit(clicks, tmp_path):
    X, y = clicks
    model = fast().fit(X, y)
    path = tmp_path / "m"
    model.save(path)
    content = read(path, [FieldEncoder]).content
    weights = content["net"]["weights"]
    for broken in (
        weights | {"bias": np.zeros(3, np.float32)},
        {k: v for k, v in weights.items() if k != "embedding.weight"},
        weights | {"embedding.weight": weights["embedding.weight"][:, :2]},
    ):
        write(path, "DynIntClassifier", content | {"net": content["net"] | {"weights": broken}})
        with pytest.raises(ValueError, match=r"weights do not fit the|more weights than"):
            sk_dynint.load(path)
    many = content["own"] | {"n_members_": 1024}
    write(path, "DynIntClassifier", content | {"own": many})
    with pytest.raises(ValueError, match="parameters ask for more weights than the file has"):
        sk_dynint.load(path)
    write(path, "Other", content)
    with pytest.raises(ValueError, match="holds a Other, which is none of ours"):
        sk_dynint.load(path)
    write(path, "DynIntClassifier", content | {"params": {"variant": "nothing"}})
    with pytest.raises(ValueError, match="variant='nothing'"):
        sk_dynint.load(path)
    write(path, "DynIntClassifier", {"params": {}})
    with pytest.raises(ValueError, match="cannot be read by"):
        sk_dynint.load(path)


def test_a_process_that_cannot_unpickle(clicks, tmp_path):
    X, y = clicks
    model = fast(variant="dgp", n_members=2).fit(X, y)
    model.save(tmp_path / "m")
    code = f"""
        import pickle, numpy, torch  # which imports it, too
        from sk_dynint import load
        def refuse(*args, **kwargs):
            raise AssertionError("unpickled")
        pickle.load = pickle.loads = torch.load = refuse
        model = load({str(tmp_path / "m")!r})
        indices = numpy.load({str(tmp_path / "i.npy")!r}, allow_pickle=False)
        print(model.net_.predict_proba(indices)[:, 1].tolist())
    """
    np.save(tmp_path / "i.npy", model.encoder_.transform(X))
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "SK_DYNINT_COMPILED": "0"},  # has a cache
    )
    assert out.returncode == 0, out.stderr
    np.testing.assert_array_equal(json.loads(out.stdout), model.predict_proba(X)[:, 1])


@pytest.mark.slow
def test_a_million_levels(tmp_path):
    """The file is little more than parameters and levels, and loads quickly."""
    n = 1_000_000
    X = pd.DataFrame({"id": pd.Series([f"level{i:07d}" for i in range(n)])})
    encoder = FieldEncoder(min_count=1)
    model = fast(max_epochs=1, early_stopping=False, encoder=encoder, embedding_dim=8)
    model.fit(X, np.arange(n) % 2)
    path = tmp_path / "m"
    model.save(path)
    weights = sum(p.numel() * 4 for p in model.net_.module_.parameters())
    assert path.stat().st_size <= 1.05 * (weights + X["id"].str.len().sum())
    start = time.perf_counter()
    again = sk_dynint.load(path)
    print(f"loaded in {time.perf_counter() - start:.2f} s")
    np.testing.assert_array_equal(again.predict_proba(X[:999]), model.predict_proba(X[:999]))
