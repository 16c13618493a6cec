"""The command, from file to file."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sk_dynint
from sk_dynint.command import main
from tests.conftest import make_clicks

ROOT = Path(sk_dynint.__file__).parents[1]
SMALL = {"max_epochs": 2, "n_layers": 1, "n_subspaces": 1, "embedding_dim": 4}
PARAMS = json.dumps({"da": SMALL, "pin": SMALL})


@pytest.fixture
def clicks_file(tmp_path):
    X, y = make_clicks()
    frame = X.assign(click=y, id=range(len(X)))
    frame.to_csv(tmp_path / "clicks.csv", index=False)
    frame.to_csv(tmp_path / "clicks.tsv.gz", index=False, sep="\t")
    frame.to_parquet(tmp_path / "clicks.parquet")
    return tmp_path / "clicks.csv"


def run(path, *options, models=("pin", "da")):
    fixed = ["--label", "click", "--params", PARAMS, "--drop", "id", "--seeds", "2"]
    main(["compare", "--data", str(path), "--models", *models, *fixed, *options])


@pytest.mark.slow
def test_in_a_process_of_its_own(clicks_file):
    command = [sys.executable, "-m", "sk_dynint", "compare", "--data", str(clicks_file)]
    command += ["--label", "click", "--models", "pin", "da", "--params", PARAMS, "--seeds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["pin", "da"]
    assert "2/2" in done.stderr


def test_from_file_to_file(clicks_file, tmp_path, capsys):
    out, plot = tmp_path / "runs.csv", tmp_path / "runs.png"
    options = ["--out", str(out), "--plot", str(plot), "--categorical", "hour", "--quiet"]
    run(clicks_file, *options)
    first, errors = capsys.readouterr()
    assert errors == ""
    assert first.split()[:4] == ["n_seeds", "auc", "auc_sd", "logloss"]
    runs = pd.read_csv(out)
    assert runs[["model", "seed"]].to_numpy().tolist() == [
        ["pin", 0], ["da", 0], ["pin", 1], ["da", 1],
    ]  # fmt: skip
    assert runs["estimator"].str.contains("max_epochs=2").all()
    assert plot.read_bytes().startswith(b"\x89PNG")
    run(clicks_file, *options)
    assert capsys.readouterr().out == first
    assert len(pd.read_csv(out)) == 4


def test_other_files_and_a_split_by_time(clicks_file, tmp_path, capsys):
    sizes = set()
    for name in ("clicks.csv", "clicks.tsv.gz", "clicks.parquet"):
        out = tmp_path / f"{name}.csv"
        run(
            tmp_path / name,
            "--time-column",
            "day",
            "--out",
            str(out),
            "--quiet",
            models=["da", "pin"],
        )
        sizes.add(pd.read_csv(out).loc[0, "n_train"])
    assert len(sizes) == 1
    assert capsys.readouterr().out.count("auc_difference") == 3


def test_one_model_has_no_differences(clicks_file, capsys):
    run(clicks_file, "--quiet", "--params", "{}", models=["onehot-lr"])
    assert "difference" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drop", "nothing"], "--drop names 'nothing', which is no column of .*click"),
        (["--drop", "click"], "--drop names 'click', which --label names already"),
        (["--plot", "x.foo"], r"--plot x.foo must end with one of .*\.png"),
        (["--plot", "nowhere/x.png"], "there is no folder nowhere"),
        (["--params", '{"da": {"n_subspaces": 3}}'], r"models\['da'\]: n_subspaces=3 must divide"),
        (["--time-column", "when"], "--time-column names 'when'"),
        (["--label", "site"], "y has .* missing labels"),
        (["--label", "hour"], "exactly two classes, got 24"),
        (["--label", "clock"], "--label names 'clock'"),
        (["--models", "pin"], r"--params names \['da'\], --models are \['pin'\]"),
        (["--models", "pin", "da", "dan"], "There is no model 'dan'"),
        (["--reference", "dwp"], r"--reference dwp is not among --models \['pin', 'da'\]"),
        (["--data", "x.json"], r"x.json must end with one of .parquet, .csv, .tsv"),
        (["--data", "x.csv"], "No such file"),
        (["--params", '{"da": {"layers": 3}}'], "has no parameter 'layers'"),
    ],
)
def test_what_is_refused(clicks_file, options, message):
    with pytest.raises(SystemExit, match=message):
        run(clicks_file, *options)


def test_params_that_are_no_objects(clicks_file, capsys):
    with pytest.raises(SystemExit):
        run(clicks_file, "--params", "[1]")
    assert "must be an object, got [1]" in capsys.readouterr().err
