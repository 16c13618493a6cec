"""The command, from file to file."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sk_dynint
from sk_dynint import DynIntClassifier, FieldEncoder
from sk_dynint.command import _parser, main
from sk_dynint.comparison import MODELS
from sk_dynint.datasets import read_table
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


def test_what_is_called_categorical_stays_as_it_is_written(tmp_path):
    """ "007", "07" and "7" were one level, "NA" a hole, and large ids beside a hole the same."""
    rng = np.random.default_rng(0)
    large = [str(2**53 + i) for i in range(8)]
    ids = rng.choice(["007", "07", "7", "NA", *large], 600)
    frame = pd.DataFrame({"id": ids, "n": rng.random(600).round(2)})
    frame["click"] = np.isin(ids, ["007", "NA", *large[::2]]).astype(int)
    frame.loc[::50, "id"] = ""
    frame.to_csv(tmp_path / "ids.csv", index=False)
    out = tmp_path / "runs.csv"
    fixed = ["--label", "click", "--categorical", "id", "--seeds", "1", "--quiet"]
    main(
        [
            "compare",
            "--data",
            str(tmp_path / "ids.csv"),
            "--models",
            "lr",
            *fixed,
            "--out",
            str(out),
        ]
    )
    assert pd.read_csv(out)["auc"].item() > 0.95


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


# -- fit and predict -------------------------------------------------------------------------------


def fit(path, out, *options, params=SMALL):
    fixed = ["--label", "click", "--drop", "id", "--params", json.dumps(params), "--quiet"]
    main(["fit", "--data", str(path), "--out", str(out), *fixed, *options])


def predict(model, data, out, *options):
    main(["predict", "--model", str(model), "--data", str(data), "--out", str(out), *options])
    return read_table(out)


def test_a_model_file_and_probabilities_from_it(clicks_file, tmp_path, capsys):
    model = tmp_path / "clicks.model"
    fit(clicks_file, model, "--categorical", "hour", "--seed", "3")
    shown = capsys.readouterr()
    assert shown.err == ""
    assert re.fullmatch(
        r".*clicks.model: dynint, 600 rows, 6 columns, best step \d+, AUC 0\.\d+, logloss 0\.\d+\n",
        shown.out,
    )
    found = predict(model, clicks_file, tmp_path / "p.csv", "--keep", "id", "hour")
    assert list(found) == ["id", "hour", "probability"]
    X = read_table(clicks_file, categorical_features=["hour"]).drop(columns="id")
    y = X.pop("click")
    expected = DynIntClassifier(**SMALL, random_state=3).fit(X, y).predict_proba(X)[:, 1]
    np.testing.assert_allclose(found["probability"].to_numpy(float), expected, rtol=1e-12)
    other = predict(model, tmp_path / "clicks.tsv.gz", tmp_path / "p.parquet")
    np.testing.assert_allclose(other["probability"], expected, rtol=1e-12)


def test_more_than_two_classes(tmp_path, capsys):
    """A column for each of them; compare trains and plots as ever."""
    path, out = tmp_path / "clicks.csv", tmp_path / "p.parquet"
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": range(400), "a": rng.choice([*"xyz"], 400), "b": rng.random(400)})
    frame.assign(click=frame["a"].map({"x": "no", "y": "yes", "z": "maybe"})).to_csv(
        path, index=False
    )
    fit(path, tmp_path / "m", params=SMALL | {"max_epochs": 20})
    assert re.search(r"AUC 1\.0000, logloss 0\.\d+", capsys.readouterr().out)
    found = predict(tmp_path / "m", path, out, "--keep", "id")
    assert list(found) == ["id", *(f"probability_{c}" for c in ("maybe", "no", "yes"))]
    np.testing.assert_allclose(found.iloc[:, 1:].sum(axis=1), 1)
    assert (found["probability_yes"].to_numpy() > 0.5).tolist() == (frame["a"] == "y").tolist()
    fit(path, tmp_path / "m", "--positive", "maybe")
    assert list(predict(tmp_path / "m", path, out)) == ["probability"]
    options = ["--label", "click", "--drop", "id", "--seeds", "1", "--quiet"]
    models = ["--models", "pin", "hgb", "--predictions", str(tmp_path / "predictions")]
    main(["compare", "--data", str(path), *options, *models])
    assert re.search(r"hgb +1 +1\.0000", capsys.readouterr().out)


def test_columns_are_read_as_in_fit(tmp_path):
    """Ten rows whose identifiers all look like numbers, of a model that knows them as text."""
    path = tmp_path / "clicks.csv"
    rng = np.random.default_rng(0)
    ids = rng.choice(["7", "07", "x"], 400)
    frame = pd.DataFrame({"site": ids, "n": rng.random(400), "id": 0, "click": ids == "7"})
    frame.to_csv(path, index=False)
    params = SMALL | {"max_epochs": 20}
    fit(path, tmp_path / "m", params=params)
    frame[ids != "x"].head(20).assign(n="").to_csv(tmp_path / "new.csv", index=False)
    found = predict(tmp_path / "m", tmp_path / "new.csv", tmp_path / "p.csv")["probability"]
    clicked = frame.loc[ids != "x", "click"].head(20).to_numpy()
    assert found[clicked].min() > found[~clicked].max()


def test_the_positive_class_weights_and_groups(clicks_file, tmp_path, capsys):
    frame = pd.read_csv(clicks_file)
    frame["click"] = np.where(frame["click"] == 1, "a click", "nothing")
    frame["weight"] = np.arange(600) % 3
    path = tmp_path / "named.csv"
    frame.to_csv(path, index=False)
    for positive in ("a click", "nothing"):
        options = ["--positive", positive, "--weight", "weight"]
        options += ["--validation", "groups", "--validation-column", "day"]
        fit(path, tmp_path / positive, *options)
    one, two = (
        predict(tmp_path / name, path, tmp_path / "p.csv")["probability"].to_numpy()
        for name in ("a click", "nothing")
    )
    assert np.corrcoef(one, two)[0, 1] < -0.9
    assert "5 columns" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--positive x is no label; there are"):
        fit(path, tmp_path / "m", "--positive", "x")
    run(
        path,
        "--positive",
        "a click",
        "--quiet",
        "--plot",
        str(tmp_path / "x.png"),
        "--reference",
        "da",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "nowhere/m"], "--out nowhere/m: there is no folder nowhere"),
        (["--model", "catboost"], "--model catboost cannot be fitted here|needs catboost"),
        (["--model", "dan"], "There is no model 'dan'"),
        (["--params", '{"layers": 3}'], "has no parameter 'layers'"),
        (["--params", '{"n_subspaces": 3}'], "n_subspaces=3 must divide"),
        (["--weight", "w"], "--weight names 'w', which is no column"),
        (["--numeric", "site"], "column 'site' was called numeric, but holds"),
        (["--categorical", "click"], "--categorical names 'click', which --label names already"),
        (["--data", "nowhere.csv"], "fit: .*No such file"),
    ],
)
def test_what_fit_refuses(clicks_file, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        fit(clicks_file, tmp_path / "m", *options)
    assert not (tmp_path / "m").exists()


def test_what_predict_refuses(clicks_file, tmp_path):
    model, out = tmp_path / "m", tmp_path / "p.csv"
    fit(clicks_file, model)
    (tmp_path / "no").write_bytes(b"no model")
    with pytest.raises(SystemExit, match=r"predict: .*no is no file that sk_dynint saved"):
        predict(tmp_path / "no", clicks_file, out)
    FieldEncoder().fit([["a"]]).save(tmp_path / "encoder")
    with pytest.raises(SystemExit, match=r"encoder holds a FieldEncoder, which predicts nothing"):
        predict(tmp_path / "encoder", clicks_file, out)
    with pytest.raises(SystemExit, match=r"p.txt must end with one of .parquet, .csv, .tsv"):
        predict(model, clicks_file, tmp_path / "p.txt")
    pd.DataFrame({"site": ["a"]}).to_csv(tmp_path / "short.csv", index=False)
    with pytest.raises(SystemExit, match=r"short.csv: there is no column 'hour'"):
        predict(model, tmp_path / "short.csv", out)
    with pytest.raises(SystemExit, match="there is no column 'x'"):
        predict(model, clicks_file, out, "--keep", "x")
    assert not out.exists()


# -- help ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["compare", "fit", "predict"])
def test_help_has_an_example_and_defaults(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert f"python -m sk_dynint {command} --" in shown.partition("example:")[2]
    assert ("(default: " in shown) == (command != "predict")


def test_version_and_abbreviations(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"sk_dynint {sk_dynint.__version__}\n"
    with pytest.raises(SystemExit):
        main(["predict", "--mod", "m", "--data", "d", "--out", "o"])


def test_help_waits_for_nothing():
    """Neither torch nor pandas is loaded for the help, nor torch for the encoder."""
    code = "import sys, sk_dynint.command as c\ntry: c.main(['fit', '--help'])\nexcept SystemExit: "
    for lines, absent in (
        (code + "pass", ("torch", "pandas", "sklearn", "numpy")),
        ("import sys, sk_dynint; sk_dynint.FieldEncoder", ("torch", "skorch")),
    ):
        check = f"{lines}\nassert not {set(absent)!r} & set(sys.modules)"
        subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT, capture_output=True)


def test_the_models_of_the_help():
    assert tuple(MODELS) == _parser.MODELS


def test_public_names():
    assert set(sk_dynint.__all__) <= set(dir(sk_dynint))
    assert all(getattr(sk_dynint, name) is not None for name in sk_dynint.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'DynInt'"):
        sk_dynint.DynInt  # noqa: B018
