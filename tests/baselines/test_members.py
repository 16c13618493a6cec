"""Bodies with an auxiliary loss: its value and its gradients against plain NumPy."""

from functools import partial

import numpy as np
import pytest
import torch

from sk_dynint._loss import BinaryCrossEntropy
from sk_dynint._module import CTRModule
from sk_dynint.baselines import BASELINES
from sk_dynint.baselines._members import self_ensemble, tri_bce
from sk_dynint.engine import Batch, Engine
from tests.baselines import references
from tests.baselines.references import D, F, fcn_members
from tests.references import lookup, part, randomize, to_numpy

CARDINALITIES = (3, 2, 4, 2)
N = 1_500  # more rows than a block


def make_batch(n=N):
    indices = torch.stack([torch.randint(c, (n,)) for c in CARDINALITIES], 1)
    return Batch(indices, torch.randint(2, (n,)).double(), 0.5 + torch.rand(n))


@pytest.mark.parametrize("name", ["tri_bce", "self_ensemble"])
def test_loss_of_the_members(name):
    """The loss of the mean logit is the engine's, and missing."""
    members, y = 2 * torch.randn(3, 50), torch.randint(2, (50,)).double()
    w = torch.rand(50)
    loss = {"tri_bce": tri_bce, "self_ensemble": self_ensemble}[name](members, y, w)
    whole = loss + BinaryCrossEntropy().mean(members.mean(0), y, w)
    expected = getattr(references, name)(members.numpy(), y.numpy(), w.numpy())
    np.testing.assert_allclose(whole, expected, rtol=1e-12)


def test_self_ensemble_teaches_the_members_by_a_constant():
    """d/dz of ℓ(σ(z), p̄) is σ(z) - p̄; two that agree learn from the targets only."""
    members = torch.randn(2, 1).repeat(1, 7).requires_grad_()
    y, w = torch.ones(7), torch.ones(7)
    p = torch.sigmoid(members).detach()
    whole = self_ensemble(members, y, w) + BinaryCrossEntropy().mean(members.mean(0), y, w)
    (gradient,) = torch.autograd.grad(whole, members)
    of_the_mean = -0.5 * p * (1 - p) / p.mean(0)
    torch.testing.assert_close(7 * gradient, of_the_mean + p - p.mean(0))


@pytest.mark.parametrize("name", ["tri_bce", "self_ensemble"])
def test_rows_without_weight_are_no_loss(name):
    members = torch.randn(2, 5, requires_grad=True)
    loss = {"tri_bce": tri_bce, "self_ensemble": self_ensemble}[name]
    value = loss(members, torch.ones(5), torch.zeros(5))
    value.backward()
    assert value == 0
    assert torch.equal(members.grad, torch.zeros(2, 5))


# --- through the engine


def objective(params, batch):
    """Summed Tri-BCE of an FCN in NumPy: its two networks share table and bias."""
    X, y, w = (a.numpy() for a in batch)
    E = lookup(params["embedding.weight"], CARDINALITIES, X)
    members = np.array([fcn_members(part(params, "body"), e, 2, 1) for e in E]).T
    return w.sum() * references.tri_bce(params["bias"] + members, y, w)


def test_gradients_of_a_batch_are_those_of_its_tri_bce():
    """Central differences in a random direction of each parameter."""
    make_body = partial(BASELINES["fcn"], n_layers=2, n_linear_layers=1)
    module = randomize(CTRModule(CARDINALITIES, D, make_body), 0.4)
    batch = make_batch(40)
    Engine(module).gradients(batch)
    params = to_numpy(module)
    for name, p in module.named_parameters():
        direction, step = np.random.default_rng(0).normal(size=p.shape), 1e-6
        ahead, behind = (
            objective(params | {name: params[name] + s * direction}, batch) for s in (step, -step)
        )
        found = float((p.grad.to_dense().numpy() * direction).sum())
        assert found == pytest.approx((ahead - behind) / (2 * step), rel=1e-6), name


