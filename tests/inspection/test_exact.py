"""Exact values and interactions of a stack against all coalitions, in plain NumPy."""

import numpy as np
import pytest
import torch

from sk_dynint.inspection._exact import exact_interactions, exact_values
from sk_dynint.inspection._extension import Extension
from sk_dynint.inspection._forms import FieldForms, MatrixForms
from sk_dynint.inspection._frozen import FROZEN
from sk_dynint.inspection._moments import cumulants, gauss, subsets
from sk_dynint.interactions import VARIANTS, InteractionStack
from tests.inspection.references import (
    coalitions,
    frozen_logits,
    interactions_by_coalitions,
    masked,
    shapley_by_coalitions,
)
from tests.references import body, randomize, to_numpy

DIM, ROWS = 4, 2
OPTIONS = [
    ("da", {"gate_shape": "element"}),
    ("da", {"gate_input": "pooled"}),
    ("dgp", {"sigma": "full", "rank": 3}),
    ("dgp", {"activation": "softplus", "rank": 2}),
    ("dgp", {"activation": "linear", "rank": 3}),
    ("dwp", {"rank": 3, "paradigm": "low_rank"}),
    ("dwp", {"rank": 1, "offset": "paper"}),
]
FORMS = [FieldForms, MatrixForms]


def make_stack(variant, n_fields=5, std=0.4, **options):
    options = {"reduction": 4} | options if variant != "pin" else options
    stack = InteractionStack(n_fields, DIM, layer=VARIANTS[variant], **options)
    return randomize(stack, std).requires_grad_(False)


def plain_games(stack, x, baseline, variant, **options):
    """Values of all coalitions of each row, (2^F, B)."""
    options = {"rank": 2} | options if variant == "dwp" else options
    options = {k: v for k, v in options.items() if k not in ("reduction", "paradigm")}
    if variant == "dgp":
        options.pop("rank", None)
    b = np.zeros(x.shape[1:]) if baseline is None else baseline.numpy()
    masks = coalitions(x.shape[1])
    games = [
        frozen_logits(to_numpy(stack), row, masked(row, b, masks), variant, **options)
        for row in x.numpy()
    ]
    return np.stack(games, 1)


def check(variant, n_fields=5, with_baseline=False, std=0.4, **options):
    """Compare values, interactions and the extension with those of all coalitions."""
    stack = make_stack(variant, n_fields, std, **options)
    x = torch.randn(ROWS, n_fields, DIM)
    baseline = torch.randn(n_fields, DIM) if with_baseline else None
    games = plain_games(stack, x, baseline, variant, **options)
    assert stack(x).numpy() == pytest.approx(games[-1], rel=1e-9, abs=1e-9)
    values, near = shapley_by_coalitions(games).T, {"rel": 1e-9, "abs": 1e-9}
    forms = [form(stack, x, baseline) for form in FORMS if form is FieldForms or form.serves(stack)]
    for form in forms:
        assert exact_values(form).numpy() == pytest.approx(values, **near)
        assert form.base().numpy() == pytest.approx(games[0], **near)
        ends = Extension(form, [0.0, 1.0]).value().numpy()
        assert ends == pytest.approx(games[[0, -1]], **near)
    pairs = interactions_by_coalitions(games).transpose(2, 0, 1)
    assert exact_interactions(forms[0]).numpy() == pytest.approx(pairs, **near)
    return len(forms)


@pytest.mark.parametrize("with_baseline", [False, True])
@pytest.mark.parametrize("n_subspaces", [1, 2, 4])
@pytest.mark.parametrize("n_layers", range(5))
@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_to_all_coalitions(double_precision, variant, n_layers, n_subspaces, with_baseline):
    n_forms = check(
        variant,
        4 if n_layers == 4 else 5,
        with_baseline,
        n_layers=n_layers,
        n_subspaces=n_subspaces,
    )
    assert n_forms == 1 + (variant in ("pin", "da") or n_subspaces == 1 or n_layers == 0)


