"""The loss: value, gradient, base score and link belong together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn._loss import HalfBinomialLoss

from sk_dynint._loss import BinaryCrossEntropy

ROWS = st.lists(
    st.tuples(st.floats(-30, 30), st.integers(0, 1), st.floats(0.1, 9)), min_size=1, max_size=9
)


@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(rows):
    logit, target, weight = np.array(rows, dtype=np.float64).T.copy()
    theirs, ours = HalfBinomialLoss(), BinaryCrossEntropy()
    value = ours(*map(torch.from_numpy, (logit, target, weight)))
    losses = theirs.loss(target, logit, sample_weight=weight)
    assert float(value) == pytest.approx(losses.sum(), rel=1e-9, abs=1e-12)
    tensors = [torch.from_numpy(a) for a in (logit, target, weight)]
    gradient = ours.gradient(*tensors, out=torch.empty(len(rows), dtype=torch.float64))
    expected = theirs.gradient(target, logit, sample_weight=weight)
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(logit), theirs.predict_proba(logit), atol=1e-12)
    np.testing.assert_array_equal(ours.predict(logit), logit > 0)


def test_base_logit_has_the_least_loss():
    target, weight = np.array([0.0, 1.0, 1.0, 0.0]), np.array([1.0, 2.0, 1.0, 0.5])
    loss = BinaryCrossEntropy()
    base = loss.base_logit(target, weight)
    assert base == pytest.approx(HalfBinomialLoss().fit_intercept_only(target, weight))
    one_class = [loss.base_logit(np.full(n, 1.0), np.ones(n)) for n in (3, 1_000)]
    np.testing.assert_allclose(one_class, [np.log(5), np.log(1_999)])
