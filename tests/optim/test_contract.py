"""The contract of an optimizer, for every entry of the register."""

import copy
import io

import numpy as np
import pytest
import torch

from sk_dynint.optim import OPTIMIZERS, RowAdam
from tests.optim.test_ftrl import make_gradients, make_weights, to_sparse

SETTINGS = [
    (OPTIMIZERS["ftrl"], {"l1": 0.2, "group": True}),
    (OPTIMIZERS["ftrl"], {"start": "zero", "l2": 0.5}),
    (RowAdam, {"weight_decay": 0.1}),
    (RowAdam, {"l2": 0.1, "batch_weight": 7.0}),
]
EVERY_SETTING = pytest.mark.parametrize(("optimizer", "options"), SETTINGS)


def test_settings_cover_the_register():
    assert {optimizer for optimizer, _ in SETTINGS} == set(OPTIMIZERS.values())


def make_parameters():
    return [torch.nn.Parameter(torch.tensor(make_weights(seed))) for seed in range(2)]


def advance(optimizer, parameters, grads):
    """Step with a sparse gradient for the first parameter and a dense one for the second."""
    for g in grads:
        parameters[0].grad, parameters[1].grad = to_sparse(g), torch.tensor(g)
        optimizer.step()


@EVERY_SETTING
@pytest.mark.parametrize("through_file", [False, True])
def test_state_dict_continues_bit_for_bit(optimizer, options, through_file):
    grads = make_gradients(absent=0.4)
    whole, half = make_parameters(), make_parameters()
    advance(optimizer(whole, **options), whole, grads)

    first = optimizer(half, **options)
    advance(first, half, grads[:10])
    state = copy.deepcopy(first.state_dict())
    if through_file:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file)
    second = optimizer(half)  # the options come with the state
    second.load_state_dict(state)
    advance(second, half, grads[10:])
    for a, b in zip(whole, half, strict=True):
        assert torch.equal(a, b)


@EVERY_SETTING
def test_step_returns_the_loss_of_its_closure(optimizer, options):
    w = torch.nn.Parameter(torch.ones(2, 3))
    instance = optimizer([w], **options)

    def closure():
        assert torch.is_grad_enabled()
        instance.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert instance.step(closure).item() == 6
    assert not torch.equal(w, torch.ones(2, 3))
    assert instance.step() is None


@EVERY_SETTING
def test_gradients_are_read_only(optimizer, options):
    """A caller may look at them, or accumulate into them, after the step."""
    parameters = make_parameters()
    grad = make_gradients()[0]
    advance(optimizer(parameters, **options), parameters, [grad])
    for p in parameters:
        np.testing.assert_array_equal(p.grad.to_dense(), grad)


@EVERY_SETTING
def test_an_empty_batch_changes_nothing(optimizer, options):
    parameters = make_parameters()
    before = [p.detach().clone() for p in parameters]
    parameters[0].grad = to_sparse(np.zeros((6, 3)))
    optimizer(parameters, **options).step()
    assert all(torch.equal(p, b) for p, b in zip(parameters, before, strict=True))


@EVERY_SETTING
def test_minimises_a_quadratic(optimizer, options):
    options = {k: v for k, v in options.items() if k == "start"} | {"lr": 0.5}
    target = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    w = torch.nn.Parameter(torch.zeros(2, 2))
    instance = optimizer([w], **options)
    for _ in range(300):
        w.grad = w.detach() - target
        instance.step()
    torch.testing.assert_close(w.detach(), target, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_says_that_it_takes_sparse_gradients(optimizer):
    assert optimizer.supports_sparse


@pytest.mark.parametrize("shape", [(0, 3), (0,), (3, 0), (7, 5), (300_000,), ()])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_parameters_of_any_size_are_updated_whole(optimizer, shape):
    """In chunks, of which an empty parameter has none."""
    w = torch.nn.Parameter(torch.zeros(shape))
    w.grad = torch.ones(shape)
    optimizer([w]).step()
    assert (w.data < 0).all()
    assert len(w.data.unique()) <= 1
