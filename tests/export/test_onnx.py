"""A classifier as an ONNX file predicts what it predicts."""

import builtins
import json

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator

import sk_dynint
from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._baseline import MODELS
from sk_dynint._module import FieldEmbedding
from sk_dynint._warnings import warnings_ignored
from sk_dynint.export._network import PlainTable
from sk_dynint.interactions import VARIANTS, InteractionLayer
from sk_dynint.preprocessing._binning import SCORES
from sk_dynint.preprocessing._onnx import edges_of
from tests.conftest import fast, fast_by_name

# Of many values that fit never met.
pytestmark = pytest.mark.filterwarnings("ignore:columns:UserWarning")


def session(model, path, **options):
    """Write a model; return what runs it, in one thread."""
    model.to_onnx(path / "model.onnx", **options)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path / "model.onnx", settings)


def feed(X):
    """The columns of a frame as the file takes them."""
    columns = {}
    for name, column in X.items():
        if column.dtype.kind in "mM":
            seconds = column.astype("int64") / 10**6
            columns[name] = seconds.where(column.notna(), np.nan).to_numpy(np.float64)[:, None]
        elif column.dtype.kind in "biuf":
            columns[name] = column.to_numpy(np.float64)[:, None]
        else:
            text = column.astype(object).where(column.notna(), "<NA>")
            columns[name] = text.to_numpy(dtype=object)[:, None]
    return columns


def assert_agrees(model, run, X, given=None, atol=1e-5):
    """Same labels and probabilities for 1, 7 and all rows of one file."""
    for n in (1, 7, len(X)):
        rows = X[:n]
        label, proba = run.run(None, feed(rows) if given is None else {"indices": given[:n]})
        assert proba.dtype == np.float32
        np.testing.assert_allclose(proba, model.predict_proba(rows), atol=atol)
        if atol <= 1e-5:
            decided = np.sort(proba)[:, -1] - np.sort(proba)[:, -2] > 1e-5
            assert (label[decided] == model.predict(rows)[decided]).all()


@pytest.fixture(scope="module")
def table():
    """Columns of the kinds that a file takes, new rows among them, and labels."""
    rng = np.random.default_rng(0)
    n = 700
    X = pd.DataFrame(
        {
            "site": rng.choice(["a", "b", "ü", "", "rare"], n, p=[0.4, 0.3, 0.2, 0.09, 0.01]),
            "zip": rng.choice([1, 5, 10**9, 2**53 - 1], n),
            "hour": rng.integers(0, 24, n),
            "count": np.where(rng.random(n) < 0.1, np.nan, np.floor(rng.lognormal(2, 1.5, n))),
            "mobile": rng.random(n) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 60, n), "D"),
            "device": pd.Categorical(rng.choice(["ios", "android"], n)),
        }
    )
    X["day"] = X["day"].astype("datetime64[us]")
    X.loc[rng.random(n) < 0.1, ["site", "device", "day"]] = None
    y = np.where((X["site"] == "a") ^ X["mobile"] ^ (rng.random(n) < 0.2), "click", "none")
    new = X.assign(
        site=rng.choice(["a", "new", "<NA>"], n),
        zip=rng.choice([1, 2, 5, 6], n),
        count=rng.choice([-5.0, 0.0, -0.0, 1e9, 3.5, np.nan], n),
    )
    new["site"] = new["site"].where(new["site"] != "<NA>")
    return X, y, pd.concat([X[:200], new[:300]], ignore_index=True)


CATEGORICAL = ["site", "zip", "mobile", "device"]


def encoder(**params):
    return FieldEncoder(categorical_features=CATEGORICAL, min_count=2, **params)


# The exporter takes a second or two for each file.
RAW = pytest.mark.parametrize(
    "raw", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["raw", "indices"]
)


@pytest.mark.parametrize(
    "name", [*VARIANTS, *(pytest.param(name, marks=pytest.mark.slow) for name in MODELS)]
)
@RAW
def test_every_model(name, raw, table, tmp_path):
    X, y, new = table
    model = fast_by_name(name, encoder=encoder()).fit(X, y)
    given = None if raw else model.encoder_.transform(new).astype(np.int64)
    assert_agrees(model, session(model, tmp_path, raw_inputs=raw), new, given)


