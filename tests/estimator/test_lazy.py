"""Classifiers learn from a table in parts what they learn from the same rows in memory."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from sklearn.model_selection import cross_val_score

from sk_dynint import _rows, load
from sk_dynint._sources import _parts, _source, _values
from sk_dynint.training import _order
from tests.conftest import fast, fast_by_name, make_clicks

LABEL = "click"

pytestmark = pytest.mark.filterwarnings("ignore:the rows stand in the order of columns .'row'.")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(_parts, "BATCH_ROWS", 70)
    monkeypatch.setattr(_source, "BATCH_ROWS", 70)
    monkeypatch.setattr(_values, "CHUNK_ROWS", 200)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Clicks in memory, and the same in a folder of two files."""
    X, y = make_clicks(1200)
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    table = X.assign(**{LABEL: y, "weight": weight, "row": np.arange(len(y))})
    folder = tmp_path_factory.mktemp("log")
    for number, part in enumerate((table[:700], table[700:])):
        part.to_parquet(folder / f"{number}.parquet", row_group_size=250)
    return X, y, weight, folder


def lazily(folder, *dropped):
    """The features and the label, without other columns."""
    return pl.scan_parquet(folder / "*.parquet").drop(*dropped)


@pytest.mark.parametrize(
    "options",
    [
        {"variant": "pin"},
        {"variant": "da", "n_members": 3},
        {"early_stopping": False, "class_weight": "balanced"},
        {"validation": "last", "n_members": 2},
        {"validation": "groups", "validation_column": "hour"},
        {"crosses": "auto"},
        {"crosses": [("site", "hour")], "oov": "zero"},
    ],
    ids=str,
)
def test_same_probabilities_as_in_memory(options, log):
    X, y, _, folder = log
    expected = fast(**options).fit(X, y).predict_proba(X)
    model = fast(**options).fit(lazily(folder, "weight", "row"), LABEL)
    assert np.array_equal(model.predict_proba(X), expected)
    # Some parts have few rows, which are computed in another order.
    assert np.abs(model.predict_proba(folder) - expected).max() < 1e-6
    assert np.array_equal(model.predict(lazily(folder)), model.predict(X))
    assert model.feature_names_in_.tolist() == list(X)


def test_weights_and_competitors(log):
    X, y, weight, folder = log
    for name in ("lr", "dcnv2"):
        expected = fast_by_name(name).fit(X, y, weight)
        model = fast_by_name(name).fit(lazily(folder, "row"), LABEL, "weight")
        assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_classes_by_name_and_moments(log, tmp_path):
    X, y, _, _ = log
    labels = np.array(["no", "maybe", "yes"])[np.arange(len(y)) % 3]
    X.assign(label=labels).to_parquet(tmp_path / "x.parquet")
    options = {"validation": "groups"}
    expected = fast(**options).fit(X, labels, groups="hour")
    model = fast(**options).fit(tmp_path / "x.parquet", "label", groups="hour")
    assert model.classes_.tolist() == ["maybe", "no", "yes"]
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))
    model.predict_to(tmp_path, tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found) == ["probability_maybe", "probability_no", "probability_yes"]
    assert np.abs(found.to_numpy() - expected.predict_proba(X)).max() < 1e-6


def test_validation_rows_in_files(log):
    X, y, _, folder = log
    expected = fast().fit(X[:700], y[:700], X_val=X[700:], y_val=y[700:])
    table = lazily(folder, "weight", "row")
    model = fast().fit(table.head(700), LABEL, X_val=table.slice(700), y_val=LABEL)
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_one_pass_after_the_other(log):
    X, y, _, folder = log
    expected, model = fast(), fast()
    table = lazily(folder, "weight", "row")
    for part in (slice(0, 700), slice(700, 1200)):
        expected.partial_fit(X[part], y[part], classes=[0, 1])
        rows = table.slice(part.start, part.stop - part.start)
        model.partial_fit(rows, LABEL, classes=[0, 1])
    assert np.array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_probabilities_in_a_file(log, tmp_path):
    X, y, _, folder = log
    model = fast().fit(X, y)
    out = tmp_path / "clicks.parquet"
    model.predict_to(folder, out, keep=["row", "site"])
    found = pd.read_parquet(out)
    assert list(found) == ["row", "site", "probability"]
    assert found["row"].tolist() == list(range(len(y)))
    assert np.abs(found["probability"] - model.predict_proba(X)[:, 1]).max() < 1e-6
    content = out.read_bytes()
    with pytest.raises(ValueError, match=r"lacks the columns \['nope'\]"):
        model.predict_to(folder, out, keep=["nope"])
    assert out.read_bytes() == content
    assert [f.name for f in tmp_path.iterdir()] == [out.name]


