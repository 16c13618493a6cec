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
    REFERENCES,
    attention,
    bilinear_products,
    cin,
    senet,
)
from tests.references import lookup, part, randomize, to_numpy

F, D = 4, 3
HIDDEN = {"hidden_units": (7, 5)}

# model, options of the body, options that the reference has to be told
MODELS = [
    ("lr", {}, {}),
    ("fm", {}, {}),
    ("dnn", HIDDEN, {}),
    ("dnn", {"hidden_units": ()}, {}),
    ("widedeep", {"hidden_units": (7,)}, {}),
    ("deepcrossing", HIDDEN, {}),
    ("dcn", HIDDEN, {}),
    ("dcn", {"deep": False, "n_layers": 2}, {"n_layers": 2}),
    ("dcnv2", HIDDEN, {}),
    ("dcnv2", {"deep": False, "n_layers": 1}, {"n_layers": 1}),
    ("dcnv2", HIDDEN | {"structure": "stacked"}, {"structure": "stacked"}),
    ("dcnv2", HIDDEN | {"rank": 2}, {"rank": 2}),
    (
        "dcnv2",
        HIDDEN | {"rank": 2, "structure": "stacked", "n_layers": 2},
        {"rank": 2, "structure": "stacked", "n_layers": 2},
    ),
    ("dcnv2", {"deep": False, "structure": "stacked", "rank": 5}, {"rank": 5}),
    *(
        ("pnn", HIDDEN | options, options)
        for options in (
            {},
            {"outer": "vec"},
            {"outer": "num"},
            {"outer": "sum"},
            {"products": "inner"},
            {"products": "outer"},
            {"products": "outer", "outer": "sum"},
        )
    ),
    ("pnn", {"deep": False}, {}),
    ("pnn", {"deep": False, "products": "inner"}, {"products": "inner"}),
    ("deepfm", HIDDEN, {}),
    ("deepfm", {"deep": False}, {}),
    ("xdeepfm", HIDDEN | {"cin_units": 5}, {}),
    ("xdeepfm", {"deep": False, "cin_units": (6, 2), "n_layers": 2}, {"n_layers": 2}),
    ("autoint", HIDDEN | {"attention_dim": 3}, {}),
    ("autoint", {"deep": False, "n_heads": 1, "n_layers": 1}, {"n_heads": 1, "n_layers": 1}),
    ("autoint", HIDDEN | {"n_heads": 3, "scale": True}, {"n_heads": 3, "scale": True}),
    ("autoint", {"deep": False, "residual": False}, {"residual": False}),
    ("fibinet", HIDDEN, {}),
    ("fibinet", HIDDEN | {"bilinear": "each", "reduction": 2}, {"bilinear": "each"}),
    ("fibinet", {"deep": False, "bilinear": "all"}, {"bilinear": "all"}),
]


def model_id(value):
    return value if isinstance(value, str) else ",".join(f"{k}={v}" for k, v in value.items())


def test_every_model_is_here():
    assert {name for name, _, _ in MODELS} == set(REFERENCES) == set(BASELINES)


@pytest.mark.parametrize(("name", "options", "known"), MODELS, ids=model_id)
def test_logit(name, options, known):
    body = randomize(BASELINES[name](F, D, **options))
    E = torch.randn(6, F, D)
    params = to_numpy(body)
    expected = [REFERENCES[name](params, one.numpy(), **known) for one in E]
    np.testing.assert_allclose(body(E).detach(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", BASELINES)
def test_whole_module_adds_bias_and_linear_part(name):
    """b + Σ_f w_f[x_f] + body(E); the linear part in the models whose papers have one."""
    cardinalities = (3, 2, 4, 2)
    module = randomize(CTRModule(cardinalities, D, BASELINES[name]))
    X = torch.stack([torch.randint(n, (5,)) for n in cardinalities], 1)
    params = to_numpy(module)
    E = lookup(params["embedding.weight"], cardinalities, X.numpy())
    expected = params["bias"] + np.array([REFERENCES[name](part(params, "body"), e) for e in E])
    linear = {"fm", "widedeep", "deepfm", "xdeepfm", "fibinet"}
    assert ("first_order.weight" in params) == (name in linear)
    if name in linear:
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
