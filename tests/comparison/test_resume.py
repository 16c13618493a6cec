"""compare with `out`: what was finished stays, what was cut off is made again."""

import os

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed

from sk_dynint import compare, summarize
from sk_dynint.comparison import RunsFile, fingerprint
from tests.comparison.conftest import Recorder

TWO = {"a": Recorder(), 'b, "c"': Recorder(noise=1)}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs.csv"


def test_file_and_frame_agree(table, out):
    runs = compare(*table, TWO, seeds=2, out=out)
    pd.testing.assert_frame_equal(pd.read_csv(out).astype(runs.dtypes), runs)
    pd.testing.assert_frame_equal(compare(*table, TWO, seeds=2, out=out), runs)


def test_finished_runs_are_not_made_again(table, out, log):
    compare(*table, TWO, seeds=2, out=out)
    assert len(log) == 4
    more = TWO | {"d": Recorder(noise=2)}
    runs = compare(*table, more, seeds=3, out=out)
    assert len(log) == 4 + 5
    assert len(runs) == 9
    assert len(compare(*table, {"a": Recorder()}, seeds=[2], out=out)) == 1
    assert len(log) == 9


def test_killed_in_the_middle(table, out, log):
    class Killed(Recorder):
        fatal = True

        def fit(self, X, y):
            if self.fatal and self.random_state == 1:
                raise RuntimeError("killed")
            return super().fit(X, y)

    models = {"a": Recorder(), "b": Killed()}
    with pytest.raises(RuntimeError, match="killed"):
        compare(*table, models, seeds=3, out=out)
    assert [(run.model, run.seed) for run in pd.read_csv(out).itertuples()] == [
        ("a", 0), ("b", 0), ("a", 1),
    ]  # fmt: skip
    Killed.fatal = False
    runs = compare(*table, models, seeds=3, out=out)
    assert len(log) == 6
    assert runs["auc"].notna().all()
    assert len(pd.read_csv(out)) == 6


@pytest.mark.parametrize("kept", [0, 1, 30, -1, -40], ids=str)
def test_a_half_written_line_is_made_again(table, out, log, kept):
    """`kept` bytes of the file (from the start), or all but so many."""
    expected = compare(*table, TWO, seeds=1, out=out)
    scores = ["model", "seed", "auc", "logloss", "estimator", "fingerprint"]
    content = out.read_bytes()
    out.write_bytes(content[:kept])
    runs = compare(*table, TWO, seeds=1, out=out)
    pd.testing.assert_frame_equal(runs[scores], expected[scores])
    assert len(log) == 2 + (1 if kept < 0 else 2)
    assert out.read_bytes().count(b"\n") == 3
    assert len(pd.read_csv(out)) == 2


COLUMNS = {"model": str, "seed": int, "auc": float}
KEY = ("model", "seed")


def test_a_line_is_one_write(out, monkeypatch):
    writes, write = [], os.write
    monkeypatch.setattr("os.write", lambda fd, text: writes.append(text) or write(fd, text))
    file = RunsFile(out, COLUMNS, KEY)
    file.append({"model": "a", "seed": 0, "auc": 0.5})
    file.append({"model": "b", "seed": 1, "auc": 0.5})
    assert writes == [b"model,seed,auc\na,0,0.5\n", b"b,1,0.5\n"]


@pytest.mark.parametrize("n_kept", [0, 3])
def test_a_full_disk_leaves_no_half_line(out, monkeypatch, n_kept):
    file = RunsFile(out, COLUMNS, KEY)
    file.append({"model": "a", "seed": 0, "auc": 0.5})
    before, write = out.read_bytes(), os.write
    monkeypatch.setattr("os.write", lambda fd, text: write(fd, text[:n_kept]))
    with pytest.raises(OSError, match=rf"runs.csv: {n_kept} of 8 bytes could be written"):
        file.append({"model": "b", "seed": 1, "auc": 0.5})
    assert out.read_bytes() == before


@pytest.mark.slow
def test_many_writers_of_a_new_file(tmp_path):
    for attempt in range(20):
        path = tmp_path / f"{attempt}.csv"
        Parallel(4)(delayed(_write_runs)(path, name) for name in "abcd")
        lines = path.read_text().splitlines()
        assert lines[0] == "model,seed,auc"
        assert sorted(lines[1:]) == sorted(f"{m},{s},0.5" for m in "abcd" for s in range(5))


def _write_runs(path, model):
    for seed in range(5):
        RunsFile(path, COLUMNS, KEY).append({"model": model, "seed": seed, "auc": 0.5})


@pytest.mark.parametrize(
    ("line", "why"),
    [("b,x,0.5", "invalid literal"), ("b,1", "shorter"), ("b,1,0.5,7", "longer|argument")],
)
def test_a_broken_line_is_named(out, line, why):
    out.write_text(f"model,seed,auc\na,0,0.5\n{line}\n")
    with pytest.raises(ValueError, match=rf"runs.csv, line 3: '{line}' is no run \(.*({why})"):
        RunsFile(out, COLUMNS, KEY)


