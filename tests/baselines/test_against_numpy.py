"""Every equation against the loops in :mod:`tests.baselines.references`, in double precision."""

import numpy as np
import pytest
import torch

from sk_dynint._module import CTRModule
from sk_dynint.baselines import BASELINES
from sk_dynint.baselines._autoint import SelfAttention
from sk_dynint.baselines._fibinet import BilinearProducts, SENet
from sk_dynint.baselines._xdeepfm import CompressedInteraction
from tests.baselines.references import (
    HIDDEN,
    REFERENCES,
    D,
    F,
    attention,
    bilinear_products,
    cin,
    senet,
)
from tests.references import known_options, lookup, part, randomize, to_numpy

EVERY_NAME = pytest.mark.parametrize("name", BASELINES)
EVERY_FORM = pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(name, form, id=f"{name},{form.options}")
        for name, reference in REFERENCES.items()
        for form in reference.forms
    ],
)


@EVERY_NAME
def test_every_competitor_has_a_reference(name):
    assert name in REFERENCES, (
        f"model {name!r} has no reference: add REFERENCES[{name!r}] to "
        "tests/baselines/references.py, its logit in loops over plain NumPy arrays and the forms "
        "to compare, each with its number of parameters (docs/extending.md, A competitor)"
    )


def test_every_reference_is_of_a_competitor():
    assert set(REFERENCES) <= set(BASELINES)


@EVERY_FORM
def test_logit(name, form):
    logit = REFERENCES[name].logit
    body = randomize(BASELINES[name](F, D, **form.options))
    E = torch.randn(6, F, D)
    params, options = to_numpy(body), known_options(logit, form.options)
    expected = [logit(params, one.numpy(), **options) for one in E]
    np.testing.assert_allclose(body(E).detach(), expected, rtol=1e-10, atol=1e-12)


@EVERY_FORM
def test_number_of_parameters(name, form):
    body = BASELINES[name](F, D, **form.options)
    assert sum(p.numel() for p in body.parameters()) == form.n_parameters


@pytest.mark.parametrize("name", REFERENCES)
def test_whole_module_adds_bias_and_linear_part(name):
    """b + Σ_f w_f[x_f] + body(E); the linear part in the models whose papers have one."""
    cardinalities = (3, 2, 4, 2)
    reference = REFERENCES[name]
    module = randomize(CTRModule(cardinalities, D, BASELINES[name]))
    X = torch.stack([torch.randint(n, (5,)) for n in cardinalities], 1)
    params = to_numpy(module)
    E = lookup(params["embedding.weight"], cardinalities, X.numpy())
    expected = params["bias"] + np.array([reference.logit(part(params, "body"), e) for e in E])
    assert ("first_order.weight" in params) == reference.linear
    if reference.linear:
        weights = lookup(params["first_order.weight"], cardinalities, X.numpy())
        expected = expected + weights.sum((1, 2))
    np.testing.assert_allclose(module(X).detach(), expected, rtol=1e-10, atol=1e-12)


def test_linear_part_without_the_dnn():
    """The products alone are of order two; what is of order one comes from the linear part."""
    assert BASELINES["pnn"](F, D, deep=False).first_order
    assert not BASELINES["pnn"](F, D).first_order


# --- the parts by themselves


