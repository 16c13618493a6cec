"""The loss: value, gradient, base score and link belong together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss

from sk_dynint._loss import BinaryCrossEntropy, SoftmaxCrossEntropy, loss_for
from tests.references import central_differences

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


# --- more than two classes


@given(
    rows=st.lists(
        st.tuples(
            st.lists(st.floats(-30, 30), min_size=3, max_size=3),
            st.integers(0, 2),
            st.floats(0.1, 9),
        ),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=60, deadline=None)
def test_several_classes_agree_with_numpy_and_with_scikit_learn(rows):
    columns = zip(*rows, strict=True)
    logit, target, weight = (np.array(column, dtype=np.float64) for column in columns)
    ours, theirs = SoftmaxCrossEntropy(3), HalfMultinomialLoss(n_classes=3)
    tensors = [torch.from_numpy(a) for a in (logit, target, weight)]
    plain = -log_softmax(logit, axis=1)[np.arange(len(rows)), target.astype(int)]
    assert float(ours(*tensors)) == pytest.approx((weight * plain).sum(), rel=1e-9, abs=1e-12)
    gradient = ours.gradient(*tensors, out=torch.empty(len(rows), 3, dtype=torch.float64))
    proba = np.exp(log_softmax(logit, axis=1))
    expected = weight[:, None] * (proba - np.eye(3)[target.astype(int)])
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(
        gradient.numpy(), theirs.gradient(target, logit, sample_weight=weight), atol=1e-9
    )
    np.testing.assert_allclose(ours.predict_proba(logit), proba, atol=1e-12)
    np.testing.assert_allclose(ours.predict_proba(logit).sum(1), 1, rtol=1e-14)
    np.testing.assert_array_equal(ours.predict(logit), logit.argmax(1))


def test_gradient_of_several_classes_is_the_slope():
    rng = np.random.default_rng(0)
    logit, target, weight = rng.normal(size=(4, 3)), rng.integers(0, 3, 4), rng.uniform(1, 2, 4)
    loss, given = SoftmaxCrossEntropy(3), (torch.from_numpy(target), torch.from_numpy(weight))
    found = loss.gradient(torch.from_numpy(logit), *given, out=torch.empty(4, 3).double())
    expected = central_differences(
        lambda p: float(loss(torch.from_numpy(p["logit"]), *given)), {"logit": logit}
    )
    np.testing.assert_allclose(found.numpy(), expected["logit"], atol=1e-7)


def test_base_logits_have_the_least_loss():
    target, weight = np.array([0.0, 1.0, 2.0, 2.0]), np.array([1.0, 2.0, 1.0, 0.5])
    loss = SoftmaxCrossEntropy(3)
    base = loss.base_logit(target, weight)
    theirs = HalfMultinomialLoss(n_classes=3).fit_intercept_only(target, weight)
    np.testing.assert_allclose(base, theirs)
    np.testing.assert_allclose(loss.predict_proba(base[None])[0], np.array([1, 2, 1.5]) / 4.5)


def test_a_class_without_rows_can_still_be_learnt():
    loss = SoftmaxCrossEntropy(3)
    base = loss.base_logit(np.array([0.0, 0.0, 2.0, 2.0]), np.ones(4))
    proba = loss.predict_proba(base[None])[0]
    np.testing.assert_allclose(proba / proba.max(), [1, 0.25, 1])


def test_one_vs_rest():
    """Two classes have one AUC, of the logit; more have one each, of its probability."""
    target, logit = np.array([0.0, 1.0]), np.array([0.3, 0.4])
    ((positive, score),) = BinaryCrossEntropy().one_vs_rest(target, logit)
    assert positive.tolist() == [False, True]
    assert score is logit
    loss, logit = SoftmaxCrossEntropy(3), np.log([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
    found = list(loss.one_vs_rest(target, logit))
    assert [positive.tolist() for positive, _ in found] == [[1, 0], [0, 1], [0, 0]]
    np.testing.assert_allclose([score for _, score in found], np.exp(logit).T)


@pytest.mark.parametrize(("n", "kind"), [(2, BinaryCrossEntropy), (3, SoftmaxCrossEntropy)])
def test_the_loss_of_a_number_of_classes(n, kind):
    assert type(loss_for(n)) is kind