def test_what_cannot_be_written_is_said_before_anything_is_trained(table, tmp_path, log):
    with pytest.raises(ValueError, match=r"runs.csv: there is no folder .*nowhere"):
        compare(*table, TWO, out=tmp_path / "nowhere" / "runs.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; it must be a folder"):
        compare(*table, TWO, predictions=tmp_path / "file")
    assert not log


def test_columns_that_became_categories_are_other_data(out, log):
    """The example of a bug report: ids made categories, and a rerun gave the stale runs."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": rng.integers(0, 9, 300), "flag": rng.random(300) < 0.5})
    X = X.assign(row=range(300), signal=0.5)
    y = rng.integers(0, 2, 300)
    compare(X, y, {"a": Recorder()}, seeds=1, out=out)
    others = (X.astype({"id": "category"}), X.astype({"flag": int}), X.astype({"id": str}))
    for other in others:
        with pytest.raises(ValueError, match="runs on other data or another split"):
            compare(other, y, {"a": Recorder()}, seeds=1, out=out)
    with pytest.raises(ValueError, match="runs on other data or another split"):
        compare(X, y, {"a": Recorder()}, seeds=1, out=out, categorical_features=["id"])
    assert len(log) == 1


def test_the_box_of_a_column_is_not_part_of_the_data():
    X = pd.DataFrame({"site": ["a", "b", None] * 5, "n": np.arange(15.0), "id": np.arange(15)})
    boxes = ("str", object, "category", "string[python]", "string[pyarrow]")
    found = {fingerprint(X.astype({"site": box}), np.arange(15) % 2) for box in boxes}
    assert len(found) == 1


def test_other_data_or_split_is_refused(table, out):
    X, y = table
    compare(X, y, {"a": Recorder()}, seeds=1, out=out)
    changed = X.copy()
    changed.loc[499, "site"] = "z"
    flipped = np.where(np.arange(500) == 7, np.where(y == "yes", "no", "yes"), y)
    renamed = X.assign(more=1).rename(columns={"site": "page"}).drop(columns="more")
    for args, more in [
        ((changed, y), {}),
        ((X, flipped), {}),
        ((renamed, y), {}),
        ((X[:-1], y[:-1]), {}),
        ((X, y), {"time": np.arange(500)}),
    ]:
        before = out.read_bytes()
        with pytest.raises(ValueError, match=r"runs.csv holds runs on other data or another split"):
            compare(*args, {"a": Recorder()}, seeds=1, out=out, **more)
        assert out.read_bytes() == before


def test_other_parameters_under_the_same_name_are_refused(table, out):
    compare(*table, {"a": Recorder()}, seeds=1, out=out)
    with pytest.raises(
        ValueError, match=r"runs of 'a' as Recorder\(\), not as Recorder\(noise=2\)"
    ):
        compare(*table, {"a": Recorder(noise=2)}, seeds=1, out=out)


@pytest.mark.parametrize("content", ["x,y\n1,2\n", "x,y\n1,2", "model"], ids=repr)
def test_foreign_files_are_refused_and_left_alone(table, out, content):
    out.write_text(content + "" if content != "model" else "model;seed")
    before = out.read_bytes()
    with pytest.raises(ValueError, match=r"is no file of runs: its first line is b'"):
        compare(*table, {"a": Recorder()}, out=out)
    assert out.read_bytes() == before


def test_predictions_are_kept_and_missing_ones_made(table, out, tmp_path, log):
    folder = tmp_path / "predictions"
    options = {"seeds": 1, "out": out, "predictions": folder}
    runs = compare(*table, TWO, **options)
    assert len(list(folder.glob("*.npz"))) == 2
    compare(*table, TWO, **options)
    assert len(log) == 2
    next(folder.glob("a-*.npz")).unlink()
    compare(*table, TWO, **options)
    assert len(log) == 3
    assert len(pd.read_csv(out)) == 2  # not written down twice
    summary = summarize(runs, "a", predictions=folder)
    assert summary["auc_low"].notna().tolist() == [False, True]
    with pytest.raises(ValueError, match="predictions of other data or another split"):
        summarize(runs.assign(fingerprint="0"), "a", predictions=folder)


def test_runs_come_back_as_a_frame_with_the_types_of_the_columns(tmp_path):
    columns = {"model": str, "seed": int, "auc": float}
    file = RunsFile(tmp_path / "runs.csv", columns, ["model", "seed"])
    for model, seed in [("a", 0), ("b", 0), ("a", 1)]:
        file.append({"model": model, "seed": seed, "auc": seed + 0.5})
    again = RunsFile(tmp_path / "runs.csv", columns, ["model", "seed"])
    pd.testing.assert_frame_equal(again.to_frame(), file.to_frame())
    some = again.to_frame([("a", 1), ("a", 0)])
    assert some.to_numpy().tolist() == [["a", 1, 1.5], ["a", 0, 0.5]]
    assert [dtype.kind for dtype in some.dtypes[1:]] == ["i", "f"]
    empty = RunsFile(None, columns, ["model", "seed"]).to_frame()
    assert list(empty) == list(columns)
    assert empty.empty
