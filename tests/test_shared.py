"""What indices of a field share: vectors of numbers between knots, vectors by frequency."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._module import CTRModule, FieldEmbedding
from sk_dynint._shared import PiecewiseLinear, Shared, knot_weights
from sk_dynint.baselines import BASELINES
from sk_dynint.engine import Batch, Engine
from sk_dynint.interactions import VARIANTS, InteractionStack
from tests.interactions.conftest import _double_precision  # noqa: F401
from tests.references import lookup, to_numpy

CARDINALITIES = (3, 6, 4, 7)
POSITIONS = [
    None,
    [np.nan, np.nan, 0.1, 0.4, 0.7, 0.95],
    None,
    [np.nan, np.nan, 0.0, 0.25, 0.3, 0.8, 1.0],
]
FREQUENCIES = [[0, np.nan, 1], None, [0, np.nan, 0.3, 1.0], None]


def interpolated(positions, knots):
    """What `numpy.interp` makes of each column of the knots; zeros where there is no position."""
    positions = np.asarray(positions)
    at = np.linspace(0, 1, len(knots))
    values = np.stack([np.interp(positions, at, column) for column in knots.T], axis=1)
    return np.where(np.isnan(positions)[:, None], 0, values)


def smooth(embedding, n_knots):
    """The piecewise-linear part of each row of the table, by NumPy."""
    dim = embedding.weight.shape[1]
    parts = iter(to_numpy(embedding)["numeric.knots"].reshape(-1, sum(n_knots), dim))
    rows = []
    for cardinality, positions in zip(CARDINALITIES, POSITIONS, strict=True):
        total = np.zeros((cardinality, dim))
        if positions is not None:
            scales = np.split(next(parts), np.cumsum(n_knots)[:-1])
            total += sum(interpolated(positions, scale) for scale in scales)
        rows.append(total)
    return np.concatenate(rows)


def make_indices(n=9, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(np.column_stack([rng.integers(0, c, n) for c in CARDINALITIES]))


def test_weights_are_hats_that_add_up_to_one():
    weights = knot_weights(np.array([np.nan, 0, 0.25, 0.5, 1, 1 / 3]), [3])
    expected = [[0, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [1 / 3, 2 / 3, 0]]
    np.testing.assert_allclose(weights, expected)


def test_as_many_knots_as_bins_are_left_out():
    """They would be the bins themselves."""
    positions = np.array([np.nan, np.nan, 0.2, 0.5, 0.8])
    weights = knot_weights(positions, [2, 3])
    assert weights[2:, :2].all(axis=None) or (weights[2:, :2].sum(1) == 1).all()
    assert not weights[:, 2:].any()
    assert FieldEmbedding([5], 2, shared=Shared([positions], (3,))).numeric is None
    assert FieldEmbedding([5], 2, shared=Shared([None], (2,))).numeric is None


@pytest.mark.parametrize("n_knots", [(2,), (3,), (2, 3)])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("oov", ["train", "zero"])
def test_rows_are_those_of_bins_and_knots(n_knots, sparse, oov):
    embedding = FieldEmbedding(
        CARDINALITIES, 5, oov=oov, sparse=sparse, shared=Shared(POSITIONS, n_knots)
    )
    X = make_indices()
    table = to_numpy(embedding)["weight"] + smooth(embedding, n_knots)
    expected = lookup(table, CARDINALITIES, X.numpy(), oov)
    np.testing.assert_allclose(embedding(X).detach(), expected, atol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(embedding(X), expected, atol=1e-12)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("oov", ["train", "zero"])
def test_levels_share_two_vectors_by_frequency(sparse, oov):
    embedding = FieldEmbedding(
        CARDINALITIES,
        5,
        oov=oov,
        sparse=sparse,
        shared=Shared(frequencies=FREQUENCIES, popularity=1.4),
    )
    X = make_indices()
    params = to_numpy(embedding)
    a, b = params["frequency.ends"].reshape(2, 2, 5)
    table, first = params["weight"].copy(), 0
    for cardinality, p in zip(CARDINALITIES, FREQUENCIES, strict=True):
        for i in range(cardinality if p is not None else 0):
            if not np.isnan(p[i]):
                field = 0 if first == 0 else 1
                table[first + i] += 1.4 / np.sqrt(4) * ((1 - p[i]) * a[field] + p[i] * b[field])
        first += cardinality
    expected = lookup(table, CARDINALITIES, X.numpy(), oov)
    np.testing.assert_allclose(embedding(X).detach(), expected, atol=1e-12)
    with torch.no_grad():
        np.testing.assert_allclose(embedding(X), expected, atol=1e-12)


@given(
    n=st.integers(1, 40),
    seed=st.integers(0, 1000),
    scale=st.integers(2, 3),
    oov=st.sampled_from(["train", "zero"]),
    name=st.sampled_from(["pin", "deepfm"]),
)
@settings(max_examples=30, deadline=None)
def test_engine_has_the_gradients_of_autograd(n, seed, scale, oov, name):
    def make_body(n_fields, dim):
        return InteractionStack(n_fields, dim, layer=VARIANTS["pin"], n_layers=2, n_subspaces=2)

    module = CTRModule(
        CARDINALITIES,
        4,
        make_body if name == "pin" else BASELINES["deepfm"],
        oov=oov,
        shared=Shared(POSITIONS, (2, scale), FREQUENCIES, 0.5),
    )
    X = make_indices(n, seed)
    target = torch.tensor(np.random.default_rng(seed).integers(0, 2, n), dtype=torch.float64)
    weight = torch.rand(n)
    Engine(module).gradients(Batch(X, target, weight))
    found = {name: p.grad.to_dense().clone() for name, p in module.named_parameters()}
    module.zero_grad()
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    loss(module(X), target, weight=weight, reduction="sum").backward()
    assert {"embedding.numeric.knots", "embedding.frequency.ends"} <= found.keys()
    assert ("first_order.frequency.ends" in found) == (name == "deepfm")
    for name, p in module.named_parameters():
        torch.testing.assert_close(found[name], p.grad.to_dense())


def test_no_number_no_knots():
    """Their gradient does not depend on rows that the batch has not."""
    numeric = PiecewiseLinear(POSITIONS, CARDINALITIES, [3], 2, 1.0)
    values, grads = torch.randn(3, 2), []
    for rows in ([0, 5, 9], [5]):  # the others are no numbers
        numeric.set_gradient(torch.tensor(rows), values[1:2] if len(rows) == 1 else values)
        grads.append(numeric.knots.grad)
    assert torch.equal(*grads)
    assert grads[0].any()


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=3000), "c": rng.choice(list("abc"), 3000)})
    return X, (np.sin(3 * X["x"]) + rng.normal(size=3000) > 0).to_numpy()


@pytest.mark.parametrize(
    ("n_knots", "n"), [(None, 0), ((), 0), (4, 4), ((4, 8), 12), ([3], 3), (64, 0)]
)
def test_classifier_has_the_knots_it_is_told(table, n_knots, n):
    model = DynIntClassifier(n_knots=n_knots, max_epochs=1, n_members=1, random_state=0)
    module = model.set_params(early_stopping=False).fit(*table).net_.module_
    found = dict(module.named_parameters()).get("embedding.numeric.knots")
    assert (0 if found is None else len(found)) == n


def test_knots_learn_with_the_table(table):
    """By its options: they are parts of the same vectors."""
    model = DynIntClassifier(max_epochs=1, n_members=2, early_stopping=False).fit(*table)
    names = {id(p): name for name, p in model.net_.module_.named_parameters()}
    rates = {
        names[id(p)].split(".", 2)[2]: group["lr"]
        for group in model.net_.optimizer_.param_groups
        for p in group["params"]
    }
    assert rates["embedding.numeric.knots"] == rates["embedding.weight"] == 0.2


@pytest.mark.parametrize("model", ["fm", "deepfm", "lr"])
def test_competitors_have_them_when_asked(table, model):
    fit = BaselineClassifier(model, n_knots=4, max_epochs=2, random_state=0).fit(*table)
    tables = [fit.net_.module_.embedding, fit.net_.module_.first_order]
    assert all(t.numeric is not None for t in tables if t is not None)
    assert (
        BaselineClassifier(model, max_epochs=1).fit(*table).net_.module_.embedding.numeric is None
    )


@pytest.mark.parametrize("bad", [1, 0, (1, 4), (4.5,), "many", 2000])
def test_wrong_numbers_of_knots_are_refused(table, bad):
    with pytest.raises(ValueError, match="n_knots"):
        DynIntClassifier(n_knots=bad).fit(*table)


def test_positions_are_shares_of_the_values():
    X = pd.DataFrame({"x": [1.0, 1.0, 2.0, 3.0, None], "c": list("aabbb")})
    encoder = FieldEncoder(n_bins=8, crosses=[("x", "c")]).fit(X, [0, 1, 0, 1, 1])
    first, *others = encoder.positions_
    np.testing.assert_allclose(first, [np.nan, np.nan, 0.25, 0.625, 0.875])
    assert [p is None for p in others] == [True, True, False]
    assert list(map(len, encoder.positions_[3:])) == [encoder.cardinalities_[3]]


def test_a_copy_predicts_the_same(table):
    import pickle

    model = DynIntClassifier(max_epochs=2, random_state=0).fit(*table)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(table[0]), model.predict_proba(table[0]))
    more = [m.partial_fit(*table).predict_proba(table[0]) for m in (model, copy)]
    np.testing.assert_array_equal(*more)
