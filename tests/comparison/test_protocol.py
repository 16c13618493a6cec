"""compare: which rows go where, what is measured, and what is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sk_dynint import compare, summarize
from sk_dynint.comparison import MODELS, _models, make_model
from sk_dynint.comparison._runs import COLUMNS
from tests.comparison.conftest import Recorder, Validating
from tests.conftest import fast


def parts_of(record):
    return [record[name] for name in ("train", "valid", "test")]


# -- which rows go where ---------------------------------------------------------------------------


def test_parts_are_disjoint_whole_and_in_proportion(table, log):
    X, y = table
    compare(X, y, {"a": Validating()}, seeds=2)
    for record in log:
        parts = parts_of(record)
        assert [len(part) for part in parts] == [350, 50, 100]
        assert sorted(np.concatenate(parts)) == list(range(500))
        rates = [(y[part] == "yes").mean() for part in parts]
        np.testing.assert_allclose(rates, (y == "yes").mean(), atol=0.02)


def test_models_of_a_seed_share_the_rows_and_seeds_differ(table, log):
    runs = compare(*table, {"a": Validating(), "b": Validating(noise=1)}, seeds=[3, 8])
    assert runs[["model", "seed"]].to_numpy().tolist() == [["a", 3], ["b", 3], ["a", 8], ["b", 8]]
    first, second, third, _ = log
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal(first[name], second[name])
        assert set(first[name]) != set(third[name])


def test_models_without_validation_rows_train_on_the_same_rows(table, log):
    compare(*table, {"a": Validating(), "b": Recorder()}, seeds=1)
    assert log[1]["valid"] is None
    np.testing.assert_array_equal(log[0]["train"], log[1]["train"])


def test_the_seed_reaches_every_part_of_a_clone(table, log):
    model = make_pipeline(FunctionTransformer(), Recorder(random_state=99))
    compare(*table, {"a": model}, seeds=[5])
    assert log[0]["seed"] == 5
    assert model[-1].random_state == 99
    assert not hasattr(model[-1], "rows_")


def test_split_by_time_respects_the_order(table, log):
    X, y = table
    time = pd.Series(np.random.default_rng(1).permutation(500))
    compare(X, y, {"a": Validating()}, seeds=2, time=pd.Timestamp(0) + pd.to_timedelta(time, "h"))
    train, valid, test = (time[part] for part in parts_of(log[0]))
    assert (train.max(), valid.min(), valid.max(), test.min()) == (349, 350, 399, 400)
    for one, other in zip(parts_of(log[0]), parts_of(log[1]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_rows_of_one_moment_stay_together(table, log, kind):
    time = np.repeat(np.arange(8), [50, 50, 50, 50, 70, 75, 65, 90])  # 270, 345, 410 of 500
    given = time if kind == "numbers" else [f"2024-01-3{i // 4}T0{i}:00" for i in time]
    compare(*table, {"a": Validating()}, seeds=1, time=given)
    days = [set(time[part]) for part in parts_of(log[0])]
    assert days == [{0, 1, 2, 3, 4, 5}, {6}, {7}]


# -- what is measured ------------------------------------------------------------------------------


def test_scores(table, log):
    X, y = table
    runs = compare(X, y, {"a": Recorder()}, seeds=1)
    assert list(runs) == list(COLUMNS)
    run, test = runs.loc[0], log[0]["test"]
    p = 1 / (1 + np.exp(-X["signal"][test]))
    positive = y[test] == "yes"
    rate = positive.mean()
    entropy = log_loss(positive, np.full(len(test), rate))
    assert run["auc"] == pytest.approx(roc_auc_score(positive, p))
    assert run["logloss"] == pytest.approx(log_loss(positive, p))
    assert run["rig"] == pytest.approx(1 - log_loss(positive, p) / entropy)
    assert run["train_rows_per_second"] == pytest.approx(350 / run["fit_seconds"])
    assert run["predict_rows_per_second"] > 0
    assert np.isnan(run["n_parameters_other"])


def test_the_base_rate_has_no_information(table):
    runs = compare(*table, {"a": DummyClassifier()}, seeds=1)
    assert runs.loc[0, "auc"] == 0.5
    assert runs.loc[0, "rig"] == pytest.approx(0, abs=1e-3)


def test_parameters_of_the_net(table):
    model = fast()
    runs = compare(*table, {"a": model}, seeds=1)
    rows = runs.loc[0, "n_parameters_embedding"] / model.embedding_dim
    assert rows == int(rows) > 35  # two numbers of about 32 bins, three levels
    fields = 3
    hidden = 1  # fields times dimension over 16
    gate = (fields * 4 + 1) * hidden + (hidden + 1) * fields
    assert runs.loc[0, "n_parameters_other"] == fields * fields + gate + fields + 1


def test_one_seed_twice_gives_the_same_scores(table):
    X, y = table
    scores = ["auc", "logloss", "rig"]
    runs = [compare(X, y, {"a": fast()}, seeds=[4])[scores] for _ in range(2)]
    pd.testing.assert_frame_equal(*runs)


def test_processes_give_the_same_runs_in_the_same_order(table):
    models = {"a": Recorder(), "b": Recorder(noise=1)}
    alone, together = (compare(*table, models, seeds=2, n_jobs=n) for n in (None, 2))
    clocks = [name for name in alone if "second" in name]
    pd.testing.assert_frame_equal(alone.drop(columns=clocks), together.drop(columns=clocks))


@pytest.mark.parametrize("kind", [pl.from_pandas, lambda X: X.to_numpy()], ids=["polars", "array"])
def test_other_tables(table, kind):
    X, y = table
    runs = compare(kind(X), y == "yes", {"a": fast()}, seeds=1)
    assert runs.loc[0, "auc"] > 0.6


def test_quiet_unless_verbose(table, capsys):
    compare(*table, {"a": Recorder()}, seeds=1)
    assert capsys.readouterr() == ("", "")
    compare(*table, {"a": Recorder()}, seeds=2, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2/2" in err


# -- named models ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed():
    """Columns of all kinds, with holes, and a level that only some parts have."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "count": np.where(rng.random(600) < 0.1, np.nan, rng.integers(0, 50, 600)),
            "flag": rng.random(600) < 0.5,
            "site": pd.Categorical(rng.choice(["a", "b", None], 600)),
            "device": [f"d{i % 250}" if i % 3 else None for i in range(600)],
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 60, 600), "D"),
            "spent": pd.to_timedelta(rng.integers(0, 60, 600), "s"),
            "big": pd.array(rng.choice([1, 2, None], 600), dtype="Int64"),
        }
    )
    logit = X["flag"] * 2 - 1 + 0.03 * X["count"].fillna(0)
    return X, (rng.random(600) < 1 / (1 + np.exp(-logit))).astype(int)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["hgb", "onehot-lr", "lightgbm", "catboost"])
