"""`compact`: rows that are exactly zero share one, and nothing else changes."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from sk_dynint import DynIntClassifier, load
from sk_dynint._compacting import Compaction
from sk_dynint._packing import ArchiveError
from sk_dynint.baselines import BASELINES
from sk_dynint.inspection import EmbeddingSparsityDisplay, shapley_values
from sk_dynint.interactions import VARIANTS
from tests.conftest import fast_by_name

SPARSE = {"l1": 1.0, "group": True}
TABLE = {"optimizer": "ftrl", "embedding_dim": 8, "embedding_optimizer_params": SPARSE}


@pytest.fixture(scope="module")
def table():
    """Rows with many levels that tell nothing; new rows with unseen, rare and missing ones."""
    rng = np.random.default_rng(0)
    n = 600
    X = pd.DataFrame(
        {
            "site": rng.choice(list("abcd"), n),
            "user": rng.integers(0, 150, n).astype(str),
            "age": rng.normal(size=n).round(2),
        }
    )
    X.loc[rng.random(n) < 0.1, ["site", "age"]] = None
    y = (X["site"] == "a").astype(int).to_numpy()
    new = X[:90].copy()
    new.loc[:20, "user"] = "nobody"
    new.loc[20:40, ["user", "age"]] = None
    return X, y, new


def pruned(model, seed=0, share=0.7):
    """Let most rows of the tables of a model be zero, as group lasso would."""
    rng = np.random.default_rng(seed)
    modules = getattr(model.net_.module_, "members", [model.net_.module_])
    for module in modules:
        for embedding in module.tables:
            weight = embedding.weight.data
            weight[rng.random(len(weight)) < share] = 0
    return model


def check(model, new, *, smaller=True):
    """Compact a model; check that nothing changes but its size."""
    before = model.decision_function(new)
    n_zero, unseen = model.net_.module_.n_zero_rows(), model.unseen_rate(new)
    report = model.compact()
    assert isinstance(report, Compaction)
    if smaller:
        assert report.n_rows_after < report.n_rows_before
        assert report.n_bytes_after < report.n_bytes_before
    np.testing.assert_array_equal(model.decision_function(new), before)
    assert model.net_.module_.n_zero_rows() == n_zero
    pd.testing.assert_frame_equal(model.unseen_rate(new), unseen)
    return report


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", [*VARIANTS, *BASELINES])
def test_predictions_stay_the_same(table, name, n_classes):
    X, y, new = table
    y = y if n_classes == 2 else y + (X["site"] == "b")
    model = pruned(fast_by_name(name, **TABLE | {"max_epochs": 1}).fit(X, y))
    dim = model.net_.module_.embedding.weight.shape[1]
    check(model, new, smaller=dim > 1)


@pytest.mark.parametrize(
    "params",
    [
        {"oov": "zero"},
        {"popularity": 0.0, "n_knots": None},
        {"n_members": 3},
        {"crosses": [("site", "user")]},
        {"early_stopping": False, "batch_size": 600, "averaging": None},
    ],
)
def test_options(table, params, tmp_path):
    X, y, new = table
    model = pruned(fast_by_name("da", **TABLE | params).fit(X, y))
    expected, report = model.predict_proba(new), check(model, new)
    model.save(tmp_path / "compact")
    for again in (load(tmp_path / "compact"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict_proba(new), expected)
        assert again.compact() == Compaction(*2 * report[1:2], *2 * report[3:])


def test_small_batches_and_few_rows(table):
    """Rows that fit takes at once are computed in double precision."""
    X, y, new = table
    model = pruned(fast_by_name("da", **TABLE).fit(X[:100], y[:100]))
    assert model.net_.module_.bias.dtype.itemsize == 8
    check(model, new)


def test_lists(table):
    X, y, new = table
    X, new = (
        frame.assign(tags=[list(pair) for pair in zip(frame["user"], frame["site"], strict=True)])
        for frame in (X, new)
    )
    check(pruned(fast_by_name("pin", **TABLE).fit(X, y)), new)


def test_group_lasso_and_files(table, tmp_path):
    """Without help: training makes the zeros."""
    X, y, new = table
    params = TABLE | {"embedding_init_std": 0.001, "max_epochs": 5}
    model = fast_by_name("da", **params).fit(X, y)
    assert model.n_pruned_rows_ > 30
    whole = copy.deepcopy(model)
    report = check(model, new)
    assert report.n_rows_before - report.n_rows_after == model.n_pruned_rows_ - 1
    for name, each in (("whole", whole), ("compact", model)):
        each.save(tmp_path / name)
    sizes = [(tmp_path / name).stat().st_size for name in ("whole", "compact")]
    saved = report.n_bytes_before - report.n_bytes_after
    assert sizes[0] - sizes[1] == pytest.approx(saved, abs=600)  # of names in the header
    assert len(pickle.dumps(model)) < len(pickle.dumps(whole)) - saved
    assert whole.history_.equals(model.history_)
    assert whole.partial_fit(X, y).compact().n_rows_before == report.n_rows_before


def test_nothing_to_save(table):
    X, y, new = table
    model = fast_by_name("da", embedding_dim=8).fit(X, y)
    net = model.net_
    assert model.n_pruned_rows_ == 0
    report = check(model, new, smaller=False)
    assert report[::2] == report[1::2]
    assert model.net_ is net
    model.partial_fit(X, y)  # still trains


def test_a_compact_model_is_not_trained_on(table, tmp_path):
    X, y, new = table
    model = pruned(fast_by_name("da", **TABLE, warm_start=True).fit(X, y))
    check(model, new)
    before = model.predict_proba(new)
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="is compact, or was saved without"):
            fit(X, y)
    with pytest.raises(ValueError, match="or is compact"):
        model.save(tmp_path / "x", training_state=True)
    with pytest.raises(RuntimeError, match="a compact table cannot be trained"):
        model.net_.partial_fit(model.encoder_.transform(X), y)
    np.testing.assert_array_equal(model.predict_proba(new), before)
    model.set_params(warm_start=False).fit(X, y).partial_fit(X, y)


def test_explanations_and_onnx(table, tmp_path):
    X, y, new = table
    runtime = pytest.importorskip("onnxruntime")
    model = pruned(fast_by_name("pin", **TABLE).fit(X, y))
    whole = copy.deepcopy(model)
    check(model, new)
    values = [shapley_values(each, new[:5]).values for each in (whole, model)]
    np.testing.assert_allclose(*values, atol=1e-6)
    shares = [EmbeddingSparsityDisplay.from_estimator(each).n_zero for each in (whole, model)]
    np.testing.assert_array_equal(*shares)
    indices = model.encoder_.transform(new).astype(np.int64)
    model.to_onnx(tmp_path / "model.onnx", raw_inputs=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (proba,) = session.run(["probabilities"], {"indices": indices})
    np.testing.assert_allclose(proba, model.predict_proba(new), atol=1e-5)


def test_what_is_shown(table):
    X, y, new = table
    model = pruned(fast_by_name("da", **TABLE).fit(X, y))
    report = check(model, new)
    (shown,) = (text for name, text in model._summary() if name == "embedding table")
    n = model.net_.module_.embedding.weight.shape[0]
    assert shown.startswith(f"{n:,} rows × 8, ")
    assert report.n_rows_after < report.n_rows_before


def test_a_made_up_file_takes_no_memory(table):
    """Places are as many as the levels, so that the file is as large as what it asks for."""
    X, y, _ = table
    model = pruned(fast_by_name("da", **TABLE).fit(X, y))
    model.compact()
    content = model._content(False)
    content["net"]["weights"]["embedding.places"] = np.zeros(3, dtype=np.int32)
    with pytest.raises(ArchiveError, match=r"more weights than the file has|do not fit"):
        DynIntClassifier._restored(content)
    content = model._content(False)
    content["net"]["weights"]["embedding.places"] += 10_000
    with pytest.raises(ArchiveError, match="beyond"):
        DynIntClassifier._restored(content)


def test_unfitted():
    with pytest.raises(ValueError, match="not fitted"):
        DynIntClassifier().compact()
