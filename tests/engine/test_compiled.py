"""Compiled loops against the plain way: kernels, engine, whole fits; and when they are used."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import _compiled
from sk_dynint._compiled import SWITCH, compiled_loops
from sk_dynint._loss import loss_for
from sk_dynint._module import CTRModule
from sk_dynint._process import no_fork
from sk_dynint.engine import KERNELS, Batch, Engine
from sk_dynint.engine.kernels import COMPILED, find_kernel
from sk_dynint.interactions import PIN, VARIANTS, InteractionStack
from tests.conftest import fast
from tests.engine.conftest import run_kernel
from tests.references import randomize

pytest.importorskip("numba")
EVERY_VARIANT = pytest.mark.parametrize(
    "variant", [name for name, layer in VARIANTS.items() if KERNELS.get((layer, "cpu")) in COMPILED]
)
CARDINALITIES = (3, 40, 2)


def both_ways(compute):
    """Results of a function with the loops and without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "1")
        compiled = compute()
        patch.setenv(SWITCH, "0")
        return compiled, compute()


def assert_close(found, expected, tolerance=1e-5):
    """A small entry may be what is left of large ones, so the largest gives the scale."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max() + 1e-7


def kernel_results(stack, embedding, logit_grad, block):
    """Logits, gradient of the embedding, gradients of the parameters."""
    kernel = find_kernel(stack)(stack)
    kernel.load()
    for _ in range(2):  # the second time with arrays that are used already
        results = run_kernel(kernel, embedding, logit_grad, block)
    return type(kernel), [*results, *(p.grad.clone() for p in stack.parameters())]


@EVERY_VARIANT
@given(
    n_fields=st.integers(1, 12),
    depth=st.integers(1, 3),
    n_subspaces=st.integers(1, 8),
    n_layers=st.integers(1, 4),
    output=st.sampled_from(["merge", "split"]),
    n_rows=st.integers(1, 40),
    block=st.integers(1, 40),
    zero_gates=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_kernel_is_the_plain_one(
    variant, n_fields, depth, n_subspaces, n_layers, output, n_rows, block, zero_gates
):
    options = {"n_layers": n_layers, "n_subspaces": n_subspaces, "output": output}
    if variant == "da":
        options |= {"reduction": 3, "gate_init": "zeros" if zero_gates else "glorot"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dim = depth * n_subspaces
        stack = InteractionStack(n_fields, dim, layer=VARIANTS[variant], **options)
        stack = stack if zero_gates else randomize(stack)
        data = torch.randn(n_rows, n_fields, dim), torch.randn(n_rows)
    (kind, found), (plain, expected) = both_ways(lambda: kernel_results(stack, *data, block))
    assert kind is COMPILED[plain]
    assert_close(found, expected)


def make_batch(n_classes, n_rows=300):
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, c, n_rows) for c in CARDINALITIES]).astype(np.int32)
    return Batch(
        torch.from_numpy(codes),
        torch.from_numpy(rng.integers(0, n_classes, n_rows).astype(np.float32)),
        torch.from_numpy(rng.uniform(0.5, 2, n_rows).astype(np.float32)),
    )


@EVERY_VARIANT
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("sparse", "oov"), [(True, "train"), (True, "zero"), (False, "zero")])
def test_gradients_are_the_plain_ones(variant, n_classes, n_threads, sparse, oov):
    def make_body(n_fields, embedding_dim):
        return InteractionStack(n_fields, embedding_dim, layer=VARIANTS[variant], n_subspaces=2)

    base, batch = 0.0 if n_classes == 2 else [0.0] * n_classes, make_batch(n_classes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = randomize(
            CTRModule(CARDINALITIES, 4, make_body, base_logit=base, sparse=sparse, oov=oov)
        )

    def gradients():
        engine = Engine(module, loss=loss_for(n_classes), n_threads=n_threads)
        with engine.workers.running():
            logit = engine.gradients(batch)
        grads = [p.grad.to_dense().clone() for p in module.parameters()]
        return [logit, *grads, engine.logits(batch.indices)]

    assert_close(*both_ways(gradients))


def test_frozen_parameters_get_no_gradient():
    stack = InteractionStack(3, 4, layer=PIN, n_subspaces=2)
    stack.output.requires_grad_(False)
    kernel = COMPILED[KERNELS[PIN, "cpu"]](stack)
    kernel.load()
    kernel.start()
    kernel.forward(torch.ones(2, 3, 4), training=True)
    kernel.backward(torch.ones(2), out=torch.empty(2, 3, 4))
    kernel.store_gradients([])
    assert stack.output.grad is None
    assert stack.layers[0].weight.grad is not None


@EVERY_VARIANT
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_so(variant, value):
    """A run that diverges must be noticed."""
    stack = InteractionStack(3, 4, layer=VARIANTS[variant], n_subspaces=2)
    embedding, logit_grad = torch.ones(20, 3, 4), torch.ones(20)
    embedding[7, 1, 2] = value
    _, (logit, grad, *grads) = kernel_results(stack, embedding, logit_grad, 20)
    assert not logit[7].isfinite()
    assert torch.cat([logit[:7], logit[8:]]).isfinite().all()
    assert not grad[7].isfinite().all()
    assert not any(g.isfinite().all() for g in grads[:2])


def test_exponential():
    from sk_dynint._compiled._stack import exponential

    x = np.float32(np.r_[np.linspace(-80, 80, 1001), 0.0])
    found = np.array([exponential(v) for v in x])
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=3e-7)
    assert np.isnan(exponential(np.float32(np.nan)))
    assert exponential(np.float32(-np.inf)) < 1e-37
    assert exponential(np.float32(np.inf)) > 1e37


@pytest.mark.parametrize("n_members", [1, 3])
def test_a_fit_is_the_plain_one_and_the_same_twice(many_clicks, n_members):
    X, y = many_clicks

    def proba():
        model = fast(n_members=n_members, n_layers=2, n_subspaces=4).fit(X[:1500], y[:1500])
        return torch.from_numpy(model.predict_proba(X[1500:2500]))

    compiled, plain = both_ways(proba)
    assert (compiled - plain).abs().max() < 1e-4
    assert torch.equal(compiled, proba())


def test_members_do_not_depend_on_the_number_of_threads(many_clicks):
    X, y = many_clicks
    found = []
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        try:
            model = fast(n_members=3, random_state=1).fit(X[:1000], y[:1000])
        finally:
            torch.set_num_threads(1)
        found.append(model.predict_proba(X[1000:1500]))
    assert np.array_equal(*found)


def test_fitted_models_can_be_copied(clicks):
    X, y = clicks
    model = fast().fit(X, y)
    expected = model.predict_proba(X)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin.predict_proba(X), expected)


# --- the rule


def test_when_loops_are_used(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    x = torch.zeros(4, 3)
    assert compiled_loops(x) is not None
    assert compiled_loops(x, torch.float32) is not None
    assert compiled_loops(x, torch.bfloat16) is None
    assert compiled_loops(x.double()) is None
    assert compiled_loops(x.T) is None
    assert compiled_loops(x.to("meta")) is None
    monkeypatch.setenv(SWITCH, "0")
    assert compiled_loops(x) is None


def test_without_numba_the_plain_way_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    for name in [name for name in sys.modules if name.startswith("sk_dynint._compiled.")]:
        monkeypatch.delitem(sys.modules, name)
    _compiled._load.cache_clear()
    try:
        assert compiled_loops(torch.zeros(2)) is None
        assert find_kernel(InteractionStack(3, 2, layer=PIN)) is KERNELS[PIN, "cpu"]
    finally:
        _compiled._load.cache_clear()


def test_numba_is_not_imported_with_the_package():
    code = "import sys, sk_dynint; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_fork_waits_for_the_import_of_numba(monkeypatch, clicks, n_members):
    """It would leave the lock of the import to a child without the thread that holds it."""
    X, y = clicks
    inside = []
    monkeypatch.setattr(_compiled, "_load", lambda: inside.append(no_fork._is_inside()))
    fast(max_epochs=1, n_members=n_members).fit(X, y).partial_fit(X, y).predict_proba(X)
    assert inside
    assert all(inside)
