"""examples/paper/run.py: one command for all tables and figures."""

import re

import pandas as pd
import pytest
import run
from experiments import EXPERIMENTS, ON_CRITEO_ALONE
from runner import Task

ONE_RUN = ["--rows", "300", "--seeds", "1", "--configurations", "1", "--models", "lr"]


def test_a_table_is_made_and_printed(tmp_path, capsys):
    out = tmp_path / "runs.csv"
    run.main(["table1", "--out", str(out), *ONE_RUN])
    printed = capsys.readouterr().out
    assert printed.startswith("1/1 synthetic lr seed 0: ")
    assert "**Table 1: all models — synthetic, grid `quick`**" in printed
    assert pd.read_csv(out)["model"].tolist() == ["lr"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]
    run.main(["table1", "--out", str(out), *ONE_RUN])
    assert "1/1" not in capsys.readouterr().out


def test_figures_are_drawn_on_request(tmp_path, capsys):
    out, folder = tmp_path / "runs.csv", tmp_path / "figures"
    options = ["--rows", "300", "--seeds", "1", "--grid", "quick"]
    run.main(["figure4", "--out", str(out), "--figures", str(folder), *options])
    assert [path.name for path in folder.iterdir()] == ["figure4_synthetic_quick.png"]
    assert str(folder / "figure4_synthetic_quick.png") in capsys.readouterr().out


def test_what_the_paper_shows_once_is_made_on_the_first_data_set():
    sources = [("criteo", "train.txt"), ("flights", None)]
    everything = tuple(EXPERIMENTS)
    of_all = tuple(name for name in everything if name not in ON_CRITEO_ALONE)
    assert of_all == ("table1", "table3", "table4")
    first, second = Task("criteo", "train.txt", everything), Task("flights", None, of_all)
    assert run.tasks_of(["table3", "all"], sources) == [first, second]
    some = run.tasks_of(["figure6", "table3", "figure6"], sources)
    assert [task.names for task in some] == [("figure6", "table3"), ("table3",)]


def test_a_path_may_stand_alone_or_beside_the_name(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(run, "run_tasks", lambda tasks, *args, **params: made.extend(tasks))
    monkeypatch.setattr(run, "to_markdown", lambda *args: "")
    for options in (["criteo", "--path", "x.txt"], ["criteo=x.txt"]):
        run.main(["table1", "--data", *options])
    assert made == [Task("criteo", "x.txt", ("table1",))] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["table9"], r"invalid choice: 'table9' \(choose from .*table1.*figure7.*all"),
        ([], "required: experiment"),
        (["table1", "--data", "imdb"], "'imdb' is none of criteo, avazu"),
        (["table1", "--models", "dan"], r"invalid choice: 'dan' \(choose from .*dwp"),
        (["table1", "--data", "criteo=x", "--path", "y"], "file of a single data set"),
        (["table1", "--data", "criteo", "avazu", "--path", "y"], "file of a single data set"),
    ],
)
def test_what_is_refused(options, message, capsys):
    with pytest.raises(SystemExit):
        run.main(options)
    assert re.search(message, capsys.readouterr().err)


def test_help_names_every_experiment(capsys):
    with pytest.raises(SystemExit):
        run.main(["--help"])
    text = capsys.readouterr().out
    for name, cells in EXPERIMENTS.items():
        assert f"{name:9} {cells.__doc__}" in text
