"""Synthetic clicks: rows, labels and the truth behind them."""

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sk_dynint.datasets import make_ctr_classification
from sk_dynint.datasets._truth import PARTS, Truth, draw_fields

SMALL = {"n_numeric": 2, "n_categorical": 5, "cardinalities": 30, "return_proba": True}
NOT_STATIC = {"instance_dependent": 0}
NOT_LINEAR = {"pairwise": 0, "third_order": 0, "instance_dependent": 0}


@pytest.fixture(scope="module")
def clicks():
    """Rows of the default shape."""
    return make_ctr_classification(50_000, return_proba=True, random_state=0)


# -- rows ------------------------------------------------------------------------------------------


def test_shape_names_and_dtypes(clicks):
    X, y, proba = clicks
    numeric, strings = X.columns[:13], X.columns[13:]
    assert list(numeric) == [f"I{i}" for i in range(1, 14)]
    assert list(strings) == [f"C{i}" for i in range(1, 27)]
    assert (X[numeric].dtypes == "float64").all()
    for name in strings:
        assert X[name].dropna().str.fullmatch("[0-9a-f]{8}").all()
    assert y.dtype == np.int64
    assert proba.dtype == np.float64
    assert len(X) == len(y) == len(proba) == 50_000
    assert X.index.equals(pd.RangeIndex(50_000))


def test_numbers_are_counts_with_heavy_tails(clicks):
    values = clicks[0].iloc[:, :13]
    assert ((values >= 0) | values.isna()).all(axis=None)
    assert ((values % 1 == 0) | values.isna()).all(axis=None)
    assert (values.quantile(0.99) >= 5 * values.median().clip(lower=1)).mean() > 0.8


def test_missing(clicks):
    shares = clicks[0].isna().mean()
    assert shares.mean() == pytest.approx(0.1, abs=0.03)
    assert shares.max() < 0.21
    X, _ = make_ctr_classification(500, missing=0, random_state=0)
    assert not X.isna().any(axis=None)


