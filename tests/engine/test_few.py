"""A few rows by compiled loops: against the module, and when they are computed so."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import BaselineClassifier, load
from sk_dynint._compiled import SWITCH
from sk_dynint._module import CTRModule, Ensemble
from sk_dynint._shared import Shared
from sk_dynint.engine import KERNELS, FewRows
from sk_dynint.engine._few import ROW_LOOPS
from sk_dynint.interactions import PIN, VARIANTS, InteractionStack
from sk_dynint.training import _prediction
from tests.conftest import fast, make_clicks
from tests.references import randomize

pytest.importorskip("numba")
EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)
CARDINALITIES = np.array([9, 40, 2, 7])
SLOTS = [0, 1, 2, 3, 1, 1, 3]  # the second and the fourth field are lists


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")


def make_module(variant, n_members=1, *, n_subspaces=2, lists=False, shared=True, **options):
    """A module with random parameters whose fields share by position and by frequency."""
    between = [np.r_[np.nan, np.nan, np.linspace(0, 1, n - 2)] for n in CARDINALITIES]
    frequencies = [None, between[1], None, between[3]]
    given = Shared([between[0], None, None, None], (2, 4), frequencies, 1.5)
    table = {name: options.pop(name) for name in ("oov",) if name in options}
    table |= {"slots": SLOTS if lists else None, "shared": given if shared else None}

    def make_body(n_fields, embedding_dim):
        stack = {"layer": VARIANTS[variant], "n_subspaces": n_subspaces} | options
        return InteractionStack(n_fields, embedding_dim, **stack)

    arguments = CARDINALITIES, 8, make_body
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one = CTRModule(*arguments, **table) if n_members == 1 else None
        return randomize(one or Ensemble(n_members, *arguments, **table)).eval()


def make_indices(n_rows, *, lists=False, seed=0):
    """Indices of all kinds; of lists also -1."""
    fields = SLOTS if lists else range(len(CARDINALITIES))
    least = np.where(np.arange(len(fields)) < len(CARDINALITIES), 0, -1)
    rng = np.random.default_rng(seed)
    return rng.integers(least, CARDINALITIES[list(fields)], (n_rows, len(least))).astype(np.int32)


def assert_like_the_module(module, indices):
    few_rows = FewRows.of(module)
    assert few_rows is not None
    with torch.inference_mode():
        expected = module(torch.from_numpy(indices)).numpy()
    found = few_rows.logits(indices)
    assert found.dtype == expected.dtype
    scale = np.abs(expected).max(initial=1)  # a small logit may be what is left of large terms
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-5 * scale)


@EVERY_VARIANT
@pytest.mark.parametrize("n_subspaces", [1, 4, 8])
@pytest.mark.parametrize("n_members", [1, 4])
@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("oov", ["train", "zero"])
def test_logits_are_those_of_the_module(variant, n_subspaces, n_members, lists, oov):
    paradigm = {"paradigm": "low_rank"} if variant == "dwp" else {}
    options = {"n_subspaces": n_subspaces, "lists": lists, "oov": oov} | paradigm
    module = make_module(variant, n_members, **options)
    for n_rows in (0, 1, 5):
        assert_like_the_module(module, make_indices(n_rows, lists=lists))


@EVERY_VARIANT
@given(
    n_members=st.integers(1, 3),
    n_layers=st.integers(1, 4),
    n_subspaces=st.sampled_from([1, 2, 4, 8]),
    output=st.sampled_from(["merge", "split"]),
    shared=st.booleans(),
    lists=st.booleans(),
    n_rows=st.integers(1, 9),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_of_any_size(
    variant, n_members, n_layers, n_subspaces, output, shared, lists, n_rows, seed
):
    options = {"n_layers": n_layers, "n_subspaces": n_subspaces, "output": output}
    options |= {"paradigm": "low_rank", "rank": 3, "offset": "first"} if variant == "dwp" else {}
    module = make_module(variant, n_members, shared=shared, lists=lists, **options)
    assert_like_the_module(module, make_indices(n_rows, lists=lists, seed=seed))


def test_indices_of_any_type():
    module = make_module("da")
    few_rows, indices = FewRows.of(module), make_indices(4)
    expected = few_rows.logits(indices)
    frozen = indices.astype(np.int64)
    frozen.flags.writeable = False
    for same in (frozen, np.asfortranarray(indices), torch.from_numpy(indices), indices.tolist()):
        np.testing.assert_array_equal(few_rows.logits(same), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@EVERY_VARIANT
def test_what_is_not_finite_stays_so(variant, value):
    module = make_module(variant, 2)
    with torch.no_grad():
        next(iter(module)).embedding.weight[0] = value
    logits = FewRows.of(module).logits(np.array([[0, 3, 1, 2], [2, 3, 1, 2]]))
    assert np.isfinite(logits).tolist() == [False, True]


# --- which modules, and for how long


def test_the_register_names_loops_of_kernels():
    assert ROW_LOOPS.keys() <= {layer for layer, device in KERNELS if device == "cpu"}
    assert set(VARIANTS.values()) == set(ROW_LOOPS)


class OwnPIN(PIN):
    """May compute something else."""


@pytest.mark.parametrize(
    "module",
    [
        make_module("da").double(),
        make_module("pin", 2).to("meta"),
        make_module("da", gate_shape="element"),
        make_module("dgp", sigma="full"),
        make_module("dwp", n_subspaces=1, paradigm="explicit"),
        make_module("pin", n_layers=0),
        CTRModule(CARDINALITIES, 8, lambda *sizes: InteractionStack(*sizes, layer=OwnPIN)),
        CTRModule(CARDINALITIES, 8, InteractionStack, base_logit=[0.0, 0.0, 0.0]),
    ],
    ids=["double", "meta", "element", "full", "explicit", "no layers", "own layer", "3 classes"],
)
def test_other_modules_are_not_served(module):
    assert FewRows.of(module) is None


def test_not_without_loops(monkeypatch):
    module = make_module("pin")
    few_rows = FewRows.of(module)
    monkeypatch.setenv(SWITCH, "0")
    assert FewRows.of(module) is None
    assert not few_rows.is_valid(module)


def replace_a_parameter(module):
    module.body.output = torch.nn.Parameter(torch.zeros(4))


def replace_a_part(module):
    module.body.layers[1] = PIN(8, 4)


def replace_the_values(module):
    module.bias.data = torch.tensor(3.0)


def change_the_type(module):
    module.double()


@pytest.mark.parametrize(
    "change", [replace_a_parameter, replace_a_part, replace_the_values, change_the_type]
)
def test_valid_until_parameters_move(change):
    module = make_module("pin")
    few_rows = FewRows.of(module)
    assert few_rows.is_valid(module)
    assert not few_rows.is_valid(copy.deepcopy(module))
    with torch.no_grad():
        module.body.output.fill_(1.0)
    assert few_rows.is_valid(module)
    np.testing.assert_allclose(
        few_rows.logits(make_indices(3)),
        module(torch.from_numpy(make_indices(3))).detach(),
        rtol=1e-5,
    )
    change(module)
    assert not few_rows.is_valid(module)


# --- classifiers


@pytest.fixture
def served(monkeypatch):
    """Number of rows of each call that compiled loops answered."""
    seen, logits = [], FewRows.logits

    def spy(few_rows, indices):
        seen.append(len(indices))
        return logits(few_rows, indices)

    monkeypatch.setattr(FewRows, "logits", spy)
    return seen


def make_table(n_samples=600):
    X, y = make_clicks(n_samples)
    tags = pd.Series([["a", "b"], ["b"], [], None] * n_samples)[:n_samples]
    return X.drop(columns="day").assign(tags=tags), y


def of_one_row(X):
    """The rows of a frame by themselves, and together in fives."""
    return [X[i : i + n] for n in (1, 5) for i in range(0, 25, n)]


def assert_as_in_a_batch(model, X, served):
    """Each of a few rows has the probability that it has among many."""
    batch = model.predict_proba(X)
    served.clear()
    for rows in of_one_row(X):
        found = model.predict_proba(rows)
        np.testing.assert_allclose(found, batch[rows.index], rtol=0, atol=1e-6)
    assert served == [1] * 25 + [5] * 5


@EVERY_VARIANT
@pytest.mark.parametrize("n_members", [1, 4])
def test_few_rows_as_in_a_batch(variant, n_members, served):
    X, y = make_table()
    X.loc[:3, "site"] = "unseen"
    crosses = [("site", "device")]
    options = {"n_subspaces": 4, "crosses": crosses, "negative_sampling_rate": 0.5}
    options |= {"variant_params": {"paradigm": "low_rank"}} if variant == "dwp" else {}
    model = fast(variant=variant, n_members=n_members, **options).fit(X[4:], y[4:])
    assert_as_in_a_batch(model, X, served)
    model.partial_fit(X, y)  # changes the parameters where they are
    assert_as_in_a_batch(model, X, served)


def test_dicts_are_few_rows(served):
    X, y = make_table()
    X = X.drop(columns="tags")
    model = fast(n_members=2).fit(X, y)
    row = X.iloc[0].to_dict()
    np.testing.assert_array_equal(model.predict_proba(row), model.predict_proba([row]))
    np.testing.assert_array_equal(model.predict_proba(row), model.predict_proba(X[:1]))
    assert served == [1] * 4
    limit = _prediction.FEW_MAX_ROWS
    model.predict_proba([row] * limit)
    model.predict_proba([row] * (limit + 1))
    assert served == [1] * 4 + [limit]


def test_copies_have_addresses_of_their_own(served, tmp_path):
    X, y = make_table()
    model = fast(n_members=2).fit(X, y)
    expected = model.predict_proba(X[:3])
    model.save(tmp_path / "model")
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), load(tmp_path / "model")]
    assert model.net_._few_rows is not None
    assert all(twin.net_._few_rows is None for twin in copies)
    with torch.no_grad():
        model.net_.module_.bias.add_(1.0)
    assert (model.predict_proba(X[:3])[:, 1] > expected[:, 1]).all()
    for twin in copies:
        np.testing.assert_array_equal(twin.predict_proba(X[:3]), expected)


def test_threads_get_the_same_bits(served):
    X, y = make_table()
    stored = pickle.dumps(fast(n_members=4, n_layers=3).fit(X, y))
    rows = of_one_row(X)
    expected = list(map(pickle.loads(stored).predict_proba, rows))
    model = pickle.loads(stored)  # whose first call is one of many
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for found, wanted in zip(pool.map(model.predict_proba, rows), expected, strict=True):
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "model",
    [fast(beside="dnn"), BaselineClassifier("fm", max_epochs=1, random_state=0)],
    ids=["hybrid", "competitor"],
)
def test_others_keep_their_way(model, served):
    X, y = make_table()
    model.fit(X, y)
    assert model.predict_proba(X[:1]).shape == (1, 2)
    assert not served