@pytest.mark.parametrize(("variant", "options"), OPTIONS)
@pytest.mark.parametrize("n_subspaces", [1, 2])
def test_options_of_layers(double_precision, variant, options, n_subspaces):
    check(variant, 4, True, n_layers=2, n_subspaces=n_subspaces, **options)
    check(variant, 3, n_layers=3, n_subspaces=n_subspaces, output="split", **options)


@pytest.mark.parametrize("variant", VARIANTS)
def test_twelve_fields(double_precision, variant):
    stack = make_stack(variant, 12, n_layers=3, n_subspaces=2, std=0.2)
    x, baseline = torch.randn(1, 12, DIM), torch.randn(12, DIM)
    games = plain_games(stack, x, baseline, variant, n_layers=3, n_subspaces=2)
    values = shapley_by_coalitions(games).T
    for form in FORMS:
        if form is FieldForms or form.serves(stack):
            assert exact_values(form(stack, x, baseline)).numpy() == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_single_precision_and_64_fields(variant):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        stack = make_stack(variant, 64, n_layers=3, n_subspaces=4, std=0.05)
        x = torch.randn(32, 64, DIM)
    form = MatrixForms if MatrixForms.serves(stack) else FieldForms
    total = exact_values(form(stack, x)).double().sum(1)
    logit = stack(x).double()
    assert (total - logit).abs().max() < 1e-5 * max(1, logit.abs().max())


def test_one_field_takes_all(double_precision):
    stack = make_stack("da", 1, n_layers=3, n_subspaces=2)
    x = torch.randn(ROWS, 1, DIM)
    assert exact_values(FieldForms(stack, x))[:, 0].numpy() == pytest.approx(stack(x).numpy())
    assert exact_interactions(FieldForms(stack, x)).abs().max() == 0


def test_deep_stacks(double_precision):
    check("da", 3, True, n_layers=6, n_subspaces=2, std=0.2)


def test_a_field_that_does_nothing_has_no_share(double_precision):
    stack = make_stack("pin", 5, n_layers=2)
    for layer in stack.layers:
        layer.weight[:, 3] = 0
    stack.output[3] = 0
    x = torch.randn(ROWS, 5, DIM)
    assert exact_values(FieldForms(stack, x))[:, 3].abs().max() < 1e-12
    assert exact_interactions(FieldForms(stack, x))[:, 3].abs().max() < 1e-12


def test_many_monomials_are_left_to_the_other_form():
    assert MatrixForms.serves(make_stack("da", n_layers=4, n_subspaces=4))
    assert not MatrixForms.serves(make_stack("da", n_layers=6, n_subspaces=4))
    assert not MatrixForms.serves(make_stack("dwp", n_subspaces=2))


def test_every_variant_can_be_frozen():
    assert set(FROZEN) == set(VARIANTS.values())


def test_the_reference_freezes_what_the_layers_compute(double_precision):
    for variant in VARIANTS:
        stack = make_stack(variant, n_layers=2)
        x = torch.randn(ROWS, 5, DIM)
        rank = {"rank": 2} if variant == "dwp" else {}
        logit, _ = body(to_numpy(stack), x.numpy(), variant, 2, **rank)
        assert plain_games(stack, x, None, variant, n_layers=2)[-1] == pytest.approx(logit)


# --- moments


def test_cumulants_of_a_bernoulli_variable():
    q = 0.3
    k1, k2, k3, k4 = (k(q) for k in cumulants(4))
    assert (k1, k2) == pytest.approx((q, q * (1 - q)))
    assert k3 == pytest.approx(q * (1 - q) * (1 - 2 * q))
    assert k4 == pytest.approx(q * (1 - q) * (1 - 6 * q * (1 - q)))


@pytest.mark.parametrize("degree", range(9))
def test_quadrature_is_exact_with_the_fewest_nodes(degree):
    nodes, weights = gauss(degree)
    assert len(nodes) == max(1, -(-(degree + 1) // 2))
    for power in range(degree + 1):
        assert weights @ nodes**power == pytest.approx(1 / (power + 1))


def test_subsets():
    assert list(subsets(0b101)) == [0b101, 0b100, 0b001, 0]
    assert list(subsets(0)) == [0]