def test_cin_by_triple_loops():
    layer = randomize(CompressedInteraction(F, (5, 2, 3)))
    E = torch.randn(4, F, D)
    expected = [cin(to_numpy(layer), one.numpy(), 3) for one in E]
    assert layer.n_outputs == 10
    np.testing.assert_allclose(layer(E).detach(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bilinear", ["all", "each", "interaction"])
def test_bilinear_products(bilinear):
    layer = randomize(BilinearProducts(F, D, bilinear))
    E = torch.randn(4, F, D)
    W = to_numpy(layer)["weight"]
    assert len(W) == {"all": 1, "each": F - 1, "interaction": F * (F - 1) / 2}[bilinear]
    expected = [bilinear_products(W, one.numpy(), bilinear).reshape(-1, D) for one in E]
    np.testing.assert_allclose(layer(E).detach().permute(2, 0, 1), expected, rtol=1e-10, atol=1e-12)


def test_senet():
    """Half of the weights are zero: ReLU, not a sigmoid."""
    layer = randomize(SENet(F, reduction=2))
    E = torch.randn(20, F, D)
    V = layer(E).detach()
    np.testing.assert_allclose(V, [senet(to_numpy(layer), one.numpy()) for one in E], rtol=1e-10)
    assert (V == 0).any()
    assert (V != 0).any()


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_attention(scale, residual):
    layer = randomize(SelfAttention(D, 5, 2, scale=scale, residual=residual))
    E = torch.randn(4, F, D)
    expected = [attention(to_numpy(layer), one.numpy(), 2, scale, residual) for one in E]
    np.testing.assert_allclose(layer(E).detach(), expected, rtol=1e-10, atol=1e-12)
    alpha = layer.attention(E)
    assert alpha.shape == (4, 2, F, F)
    torch.testing.assert_close(alpha.sum(-1), torch.ones(4, 2, F))


# --- relations between models


def test_low_rank_cross_layer_of_full_rank_is_the_whole_one():
    """U Vᵀ = W from a singular value decomposition."""
    whole = randomize(BASELINES["dcnv2"](F, D, deep=False, n_layers=1))
    factored = BASELINES["dcnv2"](F, D, deep=False, n_layers=1, rank=F * D)
    U, s, Vt = torch.linalg.svd(whole.cross[0].mix.weight.detach())
    factored.cross[0].mix[0].weight.data = Vt
    factored.cross[0].mix[1].weight.data = U * s
    factored.cross[0].mix[1].bias.data = whole.cross[0].mix.bias.data
    factored.output.weight.data = whole.output.weight.data
    E = torch.randn(5, F, D)
    torch.testing.assert_close(factored(E), whole(E), rtol=1e-10, atol=1e-10)


def test_kernel_products_with_the_identity_are_inner_products():
    """The kernels of all three shapes, and their start for "vec" and "num"."""
    E = torch.randn(5, F, D)
    for outer in ("mat", "vec", "num"):
        body = BASELINES["pnn"](F, D, deep=False, outer=outer)
        if outer == "mat":
            body.outer.kernel.data = torch.eye(D).repeat(F * (F - 1) // 2, 1, 1)
        inner, kernel = body.products(E).chunk(2, 1)
        torch.testing.assert_close(kernel, inner)


def test_deepfm_is_fm_plus_dnn_over_one_embedding():
    deepfm = randomize(BASELINES["deepfm"](F, D, **HIDDEN))
    dnn = BASELINES["dnn"](F, D, **HIDDEN)
    dnn.load_state_dict(deepfm.deep.state_dict())
    E = torch.randn(5, F, D)
    torch.testing.assert_close(deepfm(E), BASELINES["fm"](F, D)(E) + dnn(E))
    torch.testing.assert_close(BASELINES["deepfm"](F, D, deep=False)(E), BASELINES["fm"](F, D)(E))


@pytest.mark.parametrize("name", ["dcn", "dcnv2"])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_cross_layers_raise_the_degree_by_one_each(name, n_layers):
    """Without its DNN the logit is a polynomial of degree L + 1 along every line."""
    body = randomize(BASELINES[name](F, D, deep=False, n_layers=n_layers), 0.3)
    t = torch.arange(n_layers + 3.0) / 4
    E = torch.randn(F, D) + t[:, None, None] * torch.randn(F, D)
    values = body(E).detach().numpy()
    scale = np.abs(values).max()
    assert np.abs(np.diff(values, n_layers + 2)).max() < 1e-10 * scale
    assert np.abs(np.diff(values, n_layers + 1)).max() > 1e-6 * scale
