"""More than two classes in the engine: the kernel of each, and autograd over the whole module."""

import numpy as np
import pytest
import torch

from sk_dynint._loss import SoftmaxCrossEntropy
from sk_dynint._module import ClassBodies, CTRModule
from sk_dynint.baselines import BASELINES
from sk_dynint.engine import Batch, Engine
from sk_dynint.engine.kernels import find_kernel
from sk_dynint.interactions import VARIANTS, InteractionStack
from tests.references import randomize
from tests.test_module import SumBody

CARDINALITIES = (3, 40, 2)
BODIES = {
    **{
        name: lambda F, D, layer=layer: InteractionStack(F, D, layer=layer, n_subspaces=2)
        for name, layer in VARIANTS.items()
    },
    "first order": SumBody,
    "columns of its own": BASELINES["fm"],
}
EVERY_BODY = pytest.mark.parametrize("name", BODIES)


def make_module(name, n_classes=3, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        base = np.linspace(-1, 1, n_classes)
        module = CTRModule(CARDINALITIES, 4, BODIES[name], base_logit=base, **options)
        return randomize(module.double())


def make_rows(n, n_classes=3):
    rng = np.random.default_rng(0)
    indices = np.column_stack([rng.integers(0, c, n) for c in CARDINALITIES]).astype(np.int32)
    columns = indices, rng.integers(0, n_classes, n).astype(float), rng.uniform(0.5, 2, n)
    return Batch(*map(torch.from_numpy, columns))


def by_autograd(module, rows, penalty=0.0):
    module.zero_grad()
    logit = module(rows.indices)
    loss = SoftmaxCrossEntropy(logit.shape[1])(logit, rows.target, rows.weight)
    (loss + penalty * (rows.weight * module.penalty()).sum()).backward()
    gradients = [p.grad.to_dense().clone() for p in module.parameters()]
    module.zero_grad()
    return logit.detach(), gradients


def by_engine(module, rows, n_threads=1, **options):
    loss = SoftmaxCrossEntropy(len(module.bias))
    engine = Engine(module, loss=loss, n_threads=n_threads, **options)
    with engine.workers.running():
        logit = engine.gradients(rows)
    return logit, [p.grad.to_dense() for p in module.parameters()]


@pytest.mark.parametrize("oov", ["train", "zero"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("n_threads", [1, 3])
@EVERY_BODY
def test_gradients_are_those_of_autograd(name, n_threads, sparse, oov):
    module, rows = make_module(name, sparse=sparse, oov=oov), make_rows(600)  # several blocks
    assert (Engine(module).kernel is None) == (name not in VARIANTS)
    for found, expected in zip(
        by_engine(module, rows, n_threads), by_autograd(module, rows), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_penalties_of_the_bodies_are_added(variant):
    """In each of them it counts as in the only body of two classes."""
    module, rows = make_module(variant), make_rows(300)
    torch.testing.assert_close(
        by_engine(module, rows, penalty=0.1), by_autograd(module, rows, penalty=0.1)
    )
    module(rows.indices)
    penalties = [body.penalty() for body in module.body.bodies]
    torch.testing.assert_close(torch.as_tensor(module.penalty()), torch.as_tensor(sum(penalties)))


@pytest.mark.parametrize("n_threads", [1, 3])
@EVERY_BODY
def test_logits_are_those_of_the_module(name, n_threads):
    module, indices = make_module(name), make_rows(700).indices
    engine = Engine(module, n_threads=n_threads)
    with engine.workers.running():
        logits = engine.logits(indices)
    assert logits.shape == (700, 3)
    torch.testing.assert_close(logits, module(indices).detach())


@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision_is_close(variant):
    module, rows = make_module(variant).float(), make_rows(40)
    (logit, gradients), (expected, others) = (
        by_engine(module, rows, precision=precision) for precision in ("bf16", "fp32")
    )
    assert not torch.equal(logit, expected)
    for found, other in zip([logit, *gradients], [expected, *others], strict=True):
        assert found.dtype == torch.float32
        assert (found - other).abs().max() <= 0.3 * other.abs().max()


def test_evaluation_sums_the_loss():
    module, rows = make_module("da"), make_rows(50)
    sums = Engine(module, loss=SoftmaxCrossEntropy(3)).evaluate(rows)
    proba = module(rows.indices).softmax(1)[torch.arange(50), rows.target.long()]
    torch.testing.assert_close(sums.loss, -(rows.weight * proba.log()).sum().detach())


def test_bodies_that_differ_are_left_to_autograd():
    stacks = [BODIES[variant](3, 4) for variant in ("pin", "da")]
    assert find_kernel(ClassBodies(stacks)) is None
    assert find_kernel(ClassBodies(stacks[:1] * 2)) is not None
    assert find_kernel(ClassBodies([BODIES["dwp"](3, 4)]), penalty=0.1) is None
