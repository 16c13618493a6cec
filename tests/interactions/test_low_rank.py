"""DGP and DWP: the cheap order of operations, its cost, and how the factors start."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sk_dynint.interactions import (
    PIN,
    DynamicGeneratedParameters,
    DynamicWeightedParameters,
    InteractionStack,
)
from tests.references import dgp_matrices, dwp_factors, number, randomize, to_numpy


def make_input(batch=5, depth=2, width=6):
    return torch.randn(2, batch, depth, width)


def to_paper(x):
    """(B, d, W) -> (B, M, Ds)."""
    return x.detach().numpy().transpose(0, 2, 1)


# --- the same numbers


@pytest.mark.parametrize("sigma", ["diagonal", "full"])
@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "linear"])
def test_generated_layer_equals_its_explicit_matrix(activation, sigma):
    """T13: U Σ Vᵀ formed for every instance."""
    layer = randomize(DynamicGeneratedParameters(6, 2, rank=3, activation=activation, sigma=sigma))
    x, x0 = make_input()
    matrices = dgp_matrices(to_numpy(layer), to_paper(x0), activation, sigma)
    expected = to_paper(x) * (1 + matrices @ to_paper(x0))
    np.testing.assert_allclose(to_paper(layer(x, x0)), expected, rtol=1e-11)


@pytest.mark.parametrize("offset", ["sqrt", "paper", "first", "none"])
@pytest.mark.parametrize("rank", [1, 3])
def test_weighted_layer_equals_its_explicit_matrix(rank, offset):
    """T13: (Σ_p u_p v_pᵀ) ∘ W formed for every instance."""
    x, x0 = make_input()
    for paradigm in ("low_rank", "explicit"):
        layer = DynamicWeightedParameters(6, 2, rank=rank, offset=offset, paradigm=paradigm)
        params = to_numpy(randomize(layer))
        u, v = dwp_factors(params, to_paper(x0), rank, offset)
        matrices = np.einsum("bkm,bkn->bmn", u, v) * params["weight"]
        expected = to_paper(x) * (1 + matrices @ to_paper(x0))
        np.testing.assert_allclose(to_paper(layer(x, x0)), expected, rtol=1e-10, err_msg=paradigm)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_both_paradigms_give_the_same_output_penalty_and_gradients(rank):
    """T13."""
    x, x0 = make_input()
    x0.requires_grad_()
    cheap = randomize(DynamicWeightedParameters(6, 2, rank=rank, paradigm="low_rank"))
    plain = DynamicWeightedParameters(6, 2, rank=rank, paradigm="explicit")
    plain.load_state_dict(cheap.state_dict())
    results = []
    for layer in (cheap, plain):
        out = layer(x, x0)
        loss = (out.square().sum((1, 2)) + layer.penalty()).sum()
        results.append((out, *torch.autograd.grad(loss, [x0, *layer.parameters()])))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(
    ("width", "depth", "rank", "explicit"),
    [
        (39, 16, 1, False),  # Criteo, h = 1: explicit from K = 3 on
        (39, 16, 2, False),
        (39, 16, 3, True),
        (624, 1, 16, False),  # h = 16
        (624, 1, 623, False),
        (624, 1, 625, True),
    ],
)
def test_auto_takes_the_cheaper_paradigm(width, depth, rank, explicit):
    """Section 4: the low-rank way keeps less iff K·d < W."""
    layer = DynamicWeightedParameters(width, depth, rank=rank, reduction=10_000)
    assert layer.explicit is explicit


def test_full_rank_svd_generates_the_static_layer():
    """T14: U S Vᵀ = W with generated numbers 1 (2σ(0)) or the singular values themselves."""
    static = PIN(6, 2)
    U, s, Vt = torch.linalg.svd(static.weight.detach())
    x, x0 = make_input()
    gates = {"sigmoid": (U * s, torch.zeros(6)), "linear": (U, s)}
    for activation, (u, bias) in gates.items():
        layer = DynamicGeneratedParameters(6, 2, rank=6, activation=activation)
        layer.u.data, layer.v.data = u, Vt.mT
        layer.gate.output.weight.data.zero_()
        layer.gate.output.bias.data = bias
        torch.testing.assert_close(layer(x, x0), static(x, x0), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("paradigm", ["low_rank", "explicit"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_zero_network_gives_the_constant_that_the_offset_names(rank, paradigm):
    """T15: G = 1 with 1/√K and with "first"; the printed 1/K gives 1/K; none gives 0."""
    x, x0 = make_input()
    expected = {"sqrt": 1.0, "first": 1.0, "paper": 1 / rank, "none": 0.0}
    for offset, value in expected.items():
        layer = DynamicWeightedParameters(
            6, 2, rank=rank, offset=offset, paradigm=paradigm, gate_init="zeros"
        )
        u, v = layer.factors(x0)
        torch.testing.assert_close(u.mT @ v, torch.full((5, 6, 6), value))
        static = PIN(6, 2)
        static.weight.data = value * layer.weight.data
        torch.testing.assert_close(layer(x, x0), static(x, x0))


# --- how training starts


def train_heads(gate_init):
    """u of every head after some steps on a fixed target."""
    layer = DynamicWeightedParameters(6, 2, rank=3, gate_init=gate_init, reduction=2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    x, x0 = make_input(batch=20)
    target = torch.randn(20, 2, 6)
    for _ in range(20):
        optimizer.zero_grad()
        (layer(x, x0) - target).square().mean().backward()
        optimizer.step()
    assert layer.gate.output.weight.abs().max() > 0.01  # it did learn
    return layer.factors(x0)


def test_zero_last_layer_keeps_all_heads_alike():
    """T16: the rank stays 1 for ever; a Glorot start breaks the tie."""
    for factor in train_heads("zeros"):
        torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    u, v = train_heads("glorot")
    assert (torch.linalg.matrix_rank(u.mT @ v) == 3).all()


def test_zero_factors_are_a_stationary_point():
    """T31: neither factor nor the dynamic net moves."""
    layer = randomize(DynamicGeneratedParameters(6, 2, rank=3))
    layer.u.data.zero_()
    layer.v.data.zero_()
    x, x0 = make_input()
    (layer(x, x0) ** 2).sum().backward()
    for p in layer.parameters():
        assert torch.equal(p.grad, torch.zeros_like(p))


@pytest.mark.parametrize(("width", "rank"), [(24, 1), (24, 5), (24, 24)])
def test_scaled_orthogonal_start_has_the_variance_of_glorot_and_no_penalty(width, rank):
    """T32: Var(W_ij) = 1/W with s = 1, exactly while K ≤ W."""
    layer = DynamicGeneratedParameters(width, 1, rank=rank)
    W = (layer.u @ layer.v.mT).detach()
    assert number(W.square().mean()) == pytest.approx(1 / width, rel=1e-10)
    assert number(layer.penalty()) == pytest.approx(0, abs=1e-12)
    gram = layer.u.detach().mT @ layer.u.detach()
    torch.testing.assert_close(gram, (width / rank) ** 0.5 * torch.eye(rank))


def test_rank_above_width_warns_and_keeps_the_variance():
    """T32: orthonormal rows instead, right on average."""
    with pytest.warns(UserWarning, match=r"rank=60 is above width=24 .* cannot be orthogonal"):
        layer = DynamicGeneratedParameters(24, 1, rank=60)
    W = (layer.u @ layer.v.mT).detach()
    assert number(W.square().mean()) == pytest.approx(1 / 24, rel=0.2)
    torch.testing.assert_close(
        layer.u.detach() @ layer.u.detach().mT, (60 / 24) ** 0.5 * torch.eye(24)
    )


# --- cost


class LargestTensor(TorchDispatchMode):
    """Record the number of elements of the largest tensor that an operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.largest = max(self.largest, leaf.numel())
        return out