def test_cardinalities_and_zipf():
    X, _ = make_ctr_classification(
        60_000,
        n_numeric=0,
        n_categorical=3,
        cardinalities=[2, 7, 1000],
        zipf_exponent=1.0,
        missing=0,
        random_state=0,
    )
    assert X.nunique().to_list() == [2, 7, 1000]
    counts = X["C3"].value_counts().to_numpy()
    ranks = np.array([10, 20, 50, 100])
    slope = np.polyfit(np.log(ranks), np.log(counts[ranks - 1]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.15)
    assert not set(X["C1"]) & set(X["C2"])


def test_exponent_zero_makes_levels_equally_frequent():
    X, _ = make_ctr_classification(
        40_000, n_numeric=3, n_categorical=2, cardinalities=4, zipf_exponent=0, third_order=0,
        missing=0, random_state=0,
    )  # fmt: skip
    np.testing.assert_allclose(X["C1"].value_counts(normalize=True), 0.25, atol=0.02)


def test_default_cardinalities_grow_like_criteo():
    X, _ = make_ctr_classification(20_000, n_numeric=0, random_state=0, linear=0, third_order=0)
    levels = X.nunique().to_numpy()
    assert levels[0] == 3
    assert levels[-1] > 5_000
    assert 50_000 < levels.sum() < 120_000


def test_hidden_factors_correlate_fields(clicks):
    """Fields 1, 4, 7, ... share a factor: their most frequent levels come together."""
    X = clicks[0]
    top = {name: X[name] == X[name].mode()[0] for name in ("C1", "C4", "C5")}
    assert np.corrcoef(top["C1"], top["C4"])[0, 1] > 0.05
    assert abs(np.corrcoef(top["C1"], top["C5"])[0, 1]) < 0.02


@pytest.mark.parametrize("shape", [(0, 3), (1, 2), (4, 0), (0, 1)])
def test_few_columns(shape):
    n_numeric, n_categorical = shape
    strengths = {} if n_categorical > 2 else {"third_order": 0}
    if n_categorical < 2:
        strengths = NOT_LINEAR
    X, y, proba = make_ctr_classification(
        2000, n_numeric=n_numeric, n_categorical=n_categorical, cardinalities=2,
        return_proba=True, random_state=0, **strengths,
    )  # fmt: skip
    assert X.shape == (2000, n_numeric + n_categorical)
    assert roc_auc_score(y, proba) > 0.6


def test_one_row():
    X, y = make_ctr_classification(1, missing=0.5, random_state=0)
    assert X.shape == (1, 39)
    assert y.shape == (1,)


# -- seeds -----------------------------------------------------------------------------------------


def test_same_seed_same_data():
    (X, y, proba), (X_again, y_again, proba_again) = (
        make_ctr_classification(500, random_state=3, **SMALL) for _ in range(2)
    )
    pd.testing.assert_frame_equal(X, X_again)
    np.testing.assert_array_equal(y, y_again)
    np.testing.assert_array_equal(proba, proba_again)


def test_data_do_not_change_between_versions():
    X, _, proba = make_ctr_classification(5, random_state=0, **SMALL)
    assert X["C1"].to_list() == ["8ebcf868", "2423441c", "9d012ae0", "2423441c", "15df11a4"]
    np.testing.assert_array_equal(X["I1"], [np.nan, np.nan, 1, 3, 340])
    np.testing.assert_allclose(proba, [0.340405, 0.29691, 0.150652, 0.4171, 0.20643], atol=1e-6)


def test_other_seed_other_data():
    X, _, _ = make_ctr_classification(500, random_state=0, **SMALL)
    for random_state in (1, None):
        other, _, _ = make_ctr_classification(500, random_state=random_state, **SMALL)
        assert not X.equals(other)


def test_random_state_instance_is_used_and_advanced():
    rng = np.random.RandomState(0)
    X, _, _ = make_ctr_classification(100, random_state=rng, **SMALL)
    other, _, _ = make_ctr_classification(100, random_state=rng, **SMALL)
    again, _, _ = make_ctr_classification(100, random_state=np.random.RandomState(0), **SMALL)
    assert not X.equals(other)
    pd.testing.assert_frame_equal(X, again)


@pytest.mark.parametrize("random_state", [0, None])
def test_global_generator_is_untouched(random_state):
    before = np.random.get_state()  # noqa: NPY002
    make_ctr_classification(100, random_state=random_state, **SMALL)
    for was, now in zip(before, np.random.get_state(), strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(was, now)


def test_samples_share_the_truth():
    """Equal rows of two samples have equal probabilities, of two truths they do not."""
    options = {"n_numeric": 0, "n_categorical": 3, "cardinalities": 3, "return_proba": True}

    def truth_of(**seeds):
        X, _, proba = make_ctr_classification(4000, **options, **seeds)
        return X.fillna("").assign(p=proba).groupby(["C1", "C2", "C3"])["p"].agg(["min", "max"])

    one, two, other = (
        truth_of(random_state=0),
        truth_of(random_state=1),
        truth_of(random_state=0, truth_seed=1),
    )
    np.testing.assert_allclose(one["min"], one["max"], rtol=1e-12)
    both = one.index.intersection(two.index)
    assert len(both) > 20
    np.testing.assert_allclose(one.loc[both], two.loc[both], rtol=1e-12)
    both = one.index.intersection(other.index)
    assert (one.loc[both] - other.loc[both]).abs().max(axis=None) > 0.1


# -- truth -----------------------------------------------------------------------------------------


def test_probabilities_are_calibrated(clicks):
    _, y, proba = clicks
    deciles = pd.qcut(proba, 10, labels=False)
    got = pd.DataFrame({"y": y, "p": proba}).groupby(deciles).mean()
    np.testing.assert_allclose(got["y"], got["p"], atol=4 * 0.5 / math.sqrt(5000))
    assert got["p"].iloc[-1] - got["p"].iloc[0] > 0.5


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.8])
def test_positive_rate(rate):
    _, y, proba = make_ctr_classification(20_000, positive_rate=rate, random_state=0, **SMALL)
    assert proba.mean() == pytest.approx(rate, abs=0.01)
    assert y.mean() == pytest.approx(rate, abs=0.015)


