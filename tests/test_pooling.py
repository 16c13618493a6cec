"""Mean pooling of lists: forward and backward against loops, and what padding must not touch."""

import numpy as np
import pytest
import torch

from sk_dynint._loss import BinaryCrossEntropy
from sk_dynint._module import CTRModule, FieldEmbedding
from sk_dynint._pooling import MeanPooling
from sk_dynint._shared import Shared
from sk_dynint.baselines import BASELINES
from sk_dynint.engine import Batch, Engine
from sk_dynint.interactions import VARIANTS, InteractionStack
from sk_dynint.optim import FTRL, RowAdam
from tests.references import randomize

CARDINALITIES = (3, 7, 5)
SLOTS = (0, 1, 2, 1, 1, 2)
D = 4


pytestmark = pytest.mark.usefixtures("double_precision")


def make_rows(n, seed=0):
    """Indices with up to two further elements in field 1, and one in field 2."""
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(CARDINALITIES[f], size=n) for f in SLOTS], 1)
    rows[rng.random(n) < 0.5, 3:5] = -1
    rows[rng.random(n) < 0.3, 4] = -1
    rows[rng.random(n) < 0.5, 5] = -1
    return torch.from_numpy(rows).int()


def pooled(vectors, rows):
    """Mean of the vectors of each field, by loops."""
    out = np.zeros((len(rows), len(CARDINALITIES), vectors.shape[2]))
    for b, row in enumerate(rows.numpy()):
        for f in range(len(CARDINALITIES)):
            places = [c for c, slot in enumerate(SLOTS) if slot == f and row[c] >= 0]
            out[b, f] = np.mean([vectors[b, c] for c in places], axis=0)
    return out


def test_forward():
    rows, vectors = make_rows(20), torch.randn(20, len(SLOTS), D)
    pooling = MeanPooling(SLOTS)
    np.testing.assert_allclose(pooling(vectors, rows), pooled(vectors.numpy(), rows), rtol=1e-12)


def test_spread_is_the_adjoint():
    rows, vectors = make_rows(20), torch.randn(20, len(SLOTS), D, requires_grad=True)
    gradient = torch.randn(20, len(CARDINALITIES), D)
    pooling = MeanPooling(SLOTS)
    pooling(vectors, rows).backward(gradient)
    spread = pooling.spread(gradient, rows)
    present = (rows >= 0).unsqueeze(2)
    torch.testing.assert_close(spread * present, vectors.grad)


FREQUENCIES = [None, [0, np.nan, 0, 0.2, 0.5, 0.7, 1], [0, np.nan, 0, 0.5, 1]]


@pytest.mark.parametrize("oov", ["train", "zero"])
def test_embedding(oov):
    """Rows and what levels share, looked up one by one."""
    shared = Shared(frequencies=FREQUENCIES, popularity=1.5)
    table = FieldEmbedding(CARDINALITIES, D, oov=oov, shared=shared, slots=SLOTS)
    rows = make_rows(20)
    a, b = table.frequency.ends.detach().numpy().reshape(2, 2, D)
    vectors = np.zeros((20, len(SLOTS), D))
    for i, row in enumerate(rows.numpy()):
        for c, level in enumerate(row):
            f = SLOTS[c]
            if level < 0 or (oov == "zero" and level < 2):
                continue
            vectors[i, c] = table.weight.detach().numpy()[sum(CARDINALITIES[:f]) + level]
            if f and level != 1:
                p = FREQUENCIES[f][level]
                vectors[i, c] += 1.5 / 3**0.5 * ((1 - p) * a[f - 1] + p * b[f - 1])
    np.testing.assert_allclose(table(rows).detach(), pooled(vectors, rows), rtol=1e-12)


def bodies():
    for name, layer in VARIANTS.items():
        yield pytest.param(lambda F, D, layer=layer: InteractionStack(F, D, layer=layer), id=name)
    for name in ("deepfm", "dcnv2", "lr"):
        yield pytest.param(BASELINES[name], id=name)


@pytest.mark.parametrize("make_body", list(bodies()))
@pytest.mark.parametrize("n_threads", [1, 2])
def test_gradients_are_those_of_autograd(make_body, n_threads):
    shared = Shared(frequencies=FREQUENCIES, popularity=1.5)
    dim = 1 if make_body is BASELINES["lr"] else D
    module = randomize(CTRModule(CARDINALITIES, dim, make_body, shared=shared, slots=SLOTS), 0.3)
    rows = make_rows(150)
    batch = Batch(rows, torch.randint(2, (150,)).double(), torch.rand(150))
    loss = BinaryCrossEntropy()
    logit = module(rows)
    residual = loss.gradient(logit.detach(), batch.target, batch.weight, out=torch.empty(150))
    expected = torch.autograd.grad(logit, list(module.parameters()), residual)
    found = Engine(module, n_threads=n_threads).gradients(batch)
    torch.testing.assert_close(found, logit.detach())
    for (name, p), gradient in zip(module.named_parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad.to_dense(), gradient.to_dense(), msg=name)


@pytest.mark.parametrize("optimizer", [FTRL, RowAdam])
def test_padding_touches_nothing(optimizer):
    """Rows of the table that no list holds keep their bits and their state, l2 or not."""
    module = CTRModule(CARDINALITIES, D, InteractionStack, slots=SLOTS)
    options = {"l1": 0.1, "group": True} if optimizer is FTRL else {}
    step = optimizer([{"params": list(module.parameters()), **options}], lr=0.1, l2=0.1)
    engine, weight = Engine(module, step), module.embedding.weight

    def tables():
        state = [each for each in step.state[weight].values() if torch.is_tensor(each)]
        return [each.detach().clone() for each in (weight, *state)]

    engine.step(Batch(make_rows(150), torch.ones(150), torch.ones(150)))  # sets all states
    before = tables()
    assert [table.any(1).all() for table in before[1:]] == [True, True]
    rows = torch.tensor([[2, 3, 4, 5, -1, -1], [1, 2, 4, -1, -1, -1]]).int()
    engine.step(Batch(rows, torch.ones(2), torch.ones(2)))
    for old, new in zip(before, tables(), strict=True):
        assert (new != old).any(1).nonzero().flatten().tolist() == [1, 2, 5, 6, 8, 14]