@pytest.mark.parametrize(
    "model",
    [
        fast(encoder=encoder(crosses=[("site", "mobile"), ("zip", "hour", "device")]), n_members=2),
        fast(beside="dcnv2", n_subspaces=2, encoder=encoder()),
        fast(oov="zero", encoder=encoder(), n_knots=None),
        fast(popularity=0.0, encoder=encoder(), negative_sampling_rate=0.3),
        BaselineClassifier("fm", encoder=encoder(), n_members=2, max_epochs=2, random_state=0),
        BaselineClassifier(
            "dnn", encoder=encoder(), batch_norm=True, dropout=0.3, max_epochs=2, random_state=0
        ),
        fast(encoder=encoder(), n_layers=0),
    ],
    ids=["crosses", "hybrid", "zero", "plain", "fm", "batch norm", "no layer"],
)
@RAW
def test_options(model, raw, table, tmp_path):
    X, y, new = table
    model.fit(X, y)
    run = session(model, tmp_path, raw_inputs=raw)
    given = None if raw else model.encoder_.transform(new).astype(np.int64)
    assert_agrees(model, run, new, given)


@pytest.mark.parametrize(
    ("labels", "n_classes"),
    [
        ("strings", 3),
        ("booleans", 2),
        pytest.param("numbers", 2, marks=pytest.mark.slow),
        pytest.param("numbers", 3, marks=pytest.mark.slow),
        pytest.param("fractions", 2, marks=pytest.mark.slow),
    ],
)
def test_labels(labels, n_classes, table, tmp_path):
    X, _, new = table
    codes = np.arange(len(X)) % n_classes
    y = {
        "strings": np.array(["x", "y", "z"])[codes],
        "numbers": 10 * codes,
        "fractions": 1.0 + codes,
        "booleans": codes > 0,
    }
    model = fast(encoder=encoder(), max_epochs=1).fit(X, y[labels])
    run = session(model, tmp_path)
    assert_agrees(model, run, new)
    label, proba = run.run(None, feed(new))
    classes = model.classes_.tolist()
    assert set(label.tolist()) <= set(classes)
    assert {type(each) for each in label.tolist()} == {type(each) for each in classes}
    told = run.get_modelmeta().custom_metadata_map["classes"]
    assert json.loads(told) == classes
    assert proba.shape == (len(new), len(model.classes_))


def test_few_rows_in_double_precision(table, tmp_path):
    X, y, new = table
    model = fast(encoder=encoder()).fit(X[:100], y[:100])
    assert_agrees(model, session(model, tmp_path), new)


class Twice(InteractionLayer):
    """A layer of the user's own."""

    def __init__(self, width, depth):
        super().__init__(width, depth)

    def forward(self, x, x0):
        """Double the product."""
        return x + 2 * x * x0


def test_a_layer_of_the_user(table, tmp_path):
    X, y, new = table
    model = fast(variant=Twice, encoder=encoder()).fit(X, y)
    assert_agrees(model, session(model, tmp_path), new)


def test_lists_by_their_indices(table, tmp_path):
    X, y, new = table
    tags = [["x", "y"], ["z"], [], ["x", "z"]]
    X, new = (f.assign(tags=(tags * len(f))[: len(f)]) for f in (X, new))
    model = fast(encoder=encoder()).fit(X, y)
    with pytest.raises(ValueError, match=r"column 'tags' holds lists of strings, which an ONNX"):
        model.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    given = model.encoder_.transform(new).astype(np.int64)
    assert_agrees(model, session(model, tmp_path, raw_inputs=False), new, given)