def test_oracles_of_the_default_truth(clicks):
    X, y, proba = clicks
    options = {"return_proba": True, "random_state": 0}
    X_static, _, static = make_ctr_classification(50_000, **options, **NOT_STATIC)
    _, _, linear = make_ctr_classification(50_000, **options, **NOT_LINEAR)
    pd.testing.assert_frame_equal(X, X_static)  # rows do not depend on the strengths
    assert roc_auc_score(y, proba) == pytest.approx(0.80, abs=0.01)
    assert roc_auc_score(y, static) == pytest.approx(0.74, abs=0.01)
    assert roc_auc_score(y, linear) == pytest.approx(0.67, abs=0.01)


def test_logistic_regression_is_far_below_the_truth():
    X, y, proba = make_ctr_classification(
        20_000, n_numeric=0, n_categorical=8, cardinalities=10, return_proba=True, random_state=0
    )
    model = make_pipeline(OneHotEncoder(), LogisticRegression(max_iter=200))
    p = model.fit(X.fillna("")[:15_000], y[:15_000]).predict_proba(X.fillna("")[15_000:])[:, 1]
    assert roc_auc_score(y[15_000:], p) < roc_auc_score(y[15_000:], proba[15_000:]) - 0.06


def test_strength_is_the_standard_deviation_of_the_part():
    for part in PARTS:
        strengths = dict.fromkeys(PARTS, 0.0) | {part: 1.3}
        _, _, proba = make_ctr_classification(20_000, random_state=0, **SMALL, **strengths)
        assert np.std(np.log(proba / (1 - proba))) == pytest.approx(1.3, rel=0.05)


def test_no_strength_no_signal():
    _, _, proba = make_ctr_classification(500, random_state=0, **SMALL, **dict.fromkeys(PARTS, 0))
    np.testing.assert_allclose(proba, 0.25, atol=1e-9)


def test_another_field_turns_the_sign_of_a_pair():
    """The interaction of C1 and C2 (a difference of differences) has both signs along C3."""
    X, _, proba = make_ctr_classification(
        20_000, n_numeric=0, n_categorical=3, cardinalities=[2, 2, 12], zipf_exponent=0.3,
        missing=0, linear=0, pairwise=0, third_order=0, return_proba=True, random_state=0,
    )  # fmt: skip
    logit = pd.Series(np.log(proba / (1 - proba))).groupby([X["C3"], X["C1"], X["C2"]]).mean()
    cells = logit.unstack([1, 2]).to_numpy()
    assert cells.shape == (12, 4)
    contrast = cells[:, 0] - cells[:, 1] - cells[:, 2] + cells[:, 3]
    assert contrast.max() > 0.5
    assert contrast.min() < -0.5


def plain_hash(level, key):
    """SplitMix64 of one level, with Python's whole numbers."""
    mask = 2**64 - 1
    x = (level * 0x9E3779B97F4A7C15 + key) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return ((((x ^ (x >> 31)) >> 11) * 2.0**-53) - 0.5) * math.sqrt(12)


