"""Statistics against SciPy and plain formulas, and the picture."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import ComparisonDisplay, compare, summarize
from sk_dynint.comparison import paired_t
from sk_dynint.comparison._summary import delong, paired_logloss, row_logloss
from tests.comparison.conftest import Recorder

mpl.use("Agg")
from matplotlib import pyplot as plt


def make_runs(n_seeds=4, models=("pin", "da", "hgb"), seed=0):
    rng = np.random.default_rng(seed)
    runs = pd.DataFrame(
        [(model, seed) for seed in range(n_seeds) for model in models], columns=["model", "seed"]
    )
    for score in ("auc", "logloss", "rig", "fit_seconds"):
        runs[score] = rng.random(len(runs))
    return runs


# -- formulas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_paired_t_is_that_of_scipy(confidence):
    a, b = np.random.default_rng(0).random((2, 6))
    interval = stats.ttest_rel(a, b).confidence_interval(confidence)
    expected = (np.mean(a - b), interval.low, interval.high)
    np.testing.assert_allclose(paired_t(a - b, confidence), expected)


def plain_delong(y, p, q):
    """Variance of the difference of two AUCs, by all pairs."""
    positive, negative = np.flatnonzero(y == 1), np.flatnonzero(y == 0)

    def kernel(scores):
        d = scores[positive][:, None] - scores[negative][None, :]
        return (d > 0) + 0.5 * (d == 0)

    d = kernel(p) - kernel(q)
    return d.mean(), d.mean(1).var(ddof=1) / len(positive) + d.mean(0).var(ddof=1) / len(negative)


@pytest.mark.parametrize("decimals", [1, 8], ids=["ties", "no ties"])
def test_delong_is_that_of_all_pairs(decimals):
    rng = np.random.default_rng(0)
    y = rng.random(300) < 0.3
    p, q = ((y * 0.3 + rng.random((2, 300))) / 1.3).round(decimals)
    difference, variance = plain_delong(y, p, q)
    found = delong(y, p, q)
    assert found.difference == pytest.approx(roc_auc_score(y, p) - roc_auc_score(y, q))
    assert found.difference == pytest.approx(difference)
    assert found.high - found.difference == pytest.approx(stats.norm.ppf(0.975) * variance**0.5)
    assert found.difference - found.low == pytest.approx(stats.norm.ppf(0.975) * variance**0.5)


def make_probabilities(n=300, seed=0):
    """Labels of three classes, and two models' probabilities, the second less sure."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    logits = np.array([[1.5], [1.0]])[..., None] * np.eye(3)[y] + rng.standard_normal((2, n, 3))
    odds = np.exp(logits)
    return y, *(odds / odds.sum(2, keepdims=True))


def test_delong_of_several_classes():
    """The difference is that of the mean AUCs, and the interval that of other rows."""
    y, p, q = make_probabilities()
    found = delong(y, p, q)
    aucs = [roc_auc_score(y, each, multi_class="ovr") for each in (p, q)]
    assert found.difference == pytest.approx(aucs[0] - aucs[1])
    assert found.high - found.difference == pytest.approx(found.difference - found.low)
    others = [delong(*make_probabilities(seed=seed)).difference for seed in range(1, 301)]
    half = stats.norm.ppf(0.975) * np.std(others)
    assert found.high - found.difference == pytest.approx(half, rel=0.15)


def test_two_columns_of_two_classes_are_one():
    rng = np.random.default_rng(0)
    y, p, q = (rng.random(200) < 0.4).astype(int), *rng.random((2, 200))
    both = [np.column_stack([1 - each, each]) for each in (p, q)]
    for compare_rows in (delong, paired_logloss):
        np.testing.assert_allclose(compare_rows(y, *both), compare_rows(y, p, q), atol=1e-12)


def test_logloss_of_several_classes():
    y, p, q = make_probabilities()
    assert row_logloss(y, p).mean() == pytest.approx(log_loss(y, p))
    assert paired_logloss(y, p, q).difference == pytest.approx(log_loss(y, p) - log_loss(y, q))