class WithLinearPart(BASELINES["fcn"]):
    first_order = True


def test_a_batch_is_one_block():
    """The engine's gradients are those of autograd over the whole module, the linear part too."""
    module = randomize(CTRModule(CARDINALITIES, D, WithLinearPart), 0.4)
    assert module.body.row_wise
    indices, y, w = batch = make_batch()
    body = module.body
    offset = module.bias + module.first_order(indices).sum((1, 2))
    members = offset + body.members(module.embedding(indices))
    whole = w.sum() * (BinaryCrossEntropy().mean(members.mean(0), y, w) + tri_bce(members, y, w))
    expected = torch.autograd.grad(whole, list(module.parameters()))
    logit = Engine(module, n_threads=3).gradients(batch)
    torch.testing.assert_close(logit, members.mean(0).detach())
    for (name, p), gradient in zip(module.named_parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad.to_dense(), gradient.to_dense(), msg=name)


def test_without_its_loss_the_members_are_one_model():
    """And the mean loss of their mean logit alone is trained."""
    gradients = []
    for tri in (True, False):
        torch.manual_seed(0)
        body = partial(BASELINES["fcn"], tri_bce=tri)
        module = randomize(CTRModule(CARDINALITIES, D, body), 0.4)
        Engine(module).gradients(batch := make_batch(40))
        gradients.append(module.bias.grad)
    residual = torch.sigmoid(module(batch.indices)) - batch.target
    torch.testing.assert_close(gradients[1], (residual * batch.weight).sum().detach())
    assert gradients[0] != gradients[1]


def test_two_passes_with_dropout_only():
    embedding = torch.randn(6, F, D)
    for options, n_passes in (({}, 1), ({"dropout": 0.5}, 2)):
        body = randomize(BASELINES["qnn"](F, D, **options))
        assert body.members(embedding).shape == (n_passes, 6)
        assert body.has_auxiliary == (n_passes == 2)
        assert body.eval().members(embedding).shape == (1, 6)
    one, two = body.train().members(embedding)
    assert not torch.equal(one, two)
    body = BASELINES["qnn"](F, D, dropout=0.5, self_ensemble=False)
    assert body.members(embedding).shape == (1, 6)


def test_exponential_layers_double_the_degree():
    """2^L along every line, where a linear network has L + 1."""
    for n_layers in (1, 2, 3):
        body = randomize(BASELINES["fcn"](F, D, n_layers=n_layers), 0.3)
        for network, degree in ((body.exponential, 2**n_layers), (body.linear, n_layers + 1)):
            t = torch.arange(degree + 2.0) / degree
            E = torch.randn(F, D) + t[:, None, None] * torch.randn(F, D)
            values = network(E).detach().numpy()
            scale = np.abs(values).max()
            assert np.abs(np.diff(values, degree + 1)).max() < 1e-9 * scale
            assert np.abs(np.diff(values, degree)).max() > 1e-7 * scale


def test_a_body_must_define_the_loss_that_it_claims():
    body = BASELINES["dnn"](F, D)
    body.has_auxiliary = True
    with pytest.raises(NotImplementedError, match="has_auxiliary is true, but it has no"):
        Engine(CTRModule(CARDINALITIES, D, lambda *sizes: body)).gradients(make_batch(5))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_losses_of_members_in_single_precision(precision):
    """What bfloat16 computes in enters the losses as single precision."""
    for name, options in (("fcn", {}), ("qnn", {"dropout": 0.2})):
        module = randomize(CTRModule(CARDINALITIES, D, partial(BASELINES[name], **options)), 0.1)
        module.float()
        Engine(module, precision=precision).gradients(make_batch(40))
        assert all(p.grad.dtype == torch.float32 for p in module.parameters())
        assert all(p.grad.to_dense().isfinite().all() for p in module.parameters())
