"""Kernels against autograd: logits, and every gradient, over blocks of rows."""

import copy
import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import _matmul
from sk_dynint._loss import loss_for
from sk_dynint._module import CTRModule
from sk_dynint.engine import KERNELS, Batch, Engine
from sk_dynint.engine.kernels import _stack, find_kernel
from sk_dynint.engine.kernels._stack import padded
from sk_dynint.interactions import PIN, VARIANTS, InteractionStack
from tests.conftest import NEEDS_ONEDNN
from tests.engine.conftest import run_kernel
from tests.references import randomize

pytestmark = pytest.mark.usefixtures("double_precision")
EVERY_VARIANT = pytest.mark.parametrize(
    "variant", [name for name, layer in VARIANTS.items() if (layer, "cpu") in KERNELS]
)


def make_stack(variant, n_fields=5, embedding_dim=4, **options):
    """A stack away from any symmetric start."""
    takes = inspect.signature(VARIANTS[variant]).parameters
    defaults = {"reduction": 3, "rank": 2, "paradigm": "low_rank"}
    options = {k: v for k, v in defaults.items() if k in takes} | options
    return randomize(InteractionStack(n_fields, embedding_dim, layer=VARIANTS[variant], **options))


def by_autograd(stack, embedding, logit_grad):
    """Logits, gradient of the embedding, gradients of the parameters."""
    twin = copy.deepcopy(stack)
    embedding = embedding.clone().requires_grad_()
    logit = twin(embedding)
    logit.backward(logit_grad)
    return [logit.detach(), embedding.grad, *(p.grad for p in twin.parameters())]


def by_kernel(stack, embedding, logit_grad, block, dtype=None, by_onednn=None):
    """The same, in blocks of rows."""
    kernel = find_kernel(stack, dtype=dtype)(stack, dtype)
    if by_onednn is not None:
        kernel.by_onednn = by_onednn
    kernel.load()
    results = run_kernel(kernel, embedding, logit_grad, block)
    return [*results, *(p.grad for p in stack.parameters())]


@EVERY_VARIANT
@given(
    n_fields=st.integers(1, 5),
    depth=st.integers(1, 3),
    n_subspaces=st.integers(1, 4),
    n_layers=st.integers(1, 3),
    rank=st.integers(1, 4),
    output=st.sampled_from(["merge", "split"]),
    n_rows=st.integers(1, 9),
    block=st.integers(1, 9),
)
@settings(max_examples=25, deadline=None)
def test_kernel_is_autograd(
    variant, n_fields, depth, n_subspaces, n_layers, rank, output, n_rows, block
):
    options = {"n_layers": n_layers, "n_subspaces": n_subspaces, "output": output}
    if variant == "dgp":
        options["rank"] = min(rank, n_fields * n_subspaces)
    if variant == "dwp":
        options["rank"] = rank
    stack = make_stack(variant, n_fields, depth * n_subspaces, **options)
    embedding = torch.randn(n_rows, n_fields, depth * n_subspaces)
    logit_grad = torch.randn(n_rows)
    expected = by_autograd(stack, embedding, logit_grad)
    found = by_kernel(stack, embedding, logit_grad, block)
    for ours, theirs in zip(found, expected, strict=True):
        # A small entry may be what is left of large ones, so the largest gives the scale.
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max() + 1e-12


@EVERY_VARIANT
@pytest.mark.parametrize("by_onednn", [False, pytest.param(True, marks=NEEDS_ONEDNN)])
@pytest.mark.parametrize("sizes", [(5, 4, 2), (33, 8, 4), (5, 8, 8), (40, 2, 1)])
def test_single_precision_by_either_library(monkeypatch, variant, by_onednn, sizes):
    monkeypatch.setattr(_matmul, "ONEDNN_MIN_MULTIPLICATIONS", 0)
    monkeypatch.setattr(_stack, "MKL_MAX_GRADIENT_ENTRIES", 0)
    n_fields, embedding_dim, n_subspaces = sizes
    stack = make_stack(variant, n_fields, embedding_dim, n_subspaces=n_subspaces, n_layers=2)
    data = torch.randn(23, n_fields, embedding_dim), torch.randn(23)
    expected = by_autograd(stack, *data)
    found = by_kernel(stack.float(), *(t.float() for t in data), 10, by_onednn=by_onednn)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@EVERY_VARIANT
