"""The engine against autograd over the whole module, and its threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sk_dynint import BaselineClassifier, DynIntClassifier
from sk_dynint._loss import BinaryCrossEntropy
from sk_dynint._module import CTRModule
from sk_dynint._process import one_thread
from sk_dynint.baselines import DNNBody
from sk_dynint.engine import Batch, Engine
from sk_dynint.engine._engine import group_rows
from sk_dynint.engine._threads import Workers
from sk_dynint.interactions import VARIANTS, InteractionLayer, InteractionStack
from sk_dynint.optim import FTRL
from tests.conftest import fast, make_clicks
from tests.references import randomize
from tests.test_module import SumBody

CARDINALITIES = (3, 40, 2)
N = 90


def make_module(variant="da", **options):
    """A module in double precision; variant "body" is one without a kernel, of first order."""

    def stack(n_fields, embedding_dim):
        return InteractionStack(n_fields, embedding_dim, layer=VARIANTS[variant], n_subspaces=2)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        make_body = SumBody if variant == "body" else stack
        return randomize(CTRModule(CARDINALITIES, 4, make_body, **options).double())


def make_rows(n=N, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, c, n) for c in CARDINALITIES]).astype(np.int32)
    return Batch(
        torch.from_numpy(codes),
        torch.from_numpy(rng.integers(0, 2, n).astype(float)),
        torch.from_numpy(rng.uniform(0.5, 2, n)),
    )


def by_autograd(module, codes, target, weight, penalty=0.0):
    module.zero_grad()
    logit = module(codes)
    loss = functional.binary_cross_entropy_with_logits(logit, target, weight, reduction="sum")
    (loss + penalty * (weight * module.penalty()).sum()).backward()
    return logit.detach(), [p.grad.to_dense() for p in module.parameters()]


@pytest.mark.parametrize("oov", ["train", "zero"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("variant", [*VARIANTS, "body"])
def test_gradients_are_those_of_autograd(variant, n_threads, sparse, oov):
    module = make_module(variant, sparse=sparse, oov=oov)
    rows = make_rows()
    logit, gradients = by_autograd(module, *rows)
    module.zero_grad()
    engine = Engine(module, n_threads=n_threads)
    with engine.workers.running():
        found = engine.gradients(rows)
    torch.testing.assert_close(found, logit)
    for (name, p), expected in zip(module.named_parameters(), gradients, strict=True):
        is_table = name in ("embedding.weight", "first_order.weight")
        assert p.grad.is_sparse == (sparse and is_table)
        assert not p.grad.is_sparse or p.grad.is_coalesced()  # nothing left to the optimizer
        torch.testing.assert_close(p.grad.to_dense(), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_penalty_counts_once_for_each_unit_of_weight(variant):
    module = make_module(variant)
    rows = make_rows(300)  # more than a block
    _, gradients = by_autograd(module, *rows, penalty=0.1)
    module.zero_grad()
    Engine(module, penalty=0.1, n_threads=2).gradients(rows)
    for p, expected in zip(module.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad.to_dense(), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_of_the_penalty_does_not_depend_on_the_mode(variant):
    """The layers compute their penalty in training only: the engine sees to that itself."""
    rows = make_rows()
    norms = []
    for penalty in (0.0, 0.5):
        found = []
        for training in (True, False):
            module = make_module(variant).train(training)
            Engine(module, penalty=penalty).gradients(rows)
            found.append([p.grad.to_dense() for p in module.parameters()])
        assert all(map(torch.equal, *found))
        norms.append(sum(float(g.square().sum()) for g in found[1]))
    has_penalty = VARIANTS[variant].penalty is not InteractionLayer.penalty
    assert (norms[0] != norms[1]) == has_penalty


def test_logits_are_those_of_evaluation():
    """Dropout is off, in whatever mode the module was left."""
    module = CTRModule(CARDINALITIES, 4, partial(DNNBody, hidden_units=(9,), dropout=0.5)).train()
    indices = make_rows().indices
    one, two = (Engine(module.train()).logits(indices) for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize("optimizer", [FTRL, torch.optim.SGD])
def test_a_step_is_gradients_then_optimizer(optimizer):
    """Its sums are of the batch before the step; parameters without a gradient keep none."""
    rows = make_rows()
    stepped, by_hand = (make_module(sparse=optimizer is FTRL) for _ in range(2))
    seen = []
    engine = Engine(stepped, optimizer(stepped.parameters(), lr=1e-3))
    sums = engine.step(rows, on_gradients=lambda: seen.append(stepped.bias.grad.clone()))
    logit = Engine(by_hand).gradients(rows)
    assert torch.equal(seen[0], by_hand.bias.grad)
    optimizer(by_hand.parameters(), lr=1e-3).step()
    for p, expected in zip(stepped.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(p, expected)
    assert torch.equal(sums.logit, logit)
    torch.testing.assert_close(sums.loss, BinaryCrossEntropy()(logit, rows.target, rows.weight))
    assert sums.weight == rows.weight.sum()
    evaluated = engine.evaluate(rows)
    assert evaluated.loss < sums.loss


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("variant", [*VARIANTS, "body"])
def test_logits_are_those_of_the_module(variant, n_threads):
    module = make_module(variant)
    codes = make_rows(700).indices
    engine = Engine(module, n_threads=n_threads)
    with engine.workers.running():
        torch.testing.assert_close(engine.logits(codes), module(codes).detach())


@given(rows=st.lists(st.integers(0, 20), min_size=1, max_size=60))
@settings(max_examples=50, deadline=None)
def test_rows_grouped_by_value(rows):
    places = torch.randperm(2 * len(rows))[: len(rows)].sort().values
    touched, order, starts = group_rows(torch.tensor(rows), places, 2 * len(rows))
    assert touched.tolist() == sorted(set(rows))
    groups = np.split(order.numpy(), starts[1:])
    assert [g.tolist() for g in groups] == [
        [place for place, row in zip(places.tolist(), rows, strict=True) if row == value]
        for value in touched.tolist()
    ]


def test_same_number_of_threads_same_bits():
    found = []
    for _ in range(3):
        module = make_module().float()
        engine = Engine(module, n_threads=2)
        with engine.workers.running():
            engine.gradients(make_rows())
        found.append([p.grad.to_dense() for p in module.parameters()])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


# --- threads


def test_map_keeps_the_order_and_uses_all_threads():
    workers = Workers(3)
    barrier = threading.Barrier(3, timeout=10)

    def meet(x, y):
        if x < 3:
            barrier.wait()  # passes only if three threads come
        return x * y

    with workers.running():
        assert workers.map(meet, range(9), range(9)) == [i * i for i in range(9)]
    assert workers.map(lambda x: -x, [1, 2]) == [-1, -2]  # alone, after the threads have gone


def test_errors_of_a_thread_arrive():
    def fail(i):
        if i == 5:
            raise ZeroDivisionError(i)

    workers = Workers(2)
    with workers.running(), pytest.raises(ZeroDivisionError, match="5"):
        workers.map(fail, range(8))


def test_one_thread_in_several_threads():
    """Whoever comes while others are inside gives the usual number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    barrier = threading.Barrier(3, timeout=10)

    def hold():
        barrier.wait()
        with one_thread():
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
            barrier.wait()
        return torch.get_num_threads()

    try:
        for _ in range(5):
            with ThreadPoolExecutor(3) as pool:
                assert list(pool.map(lambda _: hold(), range(3))) == [2, 2, 2]
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def test_threads_of_torch_are_given_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with Workers(2).running():
            assert torch.get_num_threads() == 1
        seen = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert [torch.get_num_threads(), *seen] == [2, 2]
    finally:
        torch.set_num_threads(before)


