"""Hybrids: two bodies over one table, their logits against NumPy, and the estimator around them."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from sk_dynint import DynIntClassifier
from sk_dynint._module import CTRModule
from sk_dynint.baselines import BASELINES, Body, Hybrid
from sk_dynint.engine import Batch, Engine
from sk_dynint.interactions import PIN, InteractionStack
from tests.baselines import references
from tests.conftest import fast, make_clicks
from tests.references import known_options, lookup, part, randomize, to_numpy

CARDINALITIES = (3, 2, 4, 2)
F, D = 4, 3


def make_module(fusion, beside="dnn", **options):
    """Stack and another body; hidden layers of the competitors' references are small."""

    def make_body(n_fields, embedding_dim):
        bodies = [
            InteractionStack(n_fields, embedding_dim, layer=PIN, n_layers=2),
            BASELINES[beside](n_fields, embedding_dim, **options),
        ]
        return Hybrid(bodies, fusion=fusion)

    return randomize(CTRModule(CARDINALITIES, D, make_body), 0.4)


def make_batch(n=40):
    indices = torch.stack([torch.randint(c, (n,)) for c in CARDINALITIES], 1)
    return Batch(indices, torch.randint(2, (n,)).double(), 0.5 + torch.rand(n).double())


def members_of(module, params, X):
    """Logits of stack and DNN, (2, n): the stack by torch, which its own tests compare."""
    E = lookup(params["embedding.weight"], CARDINALITIES, X)
    stack = module.body.bodies[0]
    dnn = part(params, "body.bodies.1")
    with torch.no_grad():
        state = {k: torch.as_tensor(v) for k, v in part(params, "body.bodies.0").items()}
        first = torch.func.functional_call(stack, state, torch.as_tensor(E)).numpy()
    return np.array([first, [references.dnn_logit(dnn, e) for e in E]])


@pytest.mark.parametrize("fusion", ["sum", "tri-bce"])
def test_gradients_of_a_batch(fusion):
    """Central differences of the objective in NumPy, in a random direction of each parameter."""
    module = make_module(fusion, hidden_units=(5,))
    X, y, w = batch = make_batch()

    def objective(params):
        members = params["bias"] + members_of(module, params, X.numpy())
        if fusion == "tri-bce":
            return w.numpy().sum() * references.tri_bce(members, y.numpy(), w.numpy())
        logit = members.sum(0) - params["bias"]
        return (w.numpy() * (np.logaddexp(0, logit) - y.numpy() * logit)).sum()

    logit = Engine(module).gradients(batch)
    params = to_numpy(module)
    members = members_of(module, params, X.numpy())
    combined = members.sum(0) if fusion == "sum" else members.mean(0)
    np.testing.assert_allclose(logit, params["bias"] + combined, rtol=1e-10)
    for name, p in module.named_parameters():
        direction, step = np.random.default_rng(0).normal(size=p.shape), 1e-6
        ahead, behind = (
            objective(params | {name: params[name] + s * direction}) for s in (step, -step)
        )
        found = float((p.grad.to_dense().numpy() * direction).sum())
        assert found == pytest.approx((ahead - behind) / (2 * step), rel=1e-5), name


def test_a_body_keeps_its_own_loss():
    """The loss of FCN's networks, with what the stack adds to the logit of each of them."""
    module = make_module("sum", "fcn", n_layers=1)
    X, y, w = batch = make_batch()
    assert module.body.has_auxiliary
    embedding = module.embedding(X)
    stack, fcn = module.body.bodies
    offset = module.bias
    members = offset + stack(embedding) + fcn.members(embedding)
    whole = references_loss(members, y, w)
    expected = torch.autograd.grad(whole, list(module.parameters()))
    Engine(module).gradients(batch)
    for (name, p), gradient in zip(module.named_parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad.to_dense(), gradient.to_dense(), msg=name)


def references_loss(members, y, w):
    """Summed Tri-BCE, its equation in torch."""

    def mean_loss(logit):
        loss = nn.functional.binary_cross_entropy_with_logits(logit, y, reduction="none")
        return (w * loss).sum() / w.sum()

    whole, losses = mean_loss(members.mean(0)), [mean_loss(member) for member in members]
    return w.sum() * (whole + sum(torch.relu(loss - whole) * loss for loss in losses))


# --- the estimator


@pytest.fixture(scope="module")
def rows():
    return make_clicks(400, seed=1)


@pytest.fixture(autouse=True)
def _usual_precision(request, _double_precision):
    if "rows" in request.fixturenames:
        torch.set_default_dtype(torch.float32)


SMALL = {"hidden_units": (8,), "cin_units": 4, "n_layers": 1}


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"lr"}))
@pytest.mark.parametrize("fusion", ["sum", "tri-bce"])
def test_every_model_beside(rows, name, fusion):
    """It learns, goes through pickle and clone, and is trained on."""
    X, y = rows
    body = BASELINES[name]
    options = known_options(body, SMALL)
    model = fast(beside=name, beside_params=options, fusion=fusion, n_members=2).fit(X, y)
    assert [type(b) for b in model.net_.module_.body.bodies] == [InteractionStack, body]
    assert roc_auc_score(y, model.decision_function(X)) > 0.6
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, y)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))


def test_three_classes(rows):
    X, y = rows
    y = y + (X["count"].to_numpy() > 20)
    model = fast(beside="deepfm", beside_params={"hidden_units": (8,)}).fit(X, y)
    assert model.predict_proba(X).shape == (len(X), 3)


class Tower(Body):
    def __init__(self, n_fields, embedding_dim, *, width=4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_fields * embedding_dim, width), nn.ReLU())
        self.output = nn.Linear(width, 1, bias=False)

    def forward(self, embedding):
        return self.output(self.net(embedding.flatten(1))).squeeze(1)


def test_a_body_of_the_user(rows):
    X, y = rows
    model = fast(beside=Tower, beside_params={"width": 3}).fit(X, y)
    assert model.net_.module_.body.bodies[1].output.in_features == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"beside": "mlp"}, r"beside='mlp'; it must be one of \['autoint'.*sk_dynint.baselines"),
        ({"beside": "dnn", "beside_params": {"depth": 2}}, r"has \['depth'\]; beside='dnn' takes"),
        ({"beside": "lr"}, "embeddings of length 1"),
        ({"beside": "dnn", "fusion": "mean"}, "fusion"),
        ({"beside_params": {"dropout": 0.1}}, r"has \['dropout'\]; beside=None takes none"),
    ],
)
def test_bad_options(rows, params, message):
    with pytest.raises(ValueError, match=message):
        DynIntClassifier(**params).fit(*rows)


def test_a_body_without_influence():
    """The hybrid is the stack: the same logit and penalty, with Tri-BCE half of it."""
    stack = InteractionStack(F, D, layer=PIN)
    dnn = BASELINES["dnn"](F, D, hidden_units=(2,))
    nn.init.zeros_(dnn.output.weight)
    E = torch.randn(5, F, D)
    torch.testing.assert_close(Hybrid([stack, dnn])(E), stack(E))
    assert Hybrid([stack, dnn]).penalty() == stack.penalty()
    torch.testing.assert_close(Hybrid([stack, dnn], fusion="tri-bce")(E), stack(E) / 2)