def test_wide_stack(variant):
    """A width that is not padded: 33 fields times 4."""
    stack = make_stack(variant, 33, 8, n_subspaces=4, n_layers=2)
    data = torch.randn(6, 33, 8), torch.randn(6)
    for ours, theirs in zip(by_kernel(stack, *data, 4), by_autograd(stack, *data), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@EVERY_VARIANT
def test_prediction_keeps_nothing_and_changes_nothing(variant):
    stack = make_stack(variant)
    kernel = find_kernel(stack)(stack)
    kernel.load()
    for n_rows in (7, 3, 7):
        embedding = torch.randn(n_rows, 5, 4)
        torch.testing.assert_close(kernel.forward(embedding), stack(embedding).detach())
    assert not kernel.gradients
    assert all(p.grad is None for p in stack.parameters())


@EVERY_VARIANT
def test_load_reads_new_weights_and_forgets_old_gradients(variant):
    stack = make_stack(variant)
    data = torch.randn(6, 5, 4), torch.randn(6)
    kernel = find_kernel(stack)(stack)
    for _ in range(2):
        randomize(stack)
        kernel.load()
        kernel.start()
        kernel.forward(data[0], training=True)
        kernel.backward(data[1], out=torch.empty_like(data[0]))
        kernel.store_gradients([])
        for p, expected in zip(stack.parameters(), by_autograd(stack, *data)[2:], strict=True):
            torch.testing.assert_close(p.grad, expected)


@EVERY_VARIANT
def test_gradients_of_several_kernels_add_up(variant):
    stack = make_stack(variant)
    data = torch.randn(6, 5, 4), torch.randn(6)
    kernels = [find_kernel(stack)(stack) for _ in range(2)]
    for kernel, embedding, logit_grad in zip(kernels, *(t.split(4) for t in data), strict=True):
        kernel.load()
        kernel.start()
        kernel.forward(embedding, training=True)
        kernel.backward(logit_grad, out=torch.empty_like(embedding))
    kernels[0].store_gradients(kernels[1:])
    for p, expected in zip(stack.parameters(), by_autograd(stack, *data)[2:], strict=True):
        torch.testing.assert_close(p.grad, expected)


@EVERY_VARIANT
def test_half_precision_is_close(variant):
    """bfloat16 has eight bits; errors add up over three layers and small gradients."""
    stack = make_stack(variant, n_layers=3).float()
    data = torch.randn(40, 5, 4).float(), torch.randn(40).float()
    expected = by_autograd(stack, *data)
    for ours, theirs in zip(by_kernel(stack, *data, 16, torch.bfloat16), expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).abs().max() <= 0.15 * theirs.abs().max()
        assert not torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        ("da", {"gate_shape": "element"}),
        ("da", {"gate_input": "pooled"}),
        ("dgp", {"sigma": "full"}),
        ("dgp", {"activation": "linear"}),
        ("dwp", {"paradigm": "explicit"}),
        ("dwp", {"gate_input": "pooled"}),
        ("pin", {"n_layers": 0}),
    ],
)
def test_rare_options_are_left_to_autograd(variant, options):
    assert find_kernel(make_stack(variant, **options)) is None


def test_penalty_of_every_instance_is_left_to_autograd():
    assert find_kernel(make_stack("dwp"), penalty=0.1) is None
    assert find_kernel(make_stack("dgp"), penalty=0.1) is not None


def test_subclass_does_not_inherit_the_kernel():
    """Its `forward` may compute something else."""

    class Halved(PIN):
        def forward(self, x, x0):
            return (x + super().forward(x, x0)) / 2

    assert find_kernel(InteractionStack(3, 2, layer=PIN)) is not None
    assert find_kernel(InteractionStack(3, 2, layer=Halved)) is None


@pytest.mark.parametrize(("width", "expected"), [(1, 8), (8, 8), (39, 40), (127, 128), (156, 156)])
def test_small_widths_are_padded(width, expected):
    assert padded(width) == expected


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("penalty", [0.0, 0.5])
@pytest.mark.parametrize("key", KERNELS, ids=lambda key: f"{key[0].__name__}-{key[1]}")
def test_every_registered_kernel_against_autograd(key, penalty, training, n_classes):
    """Through the engine, whatever mode the module is in and whether there is a penalty."""
    layer, device = key
    if device != "cpu" and not torch.cuda.is_available():
        pytest.skip(f"no {device} here")

    def make_body(n_fields, embedding_dim):
        options = {"paradigm": "low_rank", "rank": 2}
        takes = inspect.signature(layer).parameters
        options = {k: v for k, v in options.items() if k in takes}
        return InteractionStack(n_fields, embedding_dim, layer=layer, n_subspaces=2, **options)

    base, loss = 0.0 if n_classes == 2 else [0.0] * n_classes, loss_for(n_classes)
    module = randomize(CTRModule((3, 40, 2), 4, make_body, base_logit=base)).to(device)
    rng = np.random.default_rng(0)
    indices = np.column_stack([rng.integers(0, c, 300) for c in (3, 40, 2)])
    batch = Batch(
        torch.from_numpy(indices).to(device),
        torch.from_numpy(rng.integers(0, n_classes, 300).astype(float)).to(device),
        torch.from_numpy(rng.uniform(0.5, 2, 300)).to(device),
    )
    module.train()
    logit = module(batch.indices)
    total = loss(logit, batch.target, batch.weight)
    (total + penalty * (batch.weight * module.penalty()).sum()).backward()
    expected = [p.grad.to_dense() for p in module.parameters()]
    module.train(training)
    found = Engine(module, loss=loss, penalty=penalty).gradients(batch)
    torch.testing.assert_close(found, logit.detach())
    for (name, p), gradient in zip(module.named_parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad.to_dense(), gradient, msg=name)
