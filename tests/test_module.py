"""The embedding table, the sum of the parts, and training end to end."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn import functional

from sk_dynint._body import Body
from sk_dynint._loss import SoftmaxCrossEntropy
from sk_dynint._module import CTRModule, FieldEmbedding
from sk_dynint.baselines import BASELINES
from sk_dynint.interactions import VARIANTS, InteractionStack
from sk_dynint.optim import FTRL
from tests.interactions.conftest import _double_precision  # noqa: F401
from tests.references import (
    PlainFTRL,
    central_differences,
    complex_step,
    lookup,
    number,
    objective,
    randomize,
    summed_cross_entropy,
    to_numpy,
)

CARDINALITIES = (3, 4, 2)
OFFSETS = np.array([0, 3, 7])
OOV = pytest.mark.parametrize("oov", ["train", "zero"])


def make_indices(n=7, seed=0, cardinalities=CARDINALITIES, dtype=np.int64):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, c, n) for c in cardinalities])
    return torch.tensor(X.astype(dtype))


class SumBody(Body):
    """Sum of everything, times a number; wants first-order weights."""

    first_order = True

    def __init__(self, n_fields, embedding_dim):
        super().__init__()
        self.shape = n_fields, embedding_dim
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, embedding):
        return self.factor * embedding.sum((1, 2))


# --- the table


@OOV
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_every_field_reads_its_own_block(oov, sparse, dtype):
    """Eq. (1)."""
    embedding = FieldEmbedding(CARDINALITIES, 5, oov=oov, sparse=sparse)
    X = make_indices(dtype=dtype)
    table = to_numpy(embedding)["weight"]
    assert table.shape == (9, 5)
    expected = lookup(table, CARDINALITIES, X.numpy(), oov)
    np.testing.assert_array_equal(embedding(X).detach(), expected)
    with torch.no_grad():
        np.testing.assert_array_equal(embedding(X), expected)


@given(
    cardinalities=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    n=st.integers(1, 12),
    embedding_dim=st.integers(1, 3),
    oov=st.sampled_from(["train", "zero"]),
    dtype=st.sampled_from([np.int32, np.int64]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_sparse_gradient_is_the_dense_one(cardinalities, n, embedding_dim, oov, dtype, seed):
    """T29: summed over duplicates, that of each row of the batch and of no other."""
    X = make_indices(n, seed, cardinalities, dtype)
    grads = {}
    upstream = torch.randn(n, len(cardinalities), embedding_dim)
    for sparse in (True, False):
        embedding = FieldEmbedding(cardinalities, embedding_dim, oov=oov, sparse=sparse)
        embedding(X).backward(upstream)
        grads[sparse] = embedding.weight.grad
    assert grads[True].is_sparse
    assert not grads[False].is_sparse
    torch.testing.assert_close(grads[True].to_dense(), grads[False])
    offsets = np.cumsum([0, *cardinalities[:-1]])
    rows = np.unique(X.numpy() + offsets)
    np.testing.assert_array_equal(grads[True].coalesce().indices()[0], rows)


def test_rows_beyond_the_integers_of_single_precision_stay_apart():
    """Small integers travel in, int64 rows come out: 2²⁴ + 1 is no float32."""
    embedding = FieldEmbedding([3, 3], 1)
    embedding.offsets = torch.tensor([0, 2**24])
    embedding.weight = torch.nn.Parameter(torch.zeros(1, 1).expand(2**24 + 3, 1))  # no memory
    X = torch.tensor([[1, 1], [2, 2]], dtype=torch.int32)
    (grad,) = torch.autograd.grad(embedding(X).sum(), embedding.weight)
    assert grad.coalesce().indices().tolist() == [[1, 2, 2**24 + 1, 2**24 + 2]]


def test_gradients_of_two_batches_accumulate():
    grads = []
    for sparse in (True, False):
        embedding = FieldEmbedding(CARDINALITIES, 2, sparse=sparse)
        for seed in range(2):
            embedding(make_indices(3, seed)).square().sum().backward()
        grads.append(embedding.weight.grad.to_dense() / embedding.weight.detach())
    torch.testing.assert_close(*grads)  # twice the number of times seen


def test_zero_levels_are_constant_and_get_no_gradient():
    """Indices 0 and 1 of every field; the others train."""
    for sparse in (True, False):
        embedding = FieldEmbedding(CARDINALITIES, 2, oov="zero", sparse=sparse)
        X = torch.tensor([[0, 1, 0], [2, 2, 1], [1, 3, 1]])
        out = embedding(X)
        assert torch.equal((out == 0).all(2), X <= 1)
        out.sum().backward()
        trained = (embedding.weight.grad.to_dense() != 0).all(1)
        assert torch.nonzero(trained).flatten().tolist() == [2, 5, 6]


@pytest.mark.parametrize(("init_std", "expected"), [(None, 0.25), (0.01, 0.01), (0.0, 0.0)])
def test_start_has_the_standard_deviation(init_std, expected):
    weight = FieldEmbedding([1000, 500], 16, init_std=init_std).weight
    assert weight.std().item() == pytest.approx(expected, rel=0.02)


def test_counts_pruned_rows():
    embedding = FieldEmbedding(CARDINALITIES, 2)
    embedding.weight.data[[1, 4]] = 0
    embedding.weight.data[5, 0] = 0  # half a row is no pruned row
    assert embedding.n_zero_rows() == 2


# --- the sum of the parts


def test_logit_is_the_sum_of_the_parts():
    module = randomize(CTRModule(CARDINALITIES, 5, SumBody, base_logit=-1.5))
    assert module.body.shape == (3, 5)
    X = make_indices()
    params = to_numpy(module)
    first = lookup(params["first_order.weight"], CARDINALITIES, X.numpy()).sum((1, 2))
    embedding = lookup(params["embedding.weight"], CARDINALITIES, X.numpy())
    body = params["body.factor"] * embedding.sum((1, 2))
    np.testing.assert_allclose(module(X).detach(), params["bias"] + first + body)


def test_first_order_weights_start_at_zero_and_the_bias_at_the_base_logit():
    module = CTRModule(CARDINALITIES, 5, SumBody, base_logit=-1.5)
    assert module.bias.item() == -1.5
    assert torch.equal(module.first_order.weight, torch.zeros(9, 1))


def test_every_class_has_its_sum():
    """Bodies, first-order weights and biases of each class, over one embedding table."""
    module = randomize(CTRModule(CARDINALITIES, 5, SumBody, base_logit=[1.0, 2.0, 3.0]))
    params, X = to_numpy(module), make_indices()
    first = lookup(params["first_order.weight"], CARDINALITIES, X.numpy()).sum(1)
    embedding = lookup(params["embedding.weight"], CARDINALITIES, X.numpy()).sum((1, 2))
    factors = [params[f"body.bodies.{c}.factor"] for c in range(3)]
    expected = params["bias"] + first + np.outer(embedding, factors)
    np.testing.assert_allclose(module(X).detach(), expected)


def test_classes_have_a_first_order_or_columns_of_their_own():
    """Else the effect of a level would be the same for all of them, up to a factor."""
    module = CTRModule(CARDINALITIES, 4, InteractionStack, base_logit=np.array([1.0, 2.0, 3.0]))
    assert module.bias.tolist() == [1, 2, 3]
    assert module.embedding.weight.shape == (9, 4)
    assert module.first_order.weight.shape == (9, 3)
    factorization = CTRModule(CARDINALITIES, 4, BASELINES["fm"], base_logit=[1.0, 2.0, 3.0])
    assert factorization.embedding.weight.shape == (9, 12)
    X = make_indices()
    parts = factorization.embedding(X).chunk(3, 2)
    expected = torch.stack([BASELINES["fm"](3, 4)(part) for part in parts], 1)
    torch.testing.assert_close(factorization(X), torch.tensor([1.0, 2.0, 3.0]) + expected)


@pytest.mark.parametrize("name", ["pin", "da", "dgp", "dwp", "fm"])
def test_gradients_of_several_classes_are_slopes(name):
    body = BASELINES.get(name) or partial(InteractionStack, layer=VARIANTS[name], n_layers=2)
    module = randomize(CTRModule(CARDINALITIES, 4, body, base_logit=[0.0, 1.0, 2.0], sparse=False))
    X, target, weight = make_indices(4), torch.tensor([0.0, 2.0, 1.0, 2.0]), torch.arange(1.0, 5.0)

    def loss(params):
        tensors = {k: torch.as_tensor(v) for k, v in params.items()}
        return SoftmaxCrossEntropy(3)(functional_call(module, tensors, X), target, weight)

    expected = central_differences(lambda p: float(loss(p)), to_numpy(module))
    loss(dict(module.named_parameters())).backward()
    for key, parameter in module.named_parameters():
        if name in ("pin", "fm") or key != "embedding.weight":  # the inputs of gates have none
            np.testing.assert_allclose(parameter.grad, expected[key], atol=1e-6, err_msg=key)


def test_first_order_exists_only_for_a_body_that_asks():
    module = CTRModule(CARDINALITIES, 4, InteractionStack)
    assert module.first_order is None
    assert not any("first_order" in name for name in module.state_dict())


@pytest.mark.parametrize("sparse", [True, False])
def test_sparse_reaches_both_tables(sparse):
    module = CTRModule(CARDINALITIES, 5, SumBody, sparse=sparse)
    module(make_indices()).sum().backward()
    assert module.embedding.weight.grad.is_sparse == sparse
    assert module.first_order.weight.grad.is_sparse == sparse


def test_zero_levels_reach_both_tables():
    module = randomize(CTRModule(CARDINALITIES, 5, SumBody, oov="zero"))
    logit = module(torch.tensor([[0, 1, 0], [1, 0, 1]]))
    assert torch.equal(logit, module.bias.expand(2))


def test_body_without_a_penalty_has_penalty_zero():
    module = CTRModule(CARDINALITIES, 5, SumBody)
    module(make_indices())
    assert module.penalty() == 0


def test_penalty_is_the_body_s():
    module = randomize(
        CTRModule(
            CARDINALITIES, 4, lambda F, D: InteractionStack(F, D, layer=VARIANTS["dgp"], rank=2)
        )
    )
    assert number(module.penalty()) == number(module.body.penalty()) > 0


@pytest.mark.parametrize("n_subspaces", [1, 2])
def test_zero_layers_is_logistic_regression(n_subspaces):
    """T03: one weight for a level, w_out[f] Σ_d E_f[level, d]."""
    module = randomize(
        CTRModule(
            CARDINALITIES,
            4,
            lambda F, D: InteractionStack(F, D, n_layers=0, n_subspaces=n_subspaces),
        )
    )
    X = make_indices()
    params = to_numpy(module)
    weights = params["embedding.weight"].sum(1) * np.repeat(params["body.output"], CARDINALITIES)
    one_hot = np.zeros((len(X), 9))
    for f, offset in enumerate(OFFSETS):
        one_hot[np.arange(len(X)), offset + X[:, f].numpy()] = 1
    np.testing.assert_allclose(module(X).detach(), params["bias"] + one_hot @ weights)


def test_logits_are_not_probabilities_and_the_loss_has_the_right_sign_at_extremes():
    """T20: log(1 + exp(-(2y - 1) logit)), finite with finite gradients."""
    X, y = make_indices(4), torch.tensor([0.0, 1.0, 0.0, 1.0])
    losses = []
    for base_logit in (-1000.0, -3.0, 0.0, 3.0, 1000.0):
        module = CTRModule(CARDINALITIES, 4, InteractionStack, base_logit=base_logit)
        module.embedding.weight.data.zero_()
        logit = module(X)
        assert torch.equal(logit, torch.full((4,), base_logit))
        loss = functional.binary_cross_entropy_with_logits(logit, y, reduction="sum")
        loss.backward()
        expected = np.real(summed_cross_entropy(np.full(4, base_logit), y.numpy()))
        assert loss.item() == pytest.approx(expected, rel=1e-12)
        expected_grad = 4 / (1 + np.exp(-np.float64(min(max(base_logit, -700), 700)))) - 2
        assert module.bias.grad.item() == pytest.approx(expected_grad, abs=1e-12)
        losses.append(loss.item())
    assert losses == pytest.approx(
        [2000, 6 + 4 * np.log1p(np.exp(-3)), 4 * np.log(2), *losses[1::-1]]
    )


def test_module_pickles_after_training():
    module = CTRModule(
        CARDINALITIES, 4, lambda F, D: InteractionStack(F, D, layer=VARIANTS["dwp"], rank=2)
    )
    X = make_indices()
    logit = module(X)
    logit.sum().backward()
    assert torch.equal(pickle.loads(pickle.dumps(module))(X), logit)


# --- end to end

LAYER_OPTIONS = {
    "pin": {},
    "da": {"reduction": 6},
    "dgp": {"reduction": 6, "rank": 2},
    "dwp": {"reduction": 6, "rank": 2},
}
COEFFICIENT = 0.05
TABLE = {"lr": 0.1, "beta": 0.5, "l1": 0.35, "l2": 0.1, "group": True}
REST = {"lr": 0.05, "beta": 1.0, "l1": 0.02, "l2": 0.2}


def make_model(variant):
    """A module off its symmetric start, and what the reference needs to know of it."""
    options = {"n_layers": 2, "n_subspaces": 2}
    layer = {"layer": VARIANTS[variant], **LAYER_OPTIONS[variant]}
    module = CTRModule(
        CARDINALITIES, 4, lambda F, D: InteractionStack(F, D, **layer, **options), base_logit=-0.5
    )
    randomize(module.body)
    rank = {"rank": 2} if variant == "dwp" else {}
    return module, {"variant": variant, **options, **rank}


def make_batches():
    rng = np.random.default_rng(0)
    return [(make_indices(5, seed=step), rng.integers(0, 2, 5).astype(float)) for step in range(6)]


def train(module, start):
    """Parameters after every step."""
    table = module.embedding.weight
    network = [p for p in module.parameters() if p is not table]
    groups = [{"params": [table], **TABLE}, {"params": network, **REST}]
    optimizer = FTRL(groups, start=start)
    for X, y in make_batches():
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(
            module(X), torch.tensor(y), reduction="sum"
        )
        (loss + COEFFICIENT * (module.penalty() * torch.ones(len(X))).sum()).backward()
        optimizer.step()
        yield to_numpy(module)


def train_plain(params, start, options):
    """The same with complex steps and `PlainFTRL`."""
    states = {
        name: PlainFTRL(value, start=start, **(TABLE if name == "embedding.weight" else REST))
        for name, value in params.items()
    }
    for X, y in make_batches():
        params = {name: state.w.copy() for name, state in states.items()}

        def loss(p, X=X, y=y):
            return objective(p, CARDINALITIES, X.numpy(), y, COEFFICIENT, **options)

        for name, grad in complex_step(loss, params).items():
            states[name].step(grad)
        if start == "zero":  # rows wait until a batch holds them
            table = states["embedding.weight"].w
            absent = np.setdiff1d(np.arange(len(table)), X.numpy() + OFFSETS)
            table[absent] = params["embedding.weight"][absent]
        yield {name: state.w.copy() for name, state in states.items()}


@pytest.mark.parametrize("start", ["consistent", "zero"])
@pytest.mark.parametrize("variant", LAYER_OPTIONS)
def test_training_trajectory(variant, start):
    """T34: sparse group FTRL on the table, FTRL on the rest, summed loss plus B·λ·penalty."""
    module, options = make_model(variant)
    plain = train_plain(to_numpy(module), start, options)
    for step, (ours, theirs) in enumerate(zip(train(module, start), plain, strict=True)):
        for name, value in ours.items():
            np.testing.assert_allclose(
                value, theirs[name], rtol=1e-7, atol=1e-9, err_msg=f"{name}, {step=}"
            )
    if start == "zero":
        assert 0 < module.embedding.n_zero_rows() < 9  # pruning was part of the comparison
