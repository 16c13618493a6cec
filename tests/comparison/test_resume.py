"""compare with `out`: what was finished stays, what was cut off is made again."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sk_dynint import compare, summarize
from sk_dynint.comparison import RunsFile
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
KEY = ["model", "seed"]
HEADER = "model,seed,auc\n"


def test_a_short_write_goes_on(out, monkeypatch):
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, text: write(descriptor, text[:3]))
    RunsFile(out, COLUMNS, KEY).append({"model": "a", "seed": 0, "auc": 0.5})
    assert out.read_text() == HEADER + "a,0,0.5\n"


@pytest.mark.parametrize("n_before", [0, 1])
def test_a_full_disk_leaves_no_half_line(out, monkeypatch, n_before):
    file = RunsFile(out, COLUMNS, KEY)
    for seed in range(n_before):
        file.append({"model": "a", "seed": seed, "auc": 0.5})
    before = out.read_bytes() if n_before else b""
    write, room = os.write, [2, 0]

    def fill(descriptor, text):
        if not (n := room.pop(0)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, text[:n])

    monkeypatch.setattr("os.write", fill)
    with pytest.raises(OSError, match="No space left"):
        file.append({"model": "b", "seed": 0, "auc": 0.5})
    assert out.read_bytes() == before
    assert ("b", 0) not in file.runs
    monkeypatch.setattr("os.write", write)
    file.append({"model": "b", "seed": 0, "auc": 0.5})
    assert list(RunsFile(out, COLUMNS, KEY).runs) == [("a", 0), ("b", 0)][1 - n_before :]


def test_a_line_that_another_process_left_unfinished_is_removed(out):
    file = RunsFile(out, COLUMNS, KEY)
    out.write_text(HEADER + "a,0,0.5\nb,0,0.")
    file.append({"model": "c", "seed": 0, "auc": 0.5})
    assert out.read_text() == HEADER + "a,0,0.5\nc,0,0.5\n"


def test_several_writers_leave_one_header_and_every_line(out):
    """Threads stand for processes: the lock belongs to an open file, not to a process."""
    names, paths = "abcd", [f"{out}{i}" for i in range(100)]
    barrier = threading.Barrier(len(names))

    def write(name):
        for file in [RunsFile(path, COLUMNS, KEY) for path in paths]:
            barrier.wait()
            file.append({"model": name, "seed": 0, "auc": 0.5})

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(write, names))
    for path in paths:
        header, *lines = Path(path).read_text().splitlines(keepends=True)
        assert header == HEADER
        assert sorted(lines) == [f"{name},0,0.5\n" for name in names]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"b,0", "got 2 cells, allowed are 3"),
        (b"b,0,0.5,1", "got 4 cells, allowed are 3"),
        (b"b,zero,0.5", "seed is 'zero', allowed is int"),
        (b"b,0," + b"x" * 1000, f"auc is '{'x' * 40}', allowed is float"),
        (b"model,seed,auc", "seed is 'seed', allowed is int"),
        (b"b\xff,0,0.5", "'utf-8' codec can't decode byte 0xff"),
        (b"b" * 200_000, "field larger than field limit"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_broken_line_is_named(out, line, message):
    content = HEADER.encode() + b'a,0,0.5\n"a\nb",0,0.5\n' + line + b"\nc,0,0.5\n"
    out.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"runs\.csv, line 5: {message}.* Remove the line"
    ) as info:
        RunsFile(out, COLUMNS, KEY)
    assert len(str(info.value)) < 300 + len(str(out))
    assert out.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"out": "nowhere/runs.csv"}, FileNotFoundError, "there is no folder .*nowhere"),
        ({"out": "file/runs.csv"}, FileNotFoundError, "there is no folder .*file"),
        ({"out": "folder"}, IsADirectoryError, "folder"),
        ({"predictions": "file"}, NotADirectoryError, "predictions: .*file is no folder"),
        ({"predictions": "file/new"}, NotADirectoryError, "predictions: .*new is no folder"),
    ],
    ids=str,
)
def test_places_are_checked_before_anything_is_trained(
    table, tmp_path, log, options, error, message
):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    options = {name: tmp_path / path for name, path in options.items()}
    with pytest.raises(error, match=message):
        compare(*table, {"a": Recorder()}, seeds=1, **options)
    assert not log


@pytest.mark.parametrize("name", ["out", "predictions"])
def test_what_may_not_be_written_to_is_refused_first(table, tmp_path, log, monkeypatch, name):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(PermissionError, match="may not be written to"):
        compare(*table, {"a": Recorder()}, seeds=1, **{name: tmp_path / "new"})
    assert not log


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


def test_columns_called_categorical_are_other_data(out, log):
    """Ids were made categories, and a rerun gave the stale runs."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": rng.integers(0, 9, 300), "row": range(300), "signal": 0.5})
    y = rng.integers(0, 2, 300)
    compare(X, y, {"a": Recorder()}, seeds=1, out=out)
    with pytest.raises(ValueError, match="runs on other data or another split"):
        compare(X, y, {"a": Recorder()}, seeds=1, out=out, categorical_features=["id"])
    with pytest.raises(ValueError, match="runs on other data or another split"):
        compare(X.astype({"id": "category"}), y, {"a": Recorder()}, seeds=1, out=out)
    assert len(log) == 1