def largest_tensor(layer, **options):
    """In a forward and backward pass of 8 instances, W = 40, d = 1, K = 2."""
    stack = InteractionStack(
        10, 4, layer=layer, n_layers=2, n_subspaces=4, rank=2, reduction=4, **options
    )
    embedding = torch.randn(8, 10, 4, requires_grad=True)
    with LargestTensor() as record:
        (stack(embedding) + stack.penalty()).sum().backward()
    return record.largest


@pytest.mark.parametrize("sigma", ["diagonal", "full"])
def test_generated_layer_never_forms_a_mixing_matrix(sigma):
    """T33: nothing of (B, W, W), not even (W, W)."""
    assert largest_tensor(DynamicGeneratedParameters, sigma=sigma) < 40 * 40


def test_weighted_layer_forms_no_matrix_per_instance():
    """T33: the shared (W, W) is the largest thing there is."""
    assert largest_tensor(DynamicWeightedParameters) == 40 * 40
    assert largest_tensor(DynamicWeightedParameters, paradigm="low_rank") == 40 * 40
    assert largest_tensor(DynamicWeightedParameters, paradigm="explicit") == 8 * 40 * 40


@pytest.mark.parametrize("rank", [2, 3, 7])
def test_the_offset_of_a_double_model_is_double(rank):
    layer = DynamicWeightedParameters(6, 2, rank=rank, gate_init="zeros").double()
    u, v = layer.factors(torch.randn(4, 2, 6, dtype=torch.float64))
    assert (u == 1 / rank**0.5).all()
    assert (v == 1 / rank**0.5).all()


@pytest.mark.parametrize(("rank", "dgp", "dwp"), [(1, 25_663, 463_671), (16, 44_983, 1_212_471)])
def test_parameter_counts_of_the_table(rank, dgp, dwp):
    """T33: section 4, F = 39, D = 16, h = 16, r = 16."""
    for layer, expected in [(DynamicGeneratedParameters, dgp), (DynamicWeightedParameters, dwp)]:
        assert sum(p.numel() for p in layer(624, 1, rank=rank).parameters()) == expected


# --- options


@pytest.mark.parametrize(
    ("layer", "option", "allowed"),
    [
        (DynamicGeneratedParameters, "activation", r"\['linear', 'sigmoid', 'softplus'\]"),
        (DynamicGeneratedParameters, "init", "'orthogonal' or 'glorot'"),
        (DynamicGeneratedParameters, "sigma", "'diagonal' or 'full'"),
        (DynamicGeneratedParameters, "gate_input", "'flatten' or 'pooled'"),
        (DynamicWeightedParameters, "offset", "'sqrt', 'paper', 'first' or 'none'"),
        (DynamicWeightedParameters, "paradigm", "'auto', 'low_rank' or 'explicit'"),
        (DynamicWeightedParameters, "gate_init", "'glorot' or 'zeros'"),
        (DynamicWeightedParameters, "gate_input", "'flatten' or 'pooled'"),
    ],
)
def test_unknown_option_value_is_refused_with_what_is_allowed(layer, option, allowed):
    with pytest.raises(ValueError, match=f"{option}='typo'; it must be .*{allowed}"):
        layer(6, 2, rank=2, **{option: "typo"})
