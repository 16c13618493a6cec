"""examples/benchmarks/bench_accuracy.py: parts, runs made once, tables and verdict."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from sk_dynint.datasets import make_ctr_classification
from tests.examples.conftest import ROOT

sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

import accuracy_report
import bench_accuracy
import tables


@pytest.fixture
def folder(tmp_path):
    """Two small tables, of which one has a time."""
    tables.load.cache_clear()
    X, y = make_ctr_classification(500, random_state=0)
    X = X[["I1", "C1", "C2"]]
    X.assign(label=y).to_parquet(tmp_path / "adult.parquet")
    moments = np.random.default_rng(0).integers(0, 100, len(X))
    rated = X.assign(label=y, rating=3, timestamp=moments, movie_title="x")
    rated.to_parquet(tmp_path / "ml100k_rating_ge4.parquet")
    yield tmp_path
    tables.load.cache_clear()


def run(folder, *options):
    out = folder / "runs.csv"
    options = ["--data", str(folder), "--seeds", "1", "--threads", "1", *options]
    bench_accuracy.main([*options, "--tables", "adult", "ml100k", "--out", str(out)])
    return pd.read_csv(out, dtype={"size": str})


def test_runs_are_made_once_and_printed(folder, capsys):
    options = ["--models", "LR", "HGB", "da", "--sizes", "200", "1000", "all"]
    options += ["--params", '{"max_epochs": 2}', "--ours", "da"]
    runs = run(folder, *options)
    assert list(runs) == list(accuracy_report.COLUMNS)
    cells = runs[["size", "table", "model"]].to_numpy().tolist()
    assert cells == [
        [size, table, model]
        for size in ("200", "all")  # there are no 1,000 rows
        for table in ("adult", "ml100k")
        for model in ("LR", "HGB", "da")
    ]
    assert runs["n_train"].tolist() == [200] * 6 + [400] * 6
    assert runs["auc"].between(0.3, 1).all()
    printed = capsys.readouterr()
    assert printed.err.count("AUC") == 12
    assert "random 200 adult seed 0 LR: AUC" in printed.err
    assert "| table | rows | LR | HGB | da |" in printed.out
    assert re.search(
        r"da ≥ catboost-es in 0 of 0 cells, within \.0020 of the best in \d of 4", printed.out
    )

    path = folder / "runs.csv"
    path.write_bytes(path.read_bytes()[:-10])  # the last line was half written
    again = run(folder, *options)
    assert capsys.readouterr().err.count("AUC") == 1
    scores = ["table", "size", "model", "auc", "logloss", "n_train"]
    pd.testing.assert_frame_equal(again[scores], runs[scores])
    run(folder, *options, "--print", "--sizes", "all")
    shown = capsys.readouterr()
    assert not shown.err
    assert "| adult | all |" in shown.out
    assert "| adult | 200 |" not in shown.out


def test_later_rows(folder, capsys):
    options = ["--test", "random", "later", "--sizes", "200", "--params", '{"max_epochs": 2}']
    runs = run(folder, *options, "--models", "da", "dynint-last")
    keys = runs[["test", "table", "model"]].to_numpy().tolist()
    later = [["later", "ml100k", "da"], ["later", "ml100k", "dynint-last"]]
    assert keys == [["random", "adult", "da"], ["random", "ml100k", "da"], *later]
    rows = tables.load("ml100k", str(folder), "later")
    parts = tables.part(rows, 200, 1)
    assert parts.X.index.is_monotonic_increasing
    first = parts.X_test.index[0]
    assert rows.time[first - 1] < rows.time[first]  # whole moments
    assert parts.X.index[-1] < first
    assert set(parts.X) == {"I1", "C1", "C2"}
    with pytest.raises(ValueError, match="adult has no time; criteo, avazu, ml100k, flights"):
        tables.load("adult", str(folder), "later")


def test_models_that_are_not_installed_are_skipped(folder, capsys, monkeypatch):
    monkeypatch.setitem(bench_accuracy.PACKAGES, "catboost", "no_such_library")
    runs = run(folder, "--models", "catboost", "HGB", "--sizes", "200")
    assert set(runs["model"]) == {"HGB"}
    assert "catboost is skipped: No module named 'no_such_library'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["catboost-es", "lightgbm", "lightgbm-te"])
def test_other_libraries_take_new_and_missing_levels(name):
    pytest.importorskip(bench_accuracy.PACKAGES[name])
    X, y = make_ctr_classification(300, random_state=0)
    X = X[["I1", "C1"]].assign(C2=["a", None, "b"] * 100)
    X.loc[::7, "I1"] = np.nan
    X_test = X[200:].assign(C2="new")
    p = bench_accuracy.register()[name](X[:200], np.asarray(y)[:200], X_test, 0)
    assert p.shape == (100,)
    assert np.isfinite(p).all()


def test_a_run_that_fails_leaves_the_others_alone(folder, capsys, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("no trees today")

    monkeypatch.setattr(bench_accuracy, "boosting", fail)
    register = {"HGB": fail, "da": lambda X, y, X_test, seed: np.full(len(X_test), 0.5)}
    monkeypatch.setattr(bench_accuracy, "register", lambda params=None: register)
    with pytest.raises(SystemExit, match="2 runs failed"):
        run(folder, "--sizes", "200")
    printed = capsys.readouterr()
    assert "random 200 adult seed 0 HGB failed: ValueError('no trees today')" in printed.err
    assert pd.read_csv(folder / "runs.csv")["model"].tolist() == ["da", "da"]


def test_what_is_refused(folder, capsys):
    with pytest.raises(SystemExit):
        run(folder, "--sizes", "many")
    assert "'many' is neither a number of rows nor 'all'" in capsys.readouterr().err
    (folder / "runs.csv").write_text("table,model,seed\nadult,LR,0\n")
    with pytest.raises(ValueError, match="is no file of runs"):
        run(folder)
    assert (folder / "runs.csv").read_text() == "table,model,seed\nadult,LR,0\n"


def made_up(scores):
    """Runs of a cell: model -> AUC of each split; logloss is 1 - AUC."""
    lines = [
        ["adult", "5000", "random", model, seed, auc, 1 - auc, seconds, 5000]
        for model, (aucs, seconds) in scores.items()
        for seed, auc in enumerate(aucs)
    ]
    return pd.DataFrame(lines, columns=list(accuracy_report.COLUMNS))


def test_verdict_compares_on_shared_splits():
    runs = made_up(
        {"da": ([0.8, 0.7], 4.0), "catboost-es": ([0.8, 0.698], 5.0), "lightgbm": ([0.801], 0.9)}
    )
    text = accuracy_report.to_markdown(runs, "da")
    assert "| adult | 5,000 | .7500 ± .0707 | .7490 ± .0721 | **.8010** |" in text
    assert "| adult | 5,000 | lightgbm | +.0010 | -.0010 |" in text
    assert "da ≥ catboost-es in 1 of 1 cells, within .0020 of the best in 1 of 1 cells." in text
    assert "| adult | 5,000 | lightgbm | -.0010 | +.0010 |" in text
    assert "da ≤ catboost-es in 1 of 1 cells" in text
    assert "| adult | 5,000 | 4.0 | 5.0 | 0.9 |" in text
    assert (
        "Median time of da ≤ catboost-es in 1 of 1 cells and ≤ 4 × lightgbm in 0 of 1 cells."
        in text
    )
    assert accuracy_report.to_markdown(runs[:0], "da") == "No runs yet."
    assert "+.0000 |" in accuracy_report.verdict(runs, "catboost-es", "auc")
    assert "0 of 0" in accuracy_report.verdict(runs, "pin", "auc")
