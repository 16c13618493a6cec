"""Forward pass, penalty and every gradient of the whole model against the NumPy reference."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from sk_dynint._module import CTRModule
from sk_dynint.interactions import PIN, VARIANTS, InteractionStack, split_subspaces
from tests.references import (
    LAYERS,
    central_differences,
    complex_step,
    known_options,
    logit_and_penalty,
    number,
    objective,
    randomize,
    to_numpy,
)

CARDINALITIES = (3, 4, 2)
COEFFICIENT = 0.3

# variant, stack options (embedding_dim 4), layer options
MODELS = [
    ("pin", {"n_layers": 0}, {}),
    ("pin", {"n_layers": 1}, {}),
    ("pin", {"n_layers": 3, "n_subspaces": 2}, {}),
    ("pin", {"n_layers": 2, "n_subspaces": 4, "output": "split"}, {}),
    ("da", {"n_layers": 2}, {"reduction": 4}),
    ("da", {"n_layers": 2, "n_subspaces": 2}, {"reduction": 100}),
    ("da", {"n_layers": 1, "n_subspaces": 2}, {"reduction": 4, "gate_shape": "element"}),
    ("da", {"n_layers": 2, "n_subspaces": 4}, {"reduction": 3, "gate_input": "pooled"}),
    ("dgp", {"n_layers": 2}, {"reduction": 4, "rank": 2}),
    ("dgp", {"n_layers": 2, "n_subspaces": 2}, {"reduction": 6, "rank": 4}),
    ("dgp", {"n_layers": 1}, {"reduction": 4, "rank": 3, "activation": "softplus"}),
    ("dgp", {"n_layers": 1}, {"reduction": 4, "rank": 2, "activation": "linear"}),
    ("dgp", {"n_layers": 2, "n_subspaces": 2}, {"reduction": 4, "rank": 2, "sigma": "full"}),
    (
        "dgp",
        {"n_layers": 1, "n_subspaces": 4},
        {
            "reduction": 4,
            "rank": 3,
            "gate_input": "pooled",
            "penalty_kind": "squared",
            "normalize_penalty": True,
        },
    ),
    ("dwp", {"n_layers": 2}, {"reduction": 4, "rank": 1}),
    ("dwp", {"n_layers": 2}, {"reduction": 4, "rank": 2, "paradigm": "low_rank"}),
    ("dwp", {"n_layers": 1, "n_subspaces": 2}, {"reduction": 6, "rank": 3, "paradigm": "explicit"}),
    ("dwp", {"n_layers": 1}, {"reduction": 4, "rank": 3, "offset": "paper"}),
    ("dwp", {"n_layers": 1, "n_subspaces": 4}, {"reduction": 6, "rank": 2, "offset": "first"}),
    (
        "dwp",
        {"n_layers": 2},
        {
            "reduction": 6,
            "rank": 2,
            "offset": "none",
            "gate_input": "pooled",
            "penalty_kind": "squared",
            "normalize_penalty": True,
        },
    ),
]
MODELS += [(name, {"n_layers": 2}, {}) for name in LAYERS if name not in {m[0] for m in MODELS}]
ONLY_TORCH = ("reduction", "paradigm")  # sizes that the weights show, and how, not what


def make_model(variant, stack_options, layer_options, **embedding_options):
    module = CTRModule(
        CARDINALITIES,
        4,
        lambda n_fields, embedding_dim: InteractionStack(
            n_fields, embedding_dim, layer=VARIANTS[variant], **stack_options, **layer_options
        ),
        **embedding_options,
    )
    return randomize(module)


def reference_options(variant, stack_options, layer_options):
    layer_options = {k: v for k, v in layer_options.items() if k not in ONLY_TORCH}
    if variant == "dgp":
        layer_options.pop("rank")  # u and v show it
    return {"variant": variant, **stack_options, **layer_options}


def make_batch():
    X = torch.tensor([[0, 3, 1], [2, 0, 0], [2, 1, 1], [0, 3, 0]])
    return X, torch.tensor([1.0, 0.0, 0.0, 1.0])


def model_id(value):
    return value if isinstance(value, str) else ",".join(f"{k}={v}" for k, v in value.items())


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_a_reference(variant):
    assert variant in LAYERS, (
        f"variant {variant!r} has no reference: add LAYERS[{variant!r}] to tests/references.py, "
        "its layer in loops over plain NumPy arrays (docs/extending.md, A variant); forms "
        "with other than the default options may be added to MODELS here"
    )


@pytest.mark.parametrize(("variant", "stack_options", "layer_options"), MODELS, ids=model_id)
def test_logit_penalty_and_all_gradients(variant, stack_options, layer_options):
    """T13, T17, T18: the reference forms every matrix and blocks what gates look at."""
    module = make_model(variant, stack_options, layer_options)
    X, y = make_batch()
    params = to_numpy(module)
    options = reference_options(variant, stack_options, layer_options)

    logit = module(X)
    expected_logit, expected_penalty = logit_and_penalty(
        params, CARDINALITIES, X.numpy(), **options
    )
    np.testing.assert_allclose(logit.detach(), expected_logit, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(number(module.penalty()), expected_penalty, rtol=1e-10)

    loss = functional.binary_cross_entropy_with_logits(logit, y, reduction="sum")
    (loss + COEFFICIENT * (module.penalty() * torch.ones(len(X))).sum()).backward()
    expected = complex_step(
        lambda p: objective(p, CARDINALITIES, X.numpy(), y.numpy(), COEFFICIENT, **options),
        params,
    )
    for name, p in module.named_parameters():
        grad = p.grad.to_dense()
        np.testing.assert_allclose(grad, expected[name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("variant", LAYERS)
def test_reference_gradient_agrees_with_central_differences(variant):
    """T18: the complex step itself; not for the embedding, whose gradient is blocked in gates."""
    layer_options = known_options(VARIANTS[variant], {"rank": 2})
    sizes = known_options(VARIANTS[variant], {"reduction": 6})
    module = make_model(variant, {"n_layers": 2, "n_subspaces": 2}, layer_options | sizes)
    X, y = (t.numpy() for t in make_batch())
    options = reference_options(variant, {"n_layers": 2, "n_subspaces": 2}, layer_options)
    table = to_numpy(module)["embedding.weight"]
    params = {k: v for k, v in to_numpy(module).items() if k != "embedding.weight"}

    def loss(p):
        p = p | {"embedding.weight": table}
        return objective(p, CARDINALITIES, X, y, COEFFICIENT, **options)

    exact, approximate = complex_step(loss, params), central_differences(loss, params)
    for name in params:
        np.testing.assert_allclose(exact[name], approximate[name], rtol=1e-6, atol=1e-7)


def test_static_layer_by_loops():
    """T05: every product of Eq. (3) written out."""
    layer = PIN(width=6, depth=2)
    embedding = torch.randn(3, 3, 4)
    x0 = split_subspaces(embedding, 2)
    x = torch.randn_like(x0)
    out = layer(x, x0)
    for b in range(3):
        for m in range(6):
            for j in range(2):
                mixed = sum(layer.weight[m, k] * x0[b, j, k] for k in range(6))
                torch.testing.assert_close(out[b, j, m], x[b, j, m] * mixed + x[b, j, m])
