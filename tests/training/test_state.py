"""The state of a run: tensors and numbers under names, from which it continues to the same bits."""

import json

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sk_dynint import BaselineClassifier
from sk_dynint.optim import FTRL, RowAdam, load_optimizer_state, optimizer_state
from sk_dynint.training import CTRNet
from sk_dynint.training._run import Run
from tests.conftest import fast


class TakeState(Callback):
    """Keeps the state at the end of a period."""

    def __init__(self, period):
        self.period = period

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.period:
            self.state = through_files(net.state_dict())


def through_files(state):
    """Tensors to arrays, the rest to JSON, and back: nothing is pickled."""
    if isinstance(state, torch.Tensor):
        return torch.from_numpy(state.numpy().copy())
    if isinstance(state, dict):
        return {name: through_files(value) for name, value in state.items()}
    return json.loads(json.dumps(state))


CASES = {
    "members": lambda **p: fast(n_members=3, **p),
    "ftrl": lambda **p: fast(variant="dgp", orthogonal_penalty=0.01, **p),
    "adam": lambda **p: fast(optimizer="adam", **p),
    "torch": lambda **p: fast(optimizer=torch.optim.AdamW, averaging=None, **p),
    "dropout": lambda **p: BaselineClassifier(
        "dnn", hidden_units=(8,), dropout=0.3, max_epochs=3, random_state=0, **p
    ),
    "batch norm": lambda **p: BaselineClassifier(
        "dnn", hidden_units=(8,), batch_norm=True, max_epochs=3, random_state=0, **p
    ),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_continues_to_the_same_bits(case, early_stopping, n_classes, many_clicks, monkeypatch):
    """A net that is built anew, and given the state of the third period, ends like the first."""
    X, y = many_clicks
    y = y + np.arange(len(y)) % (n_classes - 1)
    params = {"early_stopping": early_stopping, "eval_every": 11}
    take = TakeState(3)
    whole = CASES[case](callbacks=[take], **params).fit(X, y)
    assert len(whole.history_) > 4
    original, steps = CTRNet.train_on, []
    monkeypatch.setattr(
        CTRNet, "train_on", lambda net, run, callbacks, _: original(net, run, callbacks, take.state)
    )
    step = Run.step
    monkeypatch.setattr(Run, "step", lambda *args: steps.append(1) or step(*args))
    continued = CASES[case](**params).fit(X, y)
    assert len(steps) == whole.n_iter_ - 33
    np.testing.assert_array_equal(continued.predict_proba(X), whole.predict_proba(X))
    columns = [name for name in whole.history_ if name != "seconds"]
    assert continued.history_[columns].equals(whole.history_[columns])
    for name, tensor in whole.net_.module_.state_dict().items():
        assert torch.equal(continued.net_.module_.state_dict()[name], tensor), name


def test_state_of_another_schedule_is_refused(many_clicks, monkeypatch):
    X, y = many_clicks
    take = TakeState(1)
    fast(callbacks=[take], eval_every=11).fit(X, y)
    original = CTRNet.train_on
    monkeypatch.setattr(
        CTRNet, "train_on", lambda net, run, callbacks, _: original(net, run, callbacks, take.state)
    )
    with pytest.raises(ValueError, match=r"schedule {.*'period': 11}, not of {.*'period': 12}"):
        fast(eval_every=12).fit(X, y)


def make_optimizer(kind, in_reverse=False):
    """Parameters a, b and c; a has a rate of its own."""
    torch.manual_seed(0)
    parameters = {name: torch.nn.Parameter(torch.randn(3, 2)) for name in "abc"}
    groups = [{"params": [parameters["a"]], "lr": 0.5}, {"params": [*map(parameters.get, "bc")]}]
    if in_reverse:
        groups = [{**group, "params": group["params"][::-1]} for group in reversed(groups)]
    return parameters, kind(groups, lr=0.1)


def step(parameters, optimizer, seed):
    generator = torch.Generator().manual_seed(seed)
    for name in "ab":  # c never has a gradient, so no state
        parameters[name].grad = torch.randn(3, 2, generator=generator)
    optimizer.step()


@pytest.mark.parametrize("kind", [FTRL, RowAdam, torch.optim.AdamW, torch.optim.SGD])
def test_state_of_an_optimizer_goes_by_names(kind):
    """Not by the order of the groups: another order continues the same way."""
    with torch.random.fork_rng():
        parameters, optimizer = make_optimizer(kind)
        others, other = make_optimizer(kind, in_reverse=True)
    names = {p: name for name, p in parameters.items()}
    step(parameters, optimizer, 1)
    state = optimizer_state(optimizer, names)
    assert {name.split("/")[0] for name in state} == set("abc")
    assert (state["a/options"]["lr"], state["c/options"]["lr"]) == (0.5, 0.1)
    for name, parameter in others.items():
        parameter.data.copy_(parameters[name].data)
    load_optimizer_state(other, {p: name for name, p in others.items()}, state)
    step(parameters, optimizer, 2)
    step(others, other, 2)
    for name, parameter in parameters.items():
        assert torch.equal(parameter, others[name]), name


def test_state_of_other_parameters_is_refused():
    with torch.random.fork_rng():
        parameters, optimizer = make_optimizer(FTRL)
    names = {p: name for name, p in parameters.items()}
    state = optimizer_state(optimizer, names)
    with pytest.raises(ValueError, match=r"of the parameters \['a', 'b'\], but .* 'c'\]"):
        load_optimizer_state(optimizer, names, {k: v for k, v in state.items() if k[0] != "c"})