def test_references_take_every_column(mixed, name, n_classes, capfd):
    if name in ("lightgbm", "catboost"):
        pytest.importorskip(name)
    X, y = mixed
    y = y * (1 + (n_classes - 2) * X["flag"])
    runs = compare(X, y, [name], seeds=2)
    assert (runs["auc"] > 0.6).all()
    assert capfd.readouterr() == ("", "")
    model = make_model(name).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (600, n_classes)
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(model.predict(X), p.argmax(1))


def test_scores_of_several_classes(mixed, tmp_path):
    """Those of scikit-learn, and intervals from the probabilities of all classes."""
    X, y = mixed
    y = np.array(["no", "maybe", "yes"])[y * (1 + X["flag"])]
    models = {"da": fast(), "shares": DummyClassifier()}
    runs = compare(X, y, models, seeds=1, predictions=tmp_path).set_index("model")
    assert runs.loc["shares", "auc"] == 0.5
    assert runs.loc["shares", "rig"] == pytest.approx(0, abs=1e-3)
    with np.load(tmp_path / "da-0.npz") as file:
        target, proba = file["target"], file["proba"]
    assert proba.shape == (120, 3)
    auc = roc_auc_score(target, proba, multi_class="ovr")
    assert runs.loc["da", ["auc", "logloss"]].tolist() == [auc, log_loss(target, proba)]
    summary = summarize(runs.reset_index(), "shares", predictions=tmp_path)
    assert summary.loc["da", "auc_low"] < auc - 0.5 < summary.loc["da", "auc_high"]


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"lightgbm", "catboost"}))
def test_names_make_new_estimators(name):
    assert make_model(name) is not make_model(name)
    assert "random_state" in make_model(name).get_params() or name == "onehot-lr"


def test_a_library_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs lightgbm: pip install .*'sk-dynint\[bench\]'"):
        make_model("lightgbm")


def test_names_and_estimators_together(table):
    runs = compare(*table, {"ours": fast(), "trees": "hgb"}, seeds=1)
    assert runs["model"].tolist() == ["ours", "trees"]
    assert runs["estimator"][1].startswith("HistGradientBoosting(")


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["pni"], "There is no model 'pni'; there are dynint, pin, da"),
        ("pin", "list of names or a mapping, got 'pin'"),
        ([], "models is empty"),
        ({"a": LinearSVC()}, r"models\['a'\] must have predict_proba, got LinearSVC"),
        ({"a": 3}, r"models\['a'\] must be an estimator or the name of a model, got 3"),
    ],
)
def test_wrong_models(table, models, message):
    with pytest.raises(ValueError, match=message):
        compare(*table, models)


@pytest.mark.parametrize("seeds", [0, [], [1, 1], [-1]], ids=str)
def test_wrong_seeds(table, seeds):
    with pytest.raises(ValueError, match="seeds must be a number above 0 or different numbers"):
        compare(*table, {"a": Recorder()}, seeds=seeds)


def test_wrong_labels(table):
    X, y = table
    for labels, message in [
        (np.arange(500) / 7, "Unknown label type: continuous"),
        (np.zeros(500), r"two or more classes, got one: \[0\.0\]"),
        (np.where(np.arange(500) < 3, np.nan, 1.0), "3 missing labels of 500"),
        (y[:-1], "X has 500 rows, but y has 499 labels"),
        (np.arange(500) < 3, "rarest class has 3 rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            compare(X, labels, {"a": Recorder()})


def test_wrong_times(table):
    X, y = table
    for time, message in [
        (np.arange(499), "time has 499 entries, but X has 500 rows"),
        (np.where(np.arange(500) < 3, np.nan, 1), "time has 3 missing entries"),
        (["31/01/2024", "01/02/2024"] * 250, "no ISO 8601 dates, such as '31/01/2024'"),
        (np.zeros(500), r"the valid part has 0 rows of 0 class\(es\).*too coarse"),
    ]:
        with pytest.raises(ValueError, match=message):
            compare(X, y, {"a": Recorder()}, time=time)
