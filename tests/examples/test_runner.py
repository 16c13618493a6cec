"""examples/paper: runs are made once, whatever happens in between."""

import data_sets
import numpy as np
import pandas as pd
import pytest
import results
import runner

SCORES = ["model", "config", "seed", "valid_logloss", "auc", "logloss", "n_steps", "history"]


def run(task, out, **params):
    options = {"seeds": [0, 1], "rows": 300, "say": lambda text: None}
    return runner.run_tasks([task], out, **options | params)


@pytest.fixture
def counted(monkeypatch):
    """Runs that were made; raises once when there are `fatal` of them."""
    made, make_run = [], runner.make_run

    def make(model, config, rows, seed):
        if len(made) == make.fatal:
            make.fatal = None
            raise KeyboardInterrupt
        made.append((model, str(config), seed))
        return make_run(model, config, rows, seed)

    make.fatal = None
    monkeypatch.setattr(runner, "make_run", make)
    return made, make


def test_killed_and_resumed_is_the_same_as_undisturbed(tiny, counted, tmp_path):
    made, make = counted
    whole = run(tiny, tmp_path / "whole.csv")
    assert len(whole) == len(made) == 4 + 2  # the second seed has the winners only
    made.clear()
    make.fatal = 5
    out = tmp_path / "killed.csv"
    with pytest.raises(KeyboardInterrupt):
        run(tiny, out)
    assert len(pd.read_csv(out)) == 5
    out.write_bytes(out.read_bytes()[:-40])  # the last line was half written
    resumed = run(tiny, out)
    assert len(made) == 5 + 2
    assert len(set(made)) == 6
    pd.testing.assert_frame_equal(resumed[SCORES], whole[SCORES])
    from_file = results.PaperRuns(out).to_frame()
    pd.testing.assert_frame_equal(from_file[SCORES], whole[SCORES])
    made.clear()
    run(tiny, out)
    assert not made


def test_choice_looks_at_validation_only_and_waits_for_all_configurations(tiny, tmp_path):
    runs = run(tiny, tmp_path / "runs.csv")
    best = results.chosen(runs, "tiny", "synthetic", "quick")
    assert best[["group", "seed"]].values.tolist() == [["LR", 0], ["LR", 1], ["da", 0], ["da", 1]]
    for _, line in best.iterrows():
        first = runs[(runs["model"] == line["model"]) & (runs["seed"] == 0)]
        assert len(first) == 2
        assert line["config"] == first["config"][first["valid_logloss"].idxmin()]
    worse = runs.assign(auc=np.nan, logloss=-runs["logloss"])
    again = results.chosen(worse, "tiny", "synthetic", "quick")
    assert again["config"].tolist() == best["config"].tolist()
    fewer = results.chosen(runs.iloc[:-1], "tiny", "synthetic", "quick")
    assert fewer[["group", "seed"]].values.tolist() == [["LR", 0], ["LR", 1], ["da", 0]]
    open_still = results.chosen(runs.iloc[1:], "tiny", "synthetic", "quick")
    assert set(open_still["group"]) == {"da"}


def test_other_rows_are_refused(tiny, tmp_path):
    run(tiny, tmp_path / "runs.csv", seeds=[0])
    with pytest.raises(ValueError, match=r"on other rows \(300 of them\)"):
        run(tiny, tmp_path / "runs.csv", rows=301)


@pytest.mark.parametrize("rows", [150, 201, None])
def test_other_rows_are_refused_when_no_run_is_missing(tiny, counted, tmp_path, rows):
    X, y = data_sets.load("synthetic", rows=202)
    path, out = tmp_path / "rows.parquet", tmp_path / "runs.csv"
    X.assign(label=y).to_parquet(path)
    task = tiny._replace(path=path)
    whole = run(task, out, rows=200)
    made, _ = counted
    made.clear()
    pd.testing.assert_frame_equal(run(task, out, rows=200)[SCORES], whole[SCORES])
    with pytest.raises(ValueError, match=r"on other rows \(200 of them\)"):
        run(task, out, rows=rows)
    assert not made


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no file of runs"):
        results.PaperRuns(path)
    assert path.read_text() == "a,b\n1,2\n"


def test_a_run_that_diverges_is_written_down_and_not_chosen(tiny, tmp_path, monkeypatch):
    def explode(self, *args, **kwargs):
        raise ValueError("the training loss became nan in evaluation period 1")

    monkeypatch.setattr("sk_dynint._base.BaseCTRClassifier.fit", explode)
    runs = run(tiny, tmp_path / "runs.csv")
    assert runs["error"].str.startswith("the training loss became nan").all()
    assert results.chosen(runs, "tiny", "synthetic", "quick").empty


def test_parts_and_encoding():
    X, y = data_sets.load("synthetic", rows=400)
    rows = runner.Rows("synthetic", "paper", X, y)
    parts = rows.split(0)
    assert parts.test.tolist() == list(range(320, 400))  # the last 20 %
    assert [len(part) for part in parts] == [280, 40, 80]
    assert np.sort(np.concatenate(parts)).tolist() == list(range(400))
    data, labels = rows.encoded(0)
    assert rows.encoded(0)[0] is data  # once for all models
    assert data["train"].shape == (280, 39)
    assert len(labels["valid"]) == 40
    encoder = data["test"].encoder
    assert (data["train"].indices.max(0) == encoder.cardinalities_ - 1).all()  # its own levels
    assert (data["test"].indices.max(0) < encoder.cardinalities_).all()
    flights = runner.Rows("flights", "quick", *data_sets.load("flights", rows=400))
    assert flights.split(0).test.tolist() != flights.split(1).test.tolist()


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("criteo", "C1", [7, 8]),
        ("frappe", "user", [7, 8]),
        ("avazu", "C14", [7, 8]),
        ("ipinyou", "slotid", [7, 8]),
    ],
)
def test_identifiers_become_strings(tmp_path, name, column, values):
    data = data_sets.DATASETS[name]
    numbers = {"criteo": "I1", "ipinyou": "slotprice"}
    dropped = dict.fromkeys(data.drop, values)
    frame = pd.DataFrame({column: values, data.label: [0, 1]} | dropped)
    if name in numbers:
        frame[numbers[name]] = [3, 4]
    frame.to_parquet(tmp_path / "x.parquet")
    X, y = data_sets.load(name, tmp_path / "x.parquet")
    assert X[column].tolist() == ["7", "8"]
    assert y.tolist() == [0, 1]
    assert set(X) == {column} | ({numbers[name]} if name in numbers else set())
    if name in numbers:
        assert X[numbers[name]].tolist() == [3, 4]


def test_files_as_they_were_published(tmp_path):
    path = tmp_path / "train.txt"
    line = "\t".join(["1", *["5"] * 13, *["68fd1e64"] * 26])
    path.write_text(f"{line}\n" * 3)
    X, y = data_sets.load("criteo", path, rows=2)
    assert X.shape == (2, 39)
    assert y.tolist() == [1, 1]


def test_a_file_that_is_missing_is_asked_for():
    with pytest.raises(ValueError, match="needs --path"):
        data_sets.load("criteo")


def test_processes_make_the_same_runs(tiny, tmp_path):
    alone, shared = (run(tiny, tmp_path / f"{n}.csv", jobs=n) for n in (1, 2))
    keys = ["model", "config", "seed"]
    alone, shared = (runs.sort_values(keys, ignore_index=True) for runs in (alone, shared))
    assert shared[keys].equals(alone[keys])
    scores = ["valid_logloss", "auc", "logloss"]
    np.testing.assert_allclose(shared[scores], alone[scores], atol=1e-5)