@pytest.mark.parametrize(("dtype", "atol"), [("float16", 1e-3), ("int8", 1e-2)])
def test_smaller_tables(dtype, atol, table, tmp_path):
    X, y, new = table
    X = X.assign(id=np.arange(len(X)).astype(str))
    new = new.assign(id=np.arange(len(new)).astype(str))
    exact = FieldEncoder(categorical_features=[*CATEGORICAL, "id"], min_count=1)
    model = fast(encoder=exact, embedding_dim=32).fit(X, y)
    run = session(model, tmp_path, table_dtype=dtype)
    assert_agrees(model, run, new, atol=atol)
    assert run.get_modelmeta().custom_metadata_map["table_dtype"] == dtype
    smaller = (tmp_path / "model.onnx").stat().st_size
    session(model, tmp_path)
    assert smaller < 0.75 * (tmp_path / "model.onnx").stat().st_size


@pytest.mark.parametrize("binning", SCORES)
@given(
    values=st.lists(st.floats(allow_infinity=False, allow_nan=False), min_size=2, max_size=30),
    n_bins=st.integers(2, 8),
)
@settings(max_examples=60, deadline=None)
def test_edges_are_exact(binning, values, n_bins):
    """Next to every edge, on both sides, and at every value."""
    with warnings_ignored():
        field = (
            FieldEncoder(binning=binning, n_bins=n_bins).fit(np.array(values)[:, None])._fields[0]
        )
    edges = edges_of(field)
    finite = edges[np.isfinite(edges)]
    near = [finite, np.nextafter(finite, -np.inf), np.nextafter(finite, np.inf)]
    numbers = np.concatenate([values, [0.0, -0.0, 5e-324, 1.8e308, -1.8e308], *near])
    numbers = np.concatenate([numbers, -numbers])
    numbers = numbers[np.isfinite(numbers)]
    of = np.abs(numbers) if binning in ("authors", "literal") else numbers
    reached = (of[:, None] >= edges).sum(1)
    np.testing.assert_array_equal(field.index[reached], field.lookup(numbers))


def test_numbers_at_their_edges(tmp_path):
    rng = np.random.default_rng(0)
    columns = {name: rng.lognormal(3, 2, 600) * rng.choice([-1, 1], 600) for name in SCORES}
    X = pd.DataFrame(columns)
    y = (X["winner"] > 3) ^ (X["quantile"] > 0)
    own = FieldEncoder(binning=dict(zip(SCORES, SCORES, strict=True)), n_bins=16)
    model = fast(encoder=own).fit(X, y)
    n = 16
    near = {}
    for name, field in zip(SCORES, model.encoder_._fields, strict=True):
        edges = edges_of(field)
        edges = np.resize(edges[np.isfinite(edges)], n)
        near[name] = np.concatenate([edges, np.nextafter(edges, -1e300), [np.nan, 0.0, -1e300]])
    assert_agrees(model, session(model, tmp_path), pd.DataFrame(near))


