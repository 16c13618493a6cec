"""Probabilities after negative rows were left out, and rates of levels that are not known."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss

import sk_dynint
from sk_dynint import BaselineClassifier, FieldEncoder
from sk_dynint._warnings import warnings_ignored
from sk_dynint.preprocessing import FieldEncoder as Encoder
from tests.conftest import fast


@pytest.fixture(scope="module")
def sampled():
    """Rows with a known probability of a click, .05 in the mean, and a tenth of those without."""
    rng = np.random.default_rng(0)
    n = 60_000
    X = pd.DataFrame({name: rng.choice(list("abcdef"), n) for name in ("site", "ad", "hour")})
    effect = dict(zip("abcdef", [-1.2, -0.6, 0.0, 0.3, 0.7, 1.0], strict=True))
    p = expit(-3.5 + X["site"].map(effect) + X["ad"].map(effect)).to_numpy()
    y = (rng.random(n) < p).astype(int)
    kept = (y == 1) | (rng.random(n) < 0.1)
    return X, y, p, kept


@pytest.mark.parametrize(
    "make", [fast, lambda **p: BaselineClassifier("deepfm", max_epochs=5, **p)]
)
def test_probabilities_are_those_of_all_rows(sampled, make):
    X, y, p, kept = sampled
    params = {"random_state": 0, "early_stopping": False}
    model = make(negative_sampling_rate=0.1, **params).fit(X[kept], y[kept])
    proba = model.predict_proba(X)[:, 1]
    assert y[kept].mean() > 0.3
    assert proba.mean() == pytest.approx(p.mean(), rel=0.05)
    assert np.abs(logit(proba) - logit(p)).mean() < 0.15
    with warnings_ignored():  # of the end of training
        of_all = make(**params).fit(X, y).predict_proba(X)[:, 1]
    assert log_loss(y, proba) == pytest.approx(log_loss(y, of_all), abs=0.002)


def test_the_formula(sampled):
    X, y, _, kept = sampled
    model = fast().fit(X[kept], y[kept])
    p = model.predict_proba(X)[:, 1]
    corrected = model.set_params(negative_sampling_rate=0.1)  # after fit
    q = corrected.predict_proba(X)
    np.testing.assert_allclose(q[:, 1], p / (p + (1 - p) / 0.1), rtol=1e-12)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(corrected.decision_function(X), logit(q[:, 1]), rtol=1e-9)
    np.testing.assert_array_equal(corrected.predict(X), (q[:, 1] > 0.5).astype(int))


def test_it_is_saved(sampled, tmp_path):
    X, y, _, kept = sampled
    model = fast(negative_sampling_rate=0.25).fit(X[kept], y[kept])
    model.save(tmp_path / "model")
    again = sk_dynint.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_rates_that_make_no_sense(clicks):
    X, y = clicks
    for rate in (0, 1.5, -1):
        with pytest.raises(ValueError, match=r"'negative_sampling_rate' .* in the range \(0.0, 1"):
            fast(negative_sampling_rate=rate).fit(X, y)
    with pytest.raises(ValueError, match=r"negative_sampling_rate=0.5, but y has the classes \[0"):
        fast(negative_sampling_rate=0.5).fit(X, np.arange(len(y)) % 3)


@pytest.fixture(scope="module")
def known():
    """A fitted model, and rows of which a part is new."""
    X = pd.DataFrame(
        {
            "site": ["a", "b"] * 100 + ["rare"] * 2 + [None] * 98,
            "price": np.arange(300.0),
            "tags": [["x"], ["x", "y"], []] * 100,
        }
    )
    y = np.arange(300) % 2
    encoder = FieldEncoder(min_count=5, crosses=[("site", "price")], target_statistics=False)
    return fast(encoder=encoder, early_stopping=False).fit(X, y), X


def test_unseen_rate(known):
    model, X = known
    in_fit = model.unseen_rate(X)
    assert list(in_fit.index) == ["site", "tags", "site:price"]
    np.testing.assert_allclose(in_fit["unseen"], in_fit["in_fit"])
    assert in_fit.loc["site"].tolist() == pytest.approx([2 / 202, 2 / 202])
    new = X.assign(site=["a", "new", "newer", None, "b"] * 60, tags=[["z"], ["x", "z", "y"]] * 150)
    rates = model.unseen_rate(new)
    assert rates.loc["site", "unseen"] == pytest.approx(0.5)
    assert rates.loc["tags", "unseen"] == pytest.approx(2 / 3)  # lists are cut after two elements
    assert np.isnan(model.unseen_rate(X.assign(site=None)).loc["site", "unseen"])
    pd.testing.assert_frame_equal(model.unseen_rate(new.to_dict("records")), rates)


def test_a_warning_on_request(known):
    model, X = known
    new = X.assign(site=["a", "new"] * 150)
    model.unseen_rate(new)
    model.unseen_rate(X, warn_above=0.0)
    with pytest.warns(UserWarning, match=r"has risen: site \(50%, 1% in fit\)"):
        model.unseen_rate(new, warn_above=0.3)
    model.unseen_rate(new, warn_above=0.6)


def test_other_encoders_do_not_tell(clicks):
    class Other(Encoder):
        pass

    X, y = clicks
    assert len(fast(encoder=Other()).fit(X, y).unseen_rate(X))
    model = fast().fit(X, y)
    model.encoder_ = object()
    with pytest.raises(TypeError, match="object does not tell which values it knows"):
        model.unseen_rate(X)
