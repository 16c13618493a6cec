"""Products by oneDNN against torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sk_dynint import _matmul
from sk_dynint._matmul import linear, onednn_product, prefers_onednn
from tests.conftest import NEEDS_ONEDNN

pytestmark = NEEDS_ONEDNN

SIZES = st.integers(1, 40)


@pytest.fixture
def everywhere(monkeypatch):
    """Products by oneDNN on any processor, however small they are; a list of those made."""
    made = []

    def noted(*args, **kwargs):
        made.append(onednn_product(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(_matmul, "_mkl_does_without_avx512", lambda: True)
    monkeypatch.setattr(_matmul, "ONEDNN_MIN_MULTIPLICATIONS", 0)
    monkeypatch.setattr(_matmul, "onednn_product", noted)
    return made


def matrix(n_rows, n_columns, transposed=False):
    """Random numbers, in one of the two orders."""
    return torch.randn(n_columns, n_rows).T if transposed else torch.randn(n_rows, n_columns)


@given(m=SIZES, k=SIZES, n=SIZES, left=st.booleans(), right=st.booleans(), plus=st.booleans())
@settings(max_examples=50, deadline=None)
def test_product(m, k, n, left, right, plus):
    a, b = matrix(m, k, left), matrix(k, n, right)
    terms, bias = torch.randn(m, n), torch.randn(n)
    found = onednn_product(a, b, plus=terms) if plus else onednn_product(a, b, bias)
    torch.testing.assert_close(found, a @ b + (terms if plus else bias), rtol=1e-4, atol=1e-5)


def test_left_may_be_a_part_of_something():
    whole = torch.randn(6, 3, 5)
    b = torch.randn(5, 4)
    torch.testing.assert_close(onednn_product(whole[:, 1], b), whole[:, 1] @ b)


@pytest.mark.parametrize("transposed", [False, True])
def test_so_may_right(monkeypatch, transposed):
    """It comes to oneDNN without the gaps between its rows, which cost a thousandfold."""
    whole = torch.randn(5, 3, 4)
    right = whole.permute(2, 1, 0)[:, 1] if transposed else whole[:, 1]
    handed_over = []
    operation = torch.ops.mkldnn._linear_pointwise
    monkeypatch.setattr(
        torch.ops.mkldnn,
        "_linear_pointwise",
        lambda x, weight, *rest: handed_over.append(weight) or operation(x, weight, *rest),
    )
    a = torch.randn(6, len(right))
    torch.testing.assert_close(onednn_product(a, right), a @ right)
    (weight,) = handed_over
    assert weight.is_contiguous() or weight.T.is_contiguous()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7, 5), (2, 7, 5), (1, 5), (7, 1), (5,)])
@pytest.mark.parametrize("transposed", [False, True])
def test_linear_is_that_of_torch(everywhere, shape, bias, transposed):
    x = torch.randn(*shape[::-1]).permute(*reversed(range(len(shape)))).detach()
    x = x if transposed else x.contiguous()
    inputs = [x, torch.randn(3, shape[-1]), *([torch.randn(3)] if bias else [])]
    results = []
    for function in (linear, functional.linear):
        leaves = [t.detach().requires_grad_() for t in inputs]
        y = function(*leaves)
        (y**2).sum().backward()
        results.append([y, *(t.grad for t in leaves)])
    assert len(everywhere) == 3
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("everywhere")
def test_gradients_lie_as_their_inputs_do():
    """Who laid features out one by one goes on with gradients that do so too."""
    for x in (torch.randn(7, 5), torch.randn(5, 7).T):
        leaf = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad(linear(leaf, torch.randn(3, 5)).sum(), leaf)
        assert grad.stride() == x.stride()


@pytest.mark.usefixtures("everywhere")
def test_gradients_that_nobody_wants_are_left_out():
    weight = torch.randn(3, 5, requires_grad=True)
    linear(torch.randn(7, 5), weight).sum().backward()
    assert weight.grad.shape == (3, 5)
    x = torch.randn(7, 5, requires_grad=True)
    linear(x, weight.detach()).sum().backward()
    assert x.grad.shape == (7, 5)


@pytest.mark.usefixtures("everywhere")
def test_only_single_precision_on_a_processor():
    cpu = torch.device("cpu")
    assert prefers_onednn(cpu, torch.float32)
    assert not prefers_onednn(cpu, torch.float64)
    assert not prefers_onednn(torch.device("cuda"), torch.float32)


@pytest.mark.usefixtures("everywhere")
def test_autocast_goes_its_own_way():
    x, weight = torch.randn(7, 5), torch.randn(3, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, weight).dtype == torch.bfloat16