def test_what_a_file_cannot_read(tmp_path):
    """The file is as it was; by indices there is a way."""
    X = pd.DataFrame({"odd": pd.Series([True, 1] * 100, dtype=object), "b": list("xyyx") * 50})
    own = FieldEncoder(categorical_features="all")
    model = fast(encoder=own, max_epochs=1).fit(X, [0, 1, 1, 0] * 50)
    (tmp_path / "model.onnx").write_text("earlier")
    with pytest.raises(ValueError, match="column 'odd' holds booleans and numbers, which an ONNX"):
        model.to_onnx(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "earlier"
    given = model.encoder_.transform(X).astype(np.int64)
    assert_agrees(model, session(model, tmp_path, raw_inputs=False), X, given)


def test_names_of_columns(tmp_path):
    """Any name will do that is no output's."""
    y = [0, 1, 1, 0] * 50
    columns = {"add": list("xyyx") * 50, "indices": list("xxyy") * 50, "a b/c": list("xyxy") * 50}
    X = pd.DataFrame(columns)
    model = fast().fit(X, y)
    assert_agrees(model, session(model, tmp_path), X)
    label = fast().fit(X.rename(columns={"add": "label"}), y)
    with pytest.raises(ValueError, match=r"columns \['label'\] have names of outputs"):
        label.to_onnx(tmp_path / "model.onnx")
    numbers = fast().fit(X.set_axis([1, 2, 3], axis=1), y)
    run = session(numbers, tmp_path)
    assert [value.name for value in run.get_inputs()] == ["1", "2", "3"]


def test_frozen_and_other_encoders(table, tmp_path):
    X, y, new = table
    frozen = FrozenEstimator(encoder().fit(X))
    model = fast(encoder=frozen).fit(X, y)
    assert_agrees(model, session(model, tmp_path), new)
    model.encoder_ = object()
    with pytest.raises(ValueError, match="encoder_ is a object, which has no ONNX graph"):
        model.to_onnx(tmp_path / "model.onnx")


def test_the_file_tells_what_it_is(table, tmp_path, capfd):
    X, y, _ = table
    model = fast(encoder=encoder(), n_members=2).fit(X, y)
    capfd.readouterr()
    model.to_onnx(tmp_path / "model.onnx")
    assert capfd.readouterr() == ("", "")
    graph = onnx.load(tmp_path / "model.onnx")
    assert graph.producer_name == "sk_dynint"
    assert [value.name for value in graph.graph.input] == list(X)
    assert b'File "' not in (tmp_path / "model.onnx").read_bytes()
    told = {item.key: item.value for item in graph.metadata_props}
    assert json.loads(told["columns"]) == list(X)
    assert told["sk_dynint_version"] == sk_dynint.__version__
    kinds = {node.op_type for node in graph.graph.node}
    assert "Gather" in kinds
    assert not kinds & {"SequenceAt", "Loop", "SequenceInsert", "EmbeddingBag"}


def test_without_the_extra(table, tmp_path, monkeypatch):
    X, y, _ = table
    model = fast(encoder=encoder(), max_epochs=1).fit(X, y)
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("onnx"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install \"sk-dynint\[onnx\]\""):
        model.to_onnx(tmp_path / "model.onnx")


def test_a_table_that_is_too_large(table, tmp_path, monkeypatch):
    X, y, _ = table
    model = DynIntClassifier(max_epochs=1, n_members=1, crosses=None, encoder=encoder()).fit(X, y)
    monkeypatch.setattr("sk_dynint.export._onnx.MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"an ONNX file holds 2; take table_dtype="):
        model.to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_levels_that_are_too_large(table, tmp_path, monkeypatch):
    """They count, too."""
    X, y, _ = table
    X = X.assign(text=[f"{'long' * 100} {i % 50}" for i in range(len(X))])
    model = fast(max_epochs=1, encoder=encoder()).fit(X, y)
    monkeypatch.setattr("sk_dynint.export._onnx.MAX_BYTES", 20_000)
    with pytest.raises(ValueError, match=r"tables and levels take"):
        model.to_onnx(tmp_path / "model.onnx")


def test_a_dtype_that_is_unknown(table, tmp_path):
    X, y, _ = table
    model = fast(max_epochs=1, encoder=encoder()).fit(X, y)
    with pytest.raises(ValueError, match=r"table_dtype='int4' is none of \('float32', 'float16'"):
        model.to_onnx(tmp_path / "model.onnx", table_dtype="int4")


def test_an_entry_beyond_half_precision(table, tmp_path):
    X, y, _ = table
    model = fast(max_epochs=1, encoder=encoder()).fit(X, y)
    with torch.no_grad():
        model.net_.module_.embedding.weight[3] = 1e5
    with pytest.raises(ValueError, match=r"size 1e\+05, which float16 cannot hold; take table_dt"):
        model.to_onnx(tmp_path / "model.onnx", table_dtype="float16")


@pytest.mark.parametrize(
    ("dim", "dtype", "stored"),
    [(1, "int8", torch.float16), (4, "int8", torch.float16), (5, "int8", torch.int8)],
)
def test_no_type_takes_more_space_than_a_larger_one(dim, dtype, stored):
    """A vector in int8 has a scale, which short ones are not worth."""
    table = FieldEmbedding([3, 4], dim)
    plain = PlainTable(table, dtype)
    assert plain.values.dtype == stored
    half = PlainTable(table, "float16")
    sizes = [sum(buffer.nbytes for buffer in made.buffers()) for made in (plain, half)]
    assert sizes[0] <= sizes[1]
    X = torch.tensor([[0, 1], [2, 3]])
    torch.testing.assert_close(plain(X), table(X), atol=0.01, rtol=0.01)