def test_windows_learn_as_well(log, monkeypatch):
    X, _, _, folder = log
    monkeypatch.setattr(_order, "BLOCK_ROWS", 20)
    table, options = lazily(folder, "weight", "row"), {"early_stopping": False, "batch_size": 64}
    whole = fast(**options).fit(table, LABEL)
    monkeypatch.setattr(_rows, "WINDOW_BYTES", 4 * X.shape[1] * 256)
    in_windows = fast(**options).fit(table, LABEL)
    assert not np.array_equal(whole.predict_proba(X), in_windows.predict_proba(X))
    losses = [m.history_["train_loss"].iloc[-1] for m in (whole, in_windows)]
    assert abs(losses[0] - losses[1]) < 0.03
    again = fast(**options).fit(table, LABEL)
    assert np.array_equal(again.predict_proba(X), in_windows.predict_proba(X))


def test_what_is_kept_is_used_again(log, tmp_path, monkeypatch):
    X, _, _, folder = log
    fast(cache=tmp_path).fit(folder, LABEL)
    reads = []
    read = _parts.FilePart.read

    def counted(self, columns, start):
        reads.append(len(columns))
        return read(self, columns, start)

    monkeypatch.setattr(_parts.FilePart, "read", counted)
    names = set(os.listdir(tmp_path))
    again = fast(cache=tmp_path, lr=0.01).fit(folder, LABEL)
    assert set(reads) == {1}  # the labels
    assert set(os.listdir(tmp_path)) == names
    assert again.n_features_in_ == X.shape[1] + 2
    fast(cache=tmp_path, random_state=1).fit(folder, LABEL)  # sets other rows aside
    assert set(os.listdir(tmp_path)) > names


def test_nothing_is_left_without_a_cache(log, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fast().fit(log[3], LABEL)
    assert not os.listdir(tmp_path)


def test_meta_estimators_clone_it(log):
    X, y, _, _ = log
    assert len(cross_val_score(fast(cache="unused"), X, y, cv=2)) == 2
    assert not os.path.exists("unused")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(click=None), "Input y contains NaN|labels are missing"),
        (lambda t: t.assign(click=1), "y has one class only"),
        (lambda t: t.drop(columns="click"), "y='click', but the table has the columns"),
        (lambda t: t.iloc[:0], "0 sample|no rows|0 rows"),
    ],
)
def test_bad_tables(change, message, log, tmp_path):
    X, y, _, _ = log
    change(X.assign(click=y)).to_parquet(tmp_path / "x.parquet")
    model = fast()
    with pytest.raises(ValueError, match=message):
        model.fit(tmp_path, LABEL)
    assert not hasattr(model, "encoder_")


def test_a_fitted_model_survives_a_damaged_shard(log, tmp_path):
    X, y, _, folder = log
    model = fast().fit(X, y)
    before = model.predict_proba(X)
    damaged = shutil.copytree(folder, tmp_path / "log")
    pq.write_table(
        pq.read_table(damaged / "1.parquet").drop_columns(["site"]), damaged / "1.parquet"
    )
    with pytest.raises(ValueError, match=r"1\.parquet lacks the columns \['site'\]"):
        model.fit(damaged, LABEL)
    assert np.array_equal(model.predict_proba(X), before)


KILLED = """
import sys
from sk_dynint._sources import _parts, _source, _values
from sk_dynint import DynIntClassifier
_parts.BATCH_ROWS = _source.BATCH_ROWS = 200
_values.CHUNK_ROWS = 1000
folder, cache, checkpoint, out = sys.argv[1:]
options = dict(max_epochs=4, n_members=1, crosses=None, embedding_dim=8, random_state=0)
model = DynIntClassifier(cache=cache, checkpoint=checkpoint, **options)
model.fit(folder, "click", resume=True)
model.save(out)
"""


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_to_the_same_model(tmp_path):
    X, y = make_clicks(20_000)
    folder = tmp_path / "log"
    folder.mkdir()
    for number in range(4):
        rows = slice(number * 5000, (number + 1) * 5000)
        X[rows].assign(click=y[rows]).to_parquet(folder / f"{number}.parquet")

    def start(name):
        paths = [folder, tmp_path / f"cache-{name}", tmp_path / f"{name}.ckpt", tmp_path / name]
        return subprocess.Popen([sys.executable, "-c", KILLED, *map(str, paths)])

    begin = time.monotonic()
    assert start("whole").wait() == 0
    duration = time.monotonic() - begin
    draw = np.random.default_rng(0)
    kills = 0
    while kills < 12:
        process = start("killed")
        try:
            process.wait(duration * draw.uniform(0.3, 0.9))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills
    assert start("killed").wait() == 0
    whole, killed = (probabilities_of(tmp_path / name, X) for name in ("whole", "killed"))
    assert np.array_equal(whole, killed)


def probabilities_of(path, X):

    return load(path).predict_proba(X)
