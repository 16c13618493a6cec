"""T19: orthogonal regularisation, Eq. (11) and (12)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.interactions import (
    DynamicGeneratedParameters,
    DynamicWeightedParameters,
    InteractionStack,
    orthogonal_penalty,
)
from tests.references import cosine_penalty, number, randomize, slope

KINDS = pytest.mark.parametrize("kind", ["absolute", "squared"])
NORMALIZE = pytest.mark.parametrize("normalize", [False, True])


@given(
    n_vectors=st.integers(1, 5),
    length=st.integers(1, 6),
    kind=st.sampled_from(["absolute", "squared"]),
    normalize=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_value_and_gradient_by_loops(n_vectors, length, kind, normalize, seed):
    vectors = np.random.default_rng(seed).normal(size=(n_vectors, length))
    a = torch.tensor(vectors, requires_grad=True)
    total = orthogonal_penalty(a, kind=kind, normalize=normalize)
    total.backward()
    expected = cosine_penalty(vectors, kind, normalize)
    np.testing.assert_allclose(number(total), expected, rtol=1e-10, atol=1e-14)
    gradient = slope(lambda v: cosine_penalty(v, kind, normalize), vectors)
    np.testing.assert_allclose(a.grad, gradient, rtol=1e-8, atol=1e-9)


@KINDS
@NORMALIZE
def test_extremes(kind, normalize):
    """Orthogonal vectors cost nothing, collinear ones one for each pair; one vector nothing."""
    pairs = 1 if normalize else 6
    penalty = {"kind": kind, "normalize": normalize}
    assert number(orthogonal_penalty(torch.eye(4), **penalty)) == 0
    assert number(orthogonal_penalty(torch.ones(4, 3), **penalty)) == pytest.approx(pairs)
    assert number(orthogonal_penalty(torch.ones(1, 3), **penalty)) == 0


@KINDS
def test_scale_and_sign_do_not_matter(kind):
    a = torch.randn(4, 5)
    factors = torch.tensor([1e-3, -2.0, 1e4, -1.0])[:, None]
    torch.testing.assert_close(
        orthogonal_penalty(factors * a, kind=kind), orthogonal_penalty(a, kind=kind)
    )


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_vector_counts_nothing_and_gets_no_gradient(kind, dtype):
    """FTRL can zero a whole column: no NaN, and the others are as without it."""
    a = torch.randn(4, 5, dtype=dtype)
    a[1] = 0
    a.requires_grad_()
    others = a.detach()[[0, 2, 3]].requires_grad_()
    with_zero, without = (orthogonal_penalty(v, kind=kind) for v in (a, others))
    with_zero.backward()
    without.backward()
    torch.testing.assert_close(with_zero, without)
    assert torch.equal(a.grad[1], torch.zeros(5, dtype=dtype))
    torch.testing.assert_close(a.grad[[0, 2, 3]], others.grad)


def test_vector_whose_norm_underflows_is_a_zero_vector():
    a = torch.tensor([[1e-30, 0.0], [1.0, 1.0]], dtype=torch.float32, requires_grad=True)
    total = orthogonal_penalty(a)
    total.backward()
    assert total.item() == 0
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_all_zero_vectors_cost_nothing():
    a = torch.zeros(3, 4, requires_grad=True)
    total = orthogonal_penalty(a)
    total.backward()
    assert number(total) == 0
    assert torch.equal(a.grad, torch.zeros(3, 4))


def test_batches_of_vectors_are_penalised_one_by_one():
    a = torch.randn(2, 3, 4, 5)
    total = orthogonal_penalty(a)
    assert total.shape == (2, 3)
    torch.testing.assert_close(total[1, 2], orthogonal_penalty(a[1, 2]))


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="penalty_kind='cubed'; it must be 'absolute' or"):
        orthogonal_penalty(torch.eye(2), kind="cubed")


def test_generated_layer_penalises_the_columns_of_both_factors():
    layer = randomize(DynamicGeneratedParameters(6, 2, rank=3))
    expected = sum(cosine_penalty(a.detach().numpy().T) for a in (layer.u, layer.v))
    assert number(layer.penalty()) == pytest.approx(expected)


def test_weighted_layer_penalises_the_last_batch_while_training():
    """Mean over instances of the vectors after the offset; nothing to add in evaluation."""
    layer = randomize(DynamicWeightedParameters(6, 2, rank=3))
    assert layer.penalty() == 0
    x0 = torch.randn(4, 2, 6)
    layer(x0, x0)
    expected = np.mean(
        [sum(cosine_penalty(a[i].detach().numpy()) for a in layer.factors(x0)) for i in range(4)]
    )
    assert number(layer.penalty()) == pytest.approx(expected)
    layer.eval()(x0, x0)
    assert layer.penalty() == 0


def test_weighted_heads_start_collinear_unless_only_the_first_has_the_offset():
    """A17: |cos| = 1 for every pair at the start; near-orthogonal with `offset="first"`."""
    x0 = torch.randn(4, 2, 50)
    penalties = {}
    for offset in ("sqrt", "first"):
        layer = DynamicWeightedParameters(
            50, 2, rank=3, offset=offset, reduction=50, normalize_penalty=True
        )
        layer.gate.output.weight.data.mul_(0.01)
        layer(x0, x0)
        penalties[offset] = number(layer.penalty()) / 2
    assert penalties["sqrt"] > 0.99
    assert penalties["first"] < 0.5


def test_one_vector_costs_nothing():
    for layer in (DynamicGeneratedParameters, DynamicWeightedParameters):
        stack = InteractionStack(3, 4, layer=layer, rank=1)
        stack(torch.randn(2, 3, 4))
        assert number(stack.penalty()) == 0


def test_stack_adds_up_its_layers():
    stack = randomize(InteractionStack(4, 4, layer=DynamicGeneratedParameters, rank=3))
    total = sum(number(layer.penalty()) for layer in stack.layers)
    assert number(stack.penalty()) == pytest.approx(total)
    assert InteractionStack(4, 4, n_layers=0).penalty() == 0
