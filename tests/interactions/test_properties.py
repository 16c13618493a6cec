"""What the formulas imply: degree, nesting, symmetry, special cases, blocked gradients."""

from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint.interactions import (
    PIN,
    VARIANTS,
    DynamicActivation,
    DynamicWeightedParameters,
    GateNetwork,
    InteractionStack,
    merge_subspaces,
    split_subspaces,
)
from tests.references import number, randomize, sigmoid, to_numpy

SIZES = {  # the variants of the paper, for whose formulas these properties hold
    "pin": {},
    "da": {"reduction": 4},
    "dgp": {"reduction": 4, "rank": 2},
    "dwp": {"reduction": 4, "rank": 2},
}
DYNAMIC = [name for name in SIZES if name != "pin"]


def make_stack(variant, n_fields=3, embedding_dim=4, **options):
    options = {"n_layers": 2, "n_subspaces": 2} | SIZES[variant] | options
    return randomize(InteractionStack(n_fields, embedding_dim, layer=VARIANTS[variant], **options))


def freeze_gates(stack):
    """Make the generated numbers the same for all instances, whatever they are."""
    for layer in stack.layers:
        if hasattr(layer, "gate"):
            layer.gate.output.weight.data.zero_()
    return stack


# --- sub-spaces


@given(
    batch=st.integers(1, 3),
    n_fields=st.integers(1, 4),
    n_subspaces=st.integers(1, 4),
    depth=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_split_lays_slices_side_by_side_and_merge_undoes_it(batch, n_fields, n_subspaces, depth):
    """T07: row s·F + f, entry j is entry s·d + j of field f."""
    embedding = torch.randn(batch, n_fields, n_subspaces * depth)
    x0 = split_subspaces(embedding, n_subspaces)
    assert x0.shape == (batch, depth, n_subspaces * n_fields)
    for f in range(n_fields):
        for s in range(n_subspaces):
            for j in range(depth):
                assert torch.equal(x0[:, j, s * n_fields + f], embedding[:, f, s * depth + j])
    assert torch.equal(merge_subspaces(x0, n_subspaces), embedding)


@pytest.mark.parametrize("output", ["merge", "split"])
def test_all_subspaces_of_one_entry_is_the_bitwise_model(output):
    """T08: h = D is h = 1 over F·D fields of one number."""
    embedding = torch.randn(5, 3, 4)
    bitwise = make_stack("pin", n_subspaces=4, output=output)
    flat = make_stack("pin", n_fields=12, embedding_dim=1, n_subspaces=1)
    for ours, theirs in zip(bitwise.layers, flat.layers, strict=True):
        theirs.weight.data = ours.weight.data
    flat.output.data = bitwise.output.data.repeat(4 if output == "merge" else 1)
    flat_embedding = embedding.mT.reshape(5, 12, 1)  # entry s of field f is number s·F + f
    torch.testing.assert_close(bitwise(embedding), flat(flat_embedding), rtol=1e-12, atol=0)


@pytest.mark.parametrize("n_subspaces", [2, 4])
def test_vectorwise_model_is_a_block_diagonal_one_in_subspaces(n_subspaces):
    """T09: W' = kron(I_h, W), the models are nested."""
    vectorwise = make_stack("pin", n_subspaces=1)
    finer = make_stack("pin", n_subspaces=n_subspaces)
    for coarse, fine in zip(vectorwise.layers, finer.layers, strict=True):
        fine.weight.data = torch.kron(torch.eye(n_subspaces), coarse.weight.data)
    finer.output.data = vectorwise.output.data
    embedding = torch.randn(5, 3, 4)
    torch.testing.assert_close(finer(embedding), vectorwise(embedding), rtol=1e-12, atol=1e-14)


# --- polynomials and identities


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize(("n_layers", "n_subspaces"), [(0, 1), (1, 2), (2, 1), (3, 4)])
def test_logit_is_a_polynomial_of_degree_layers_plus_one(variant, n_layers, n_subspaces):
    """T06: with the dynamic parts frozen."""
    stack = freeze_gates(make_stack(variant, n_layers=n_layers, n_subspaces=n_subspaces))
    start, direction = torch.randn(2, 1, 3, 4)

    def difference(order):
        steps = torch.arange(order + 1.0)[:, None, None]
        signs = torch.tensor([(-1.0) ** (order - k) * comb(order, k) for k in range(order + 1)])
        values = stack(start + steps * direction)
        return number((signs * values).sum() / (signs * values).abs().sum())

    assert abs(difference(n_layers + 2)) < 1e-12
    assert abs(difference(n_layers + 1)) > 1e-6


def test_zero_layers_is_logistic_regression_on_levels():
    """T03: level weight w_out[f] Σ_d E_f[level, d]."""
    stack = make_stack("pin", n_layers=0)
    embedding = torch.randn(5, 3, 4)
    expected = sum(stack.output[f] * embedding[:, f].sum(1) for f in range(3))
    torch.testing.assert_close(stack(embedding), expected)


@pytest.mark.parametrize(
    ("variant", "zeroed"), [("pin", "weight"), ("da", "weight"), ("dgp", "u"), ("dwp", "weight")]
)
def test_layer_without_interaction_is_the_identity(variant, zeroed):
    """T04: bit for bit."""
    layer = randomize(VARIANTS[variant](6, 2, **SIZES[variant]))
    getattr(layer, zeroed).data.zero_()
    x, x0 = torch.randn(2, 5, 2, 6)
    assert torch.equal(layer(x, x0), x)


def test_closed_gate_is_the_identity():
    """T04: the residual is not gated."""
    layer = randomize(DynamicActivation(6, 2))
    layer.gate.output.bias.data.fill_(-1e4)
    x, x0 = torch.randn(2, 5, 2, 6)
    assert torch.equal(layer(x, x0), x)


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize("n_subspaces", [1, 2, 4])
def test_permuted_fields_with_permuted_weights_give_the_same_logit(variant, n_subspaces):
    """T10: no field has a special place."""
    stack = make_stack(variant, n_subspaces=n_subspaces)
    permuted = make_stack(variant, n_subspaces=n_subspaces)
    fields = torch.tensor([2, 0, 1])
    rows = torch.cat([s * 3 + fields for s in range(n_subspaces)])
    depth, width = 4 // n_subspaces, 3 * n_subspaces

    def move(name, value):
        last = name.rpartition("layers.")[2].partition(".")[2]  # name within its layer
        if last in ("u", "v"):
            return value[rows]
        if last == "weight":
            return value[rows][:, rows]
        if last == "gate.hidden.weight":
            return value.view(-1, depth, width)[:, :, rows].flatten(1)
        if last.startswith("gate.output") and variant != "dgp":
            return value.view(-1, width, *value.shape[1:])[:, rows].flatten(0, 1)
        return value[fields] if name == "output" else value

    permuted.load_state_dict({k: move(k, v) for k, v in stack.state_dict().items()}, strict=False)
    embedding = torch.randn(5, 3, 4)
    torch.testing.assert_close(permuted(embedding[:, fields]), stack(embedding))


@pytest.mark.parametrize("variant", SIZES)
def test_instances_do_not_see_each_other(variant):
    """T10: permuting the rows of a batch permutes the logits; a row alone has the same logit."""
    stack = make_stack(variant)
    embedding = torch.randn(5, 3, 4)
    order = torch.tensor([3, 0, 4, 1, 2])
    logit = stack(embedding)
    torch.testing.assert_close(stack(embedding[order]), logit[order])
    torch.testing.assert_close(stack(embedding[2:3]), logit[2:3])


# --- dynamic activation


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gate_shape", ["feature", "element"])
def test_zero_gate_starts_as_the_static_model_bit_for_bit(dtype, gate_shape):
    """T11: 2σ(0) is exactly 1."""
    dynamic = InteractionStack(
        3, 4, layer=DynamicActivation, n_subspaces=2, gate_init="zeros", gate_shape=gate_shape
    ).to(dtype)
    static = InteractionStack(3, 4, layer=PIN, n_subspaces=2).to(dtype)
    static.load_state_dict(dynamic.state_dict(), strict=False)
    embedding = torch.randn(50, 3, 4, dtype=dtype)
    assert torch.equal(dynamic(embedding), static(embedding))


def test_glorot_gate_starts_near_one_but_not_at_it():
    layer = DynamicActivation(6, 2)
    gate = 2 * torch.sigmoid(layer.gate(torch.randn(200, 2, 6)))
    assert not torch.equal(gate, torch.ones_like(gate))
    assert abs(gate.mean() - 1) < 0.1


def test_gated_layer_is_a_row_scaled_matrix_and_a_special_weighted_layer():
    """T12: DA = diag(G) W = DWP with K = 1, u = G, v = 1."""
    layer = randomize(DynamicActivation(6, 2))
    x, x0 = torch.randn(2, 5, 2, 6)
    G = 2 * sigmoid(layer.gate(x0).detach().numpy())
    W = to_numpy(layer)["weight"]
    out = layer(x, x0)
    for i in range(5):
        mixed = np.diag(G[i]) @ W @ x0[i].numpy().T
        np.testing.assert_allclose(out[i].detach(), x[i].numpy() * (1 + mixed.T), rtol=1e-12)

    for paradigm in ("low_rank", "explicit"):
        weighted = DynamicWeightedParameters(6, 2, rank=1, paradigm=paradigm)
        weighted.weight.data = layer.weight.data
        u = torch.from_numpy(G).unsqueeze(1)
        weighted.factors = lambda _, u=u: (u, torch.ones_like(u))
        torch.testing.assert_close(weighted(x, x0), out, rtol=1e-12, atol=1e-14)


# --- gradients


@pytest.mark.parametrize("gate_input", ["flatten", "pooled"])
def test_gate_blocks_the_gradient_of_what_it_looks_at(gate_input):
    """T17: not small, absent."""
    gate = GateNetwork(6, 2, 4, gate_input=gate_input).requires_grad_(False)
    x0 = torch.randn(5, 2, 6, requires_grad=True)
    assert not gate(x0).requires_grad


@pytest.mark.parametrize("variant", DYNAMIC)
def test_embedding_gradient_is_that_of_a_model_with_its_generated_numbers_fixed(variant):
    """T17: gate networks replaced by the constants they gave."""
    stack = make_stack(variant)
    embedding = torch.randn(5, 3, 4, requires_grad=True)
    (free,) = torch.autograd.grad(stack(embedding).sum(), embedding)
    for layer in stack.layers:
        value = layer.gate(split_subspaces(embedding, 2)).detach()
        layer.gate.forward = lambda _, value=value: value
    (fixed,) = torch.autograd.grad(stack(embedding).sum(), embedding)
    assert torch.equal(free, fixed)


@pytest.mark.parametrize("variant", SIZES)
def test_constant_rows_keep_a_constant_gradient_without_subspaces(variant):
    """T30: D collapses to 1 at h = 1, and sub-spaces break the tie."""
    embedding = torch.randn(5, 3, 1).expand(5, 3, 4).clone().requires_grad_()

    def spread(n_subspaces):
        stack = make_stack(variant, n_subspaces=n_subspaces)
        (grad,) = torch.autograd.grad(stack(embedding).sum(), embedding)
        return number((grad - grad.mean(2, keepdim=True)).abs().max())

    assert spread(1) < 1e-12
    assert spread(2) > 1e-3


# --- options


def test_subspaces_must_divide_the_embedding():
    with pytest.raises(ValueError, match="n_subspaces=3 does not divide embedding_dim=4"):
        InteractionStack(3, 4, n_subspaces=3)


def test_unknown_output_layer_is_refused():
    with pytest.raises(ValueError, match="output='concat'; it must be 'merge' or 'split'"):
        InteractionStack(3, 4, output="concat")


@pytest.mark.parametrize("reduction", [1, 5, 16, 1000])
def test_gate_is_narrower_by_the_reduction_and_never_empty(reduction):
    """H = max(1, F·D // r)."""
    gate = GateNetwork(6, 4, 3, reduction=reduction)
    assert gate.hidden.out_features == max(1, 24 // reduction)
    assert torch.equal(gate.hidden.bias, torch.zeros_like(gate.hidden.bias))
    assert torch.equal(gate.output.bias, torch.zeros(3))