def test_instance_dependent_part_against_its_definition():
    """Σ_k tanh(1.5 q_k(x)) ⟨v_i(x_i), v_j(x_j)⟩, number by number."""
    strengths = dict.fromkeys(PARTS, 0.0) | {"instance_dependent": 0.8}
    truth = Truth(draw_fields(0, [20] * 8, 1.0, 0.1, 7), strengths, 0.25, 7)
    rows = truth.draw(25, np.random.default_rng(0))
    part = PARTS.index("instance_dependent")

    def score(k, i, d, row):
        entropy = np.random.SeedSequence([7, 2, part, k, i, d])
        raw = plain_hash(int(rows[i][row]), int(entropy.generate_state(1, np.uint64)[0]))
        mean, sd = truth.moments[part, k, i, d]
        return (raw - mean) / sd

    mean, sd = truth.moments[("instance_dependent",)]
    terms = truth.terms["instance_dependent"]
    assert len(terms) == 3
    for row, logit in enumerate(truth.logit(rows)):
        value = 0.0
        for k, term in enumerate(terms):
            (i, j), gate = term.fields, term.gate
            assert not {i, j} & set(gate)
            pair = sum(score(k, i, d, row) * score(k, j, d, row) for d in (0, 1))
            q = sum(score(k, g, 2, row) for g in gate) / math.sqrt(len(gate))
            value += math.tanh(1.5 * q) * pair
        assert logit == pytest.approx(truth.bias + 0.8 * (value - mean) / sd, rel=1e-9)


def test_scores_have_mean_zero_and_variance_one():
    truth = Truth(draw_fields(3, [10] * 6, 1.0, 0.1, 0), {"linear": 1.0}, 0.25, 0)
    rows = truth.draw(100_000, np.random.default_rng(1))
    for i, (field, column) in enumerate(zip(truth.fields, rows, strict=True)):
        key = np.random.SeedSequence([0, 2, 0, i, i, 0]).generate_state(1, np.uint64)[0]
        mean, sd = truth.moments[0, i, i, 0]
        score = (field.score(column, key) - mean) / sd
        assert score.mean() == pytest.approx(0, abs=0.02)
        assert score.std() == pytest.approx(1, abs=0.02)


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, r"'n_samples' .* must be an int in the range \[1, inf\). Got 0"),
        ({"n_numeric": -1}, "'n_numeric' .* Got -1"),
        ({"zipf_exponent": -0.1}, "'zipf_exponent' .* Got -0.1"),
        ({"missing": 0.6}, r"'missing' .* in the range \[0.0, 0.5\]. Got 0.6"),
        ({"linear": -1}, "'linear' .* Got -1"),
        ({"pairwise": float("nan")}, "'pairwise' .* Got nan"),
        ({"instance_dependent": float("inf")}, "'instance_dependent' .* Got inf"),
        ({"third_order": "much"}, "'third_order' .* Got 'much'"),
        ({"positive_rate": 0}, r"'positive_rate' .* in the range \(0.0, 1.0\). Got 0"),
        ({"positive_rate": 1.0}, "'positive_rate' .* Got 1.0"),
        ({"truth_seed": -1}, "'truth_seed' .* Got -1"),
        ({"random_state": "x"}, "'random_state' .* Got 'x'"),
        ({"return_proba": "yes"}, "'return_proba' .* Got 'yes'"),
        ({"cardinalities": 1}, "'cardinalities' .* Got 1"),
        ({"cardinalities": [2, 3]}, r"must be an int or have shape \(26,\).* got shape \(2,\)"),
        ({"cardinalities": [1] * 26}, r"whole numbers from 2 to 2147483647, got \[1, "),
        ({"cardinalities": [2.5] * 26}, r"whole numbers from 2 to .* got \[2.5, "),
        ({"n_numeric": 0, "n_categorical": 0}, "leave no columns"),
        ({"n_categorical": 1}, r"pairwise=0.65 needs n_categorical >= 2, got 1; .* pairwise=0"),
        ({"n_categorical": 2}, r"third_order=0.45 needs n_categorical >= 3, got 2"),
        (
            {"n_categorical": 1, "pairwise": 0, "third_order": 0},
            r"instance_dependent=0.8 needs n_categorical >= 2, got 1",
        ),
        (
            {"n_numeric": 0, "n_categorical": 2, "third_order": 0},
            r"needs a third column .* got n_numeric=0 and n_categorical=2",
        ),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        make_ctr_classification(**{"n_samples": 10} | options)


def test_parameters_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        make_ctr_classification(10, 13)