def test_delong_covers_as_often_as_it_says():
    """Two scores of equal quality: 95 % of the intervals hold 0."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        y = rng.random(200) < 0.4
        low, high = delong(y, *(y + rng.standard_normal((2, 200)) * 1.5))[1:]
        held += low <= 0 <= high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_logloss_of_rows():
    rng = np.random.default_rng(0)
    y, p, q = rng.random(50) < 0.5, *rng.random((2, 50))
    p[:2] = 0, 1
    assert row_logloss(y, p).mean() == pytest.approx(log_loss(y, p))
    found = paired_logloss(y, p, q)
    d = row_logloss(y, p) - row_logloss(y, q)
    assert found.difference == pytest.approx(log_loss(y, p) - log_loss(y, q))
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * stats.sem(d))


# -- summary ---------------------------------------------------------------------------------------


def test_summary():
    runs = make_runs()
    summary = summarize(runs, "pin")
    assert summary.index.tolist() == ["pin", "da", "hgb"]
    da, pin = (runs[runs["model"] == name].set_index("seed") for name in ("da", "pin"))
    line = summary.loc["da"]
    assert line["n_seeds"] == 4
    for score in ("auc", "logloss"):
        assert line[score] == pytest.approx(da[score].mean())
        assert line[f"{score}_sd"] == pytest.approx(da[score].std())
        interval = stats.ttest_rel(da[score], pin[score]).confidence_interval()
        assert line[f"{score}_difference"] == pytest.approx((da[score] - pin[score]).mean())
        assert (line[f"{score}_low"], line[f"{score}_high"]) == pytest.approx(tuple(interval))
    assert line["fit_seconds"] == pytest.approx(da["fit_seconds"].mean())
    assert summary.loc["pin", "auc_difference"] == 0
    assert "auc_low" not in summarize(runs)


def test_only_seeds_of_both_are_paired():
    runs = make_runs()
    some = runs[(runs["model"] != "da") | (runs["seed"] < 2)]
    a, b = (some[some["model"] == name].set_index("seed")["auc"] for name in ("da", "pin"))
    expected = stats.ttest_rel(a, b[:2]).confidence_interval()
    line = summarize(some, "pin").loc["da"]
    assert (line["auc_low"], line["auc_high"]) == pytest.approx(tuple(expected))
    none = runs[(runs["model"] != "da") == (runs["seed"] < 2)]
    assert np.isnan(summarize(none, "pin").loc["da", "auc_difference"])


def test_one_seed(table, tmp_path):
    models = {"a": Recorder(), "b": Recorder(noise=1)}
    runs = compare(*table, models, seeds=1, predictions=tmp_path)
    line = summarize(runs, "a").loc["b"]
    assert line["auc_difference"] == pytest.approx(runs["auc"][1] - runs["auc"][0])
    assert np.isnan(line["auc_low"])
    assert np.isnan(line["auc_sd"])
    line = summarize(runs, "a", predictions=tmp_path).loc["b"]
    for score in ("auc", "logloss"):
        assert line[f"{score}_difference"] == pytest.approx(runs[score][1] - runs[score][0])
        assert line[f"{score}_low"] < line[f"{score}_difference"] < line[f"{score}_high"]


def test_wrong_runs():
    runs = make_runs()
    for wrong, options, message in [
        (
            runs,
            {"reference": "x"},
            r"reference='x' is not among the models: \['pin', 'da', 'hgb'\]",
        ),
        (runs, {"confidence": 1}, "confidence must be between 0 and 1, got 1"),
        (runs.drop(columns="seed"), {}, "no column 'seed'"),
        (pd.concat([runs, runs]), {}, "more than one line of 'pin' with seed 0"),
        (runs.assign(fingerprint=runs["seed"]), {}, "of 4 data sets or splits"),
    ]:
        with pytest.raises(ValueError, match=message):
            summarize(wrong, **options)


# -- picture ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.mark.parametrize("metric", ["auc", "logloss", "rig"])
def test_one_bar_for_each_model(metric):
    display = ComparisonDisplay.from_runs(make_runs(), metric=metric)
    assert len(display.errorbars_) == 3
    assert len(display.ax_.containers) == 3
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["pin", "da", "hgb"]
    summary = summarize(make_runs())
    for bar, mean, sd in zip(
        display.errorbars_, summary[metric], summary[f"{metric}_sd"], strict=True
    ):
        assert bar.lines[0].get_xdata() == pytest.approx([mean])
        (start, end) = bar.lines[2][0].get_segments()[0][:, 0]
        assert (start, end) == pytest.approx((mean - sd, mean + sd))


def test_the_reference_is_set_apart():
    figure, ax = plt.subplots()
    display = ComparisonDisplay.from_runs(make_runs(), reference="da", ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert [bar.has_xerr for bar in display.errorbars_] == [True, False, True]
    assert "difference from da (paired 95 % interval)" in ax.get_xlabel()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["pin", "da (reference)", "hgb"]
    colors = [bar.lines[0].get_color() for bar in display.errorbars_]
    assert colors[0] == colors[2] != colors[1] == display.reference_line_.get_color()


def test_differences_are_paired_by_seed():
    runs = make_runs()
    runs["auc"] = 0.5 + 0.1 * runs["seed"] + 0.01 * (runs["model"] == "pin")  # the same in each
    bar, *_ = ComparisonDisplay.from_runs(runs, reference="da").errorbars_
    start, end = bar.lines[2][0].get_segments()[0][:, 0]
    assert (start, end) == pytest.approx((0.01, 0.01))


def test_one_seed_has_points_alone():
    display = ComparisonDisplay.from_runs(make_runs(n_seeds=1))
    assert [bar.has_xerr for bar in display.errorbars_] == [False] * 3


def test_wrong_metric():
    with pytest.raises(ValueError, match=r"metric='f1'; with reference=None it must be one of"):
        ComparisonDisplay.from_runs(make_runs(), metric="f1")
    with pytest.raises(ValueError, match=r"metric='rig'; with reference='da'"):
        ComparisonDisplay.from_runs(make_runs(), metric="rig", reference="da")


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'sk-dynint\[plot\]'"):
        ComparisonDisplay.from_runs(make_runs())