def test_training_does_not_depend_on_the_threads_but_for_rounding():
    X, y = make_clicks(120)  # few enough for float64
    found = []
    for n_threads in (1, 2, 2):
        torch.set_num_threads(n_threads)
        try:
            found.append(fast().fit(X, y).predict_proba(X))
        finally:
            torch.set_num_threads(1)
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    np.testing.assert_array_equal(found[1], found[2])


def test_fitted_classifier_keeps_no_engine(clicks):
    X, y = clicks
    net = fast().fit(X, y).net_
    assert net.run_ is None
    assert not net.callbacks


# --- precision


@pytest.mark.filterwarnings("ignore:.*has no instructions for bfloat16")  # slow there, but right
@pytest.mark.parametrize("make", [DynIntClassifier, BaselineClassifier])
def test_half_precision_trains_like_single(make, many_clicks):
    X, y = many_clicks
    found = [
        make(precision=precision, max_epochs=3, random_state=0, early_stopping=False)
        .fit(X, y)
        .predict_proba(X)
        for precision in ("fp32", "bf16")
    ]
    assert not np.array_equal(*found)
    np.testing.assert_allclose(*found, atol=0.05)


@pytest.mark.parametrize("able", [True, False])
def test_half_precision_warns_where_it_is_slow(clicks, able, monkeypatch):
    capabilities = {"avx512_bf16": able}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    warned = nullcontext() if able else pytest.warns(UserWarning, match="several times as long")
    with warned:
        fast(precision="bf16").fit(*clicks)


def test_precision_has_two_names(clicks):
    with pytest.raises(ValueError, match="must be a str among"):
        fast(precision="fp16").fit(*clicks)
