"""skorch's callbacks: each works, or is refused by name before any data is read."""

from unittest.mock import MagicMock

import numpy as np
import pytest
import skorch.callbacks
import torch
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, TrainEndCheckpoint

from sk_dynint.training import Batch
from tests.conftest import fast

REFUSED = {
    *("BatchScoring", "EpochScoring", "PassthroughScoring"),
    *("GradientNormClipping", "InputShapeSetter", "ProgressBar"),
}
NOT_A_CALLBACK = {"WarmRestartLR"}  # a scheduler of torch that skorch exports beside its callbacks


def make_callback(name, tmp_path):
    """Build a callback of skorch with what it needs; loggers write to mocks."""
    make = getattr(skorch.callbacks, name)
    checkpoint = Checkpoint(dirname=tmp_path / "earlier")
    arguments = {
        "BatchScoring": {"scoring": "accuracy"},
        "EpochScoring": {"scoring": "accuracy"},
        "PassthroughScoring": {"name": "valid_loss"},
        "GradientNormClipping": {"gradient_clip_value": 1.0},
        "Checkpoint": {"dirname": tmp_path},
        "TrainEndCheckpoint": {"dirname": tmp_path},
        "LoadInitState": {"checkpoint": checkpoint},
        "EarlyStopping": {"patience": 1, "sink": lambda text: None},
        "Freezer": {"patterns": "embedding*"},
        "Unfreezer": {"patterns": "embedding*", "at": 2},
        "Initializer": {"patterns": "bias", "fn": torch.nn.init.zeros_},
        "ParamMapper": {"patterns": "bias"},
        "LRScheduler": {"policy": "StepLR", "step_size": 50, "step_every": "batch"},
        "PrintLog": {"sink": lambda text: None},
        "MlflowLogger": {"run": MagicMock(), "client": MagicMock()},
        "NeptuneLogger": {"run": MagicMock(), "log_on_batch_end": True},
        "SacredLogger": {"experiment": MagicMock(), "log_on_batch_end": True},
        "TensorBoard": {"writer": MagicMock()},
        "WandbLogger": {"wandb_run": MagicMock(dir=str(tmp_path)), "save_model": False},
        "WarmRestartLR": {"optimizer": torch.optim.SGD([torch.zeros(1)], lr=0.1)},
    }
    return make(**arguments.get(name, {}))


@pytest.mark.parametrize("name", skorch.callbacks.__all__)
def test_each_works_or_is_refused_by_name(name, many_clicks, tmp_path, monkeypatch):
    X, y = many_clicks
    if name == "LoadInitState":  # wants something to load
        fast(callbacks=[Checkpoint(dirname=tmp_path / "earlier")], early_stopping=True).fit(X, y)
    if name == "NeptuneLogger":
        pytest.importorskip("neptune")
    callback = make_callback(name, tmp_path)
    model = fast(callbacks=[callback], early_stopping=True)
    if name in REFUSED | NOT_A_CALLBACK:
        monkeypatch.setattr("sk_dynint.preprocessing.FieldEncoder.fit_transform", None)
        with pytest.raises(TypeError, match=f"callbacks has .*{name}"):
            model.fit(X, y)
        with pytest.raises(TypeError, match=name):
            model.set_params(callbacks=[("named", callback)]).check_params()
    else:
        model.fit(X, y)
        assert 0 < model.predict_proba(X).min() < 1


def test_a_subclass_of_a_refused_callback_is_refused():
    class Clipping(skorch.callbacks.GradientNormClipping):
        pass

    with pytest.raises(TypeError, match="Clipping, which cannot work here: gradients are sparse"):
        fast(callbacks=[Clipping()]).check_params()


class Witness(Callback):
    """Writes down what it was called with."""

    def __init__(self):
        self.events = []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.events.append(("begin", training))
        assert isinstance(batch, Batch)

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        assert any(p.grad is not None for _, p in named_parameters)
        self.events.append(("gradients", net.module_.training))

    def on_batch_end(self, net, batch=None, training=False, loss=None, y_pred=None, **kwargs):
        assert y_pred.shape == batch.target.shape
        prefix = "train" if training else "valid"
        assert net.history[-1, "batches", -1, f"{prefix}_loss"] == pytest.approx(float(loss))
        self.events.append(("end", training))


def test_batches_are_told_in_order_and_change_nothing(many_clicks):
    X, y = many_clicks
    witness = Witness()
    told = fast(callbacks=[witness], early_stopping=True).fit(X, y)
    untold = fast(early_stopping=True).fit(X, y)
    np.testing.assert_array_equal(told.predict_proba(X), untold.predict_proba(X))
    n = told.n_iter_
    assert witness.events[:3] == [("begin", True), ("gradients", True), ("end", True)]
    assert witness.events.count(("gradients", True)) == n
    assert witness.events.count(("end", False)) == len(told.history_)
    assert [len(row["batches"]) for row in told.net_.history] == [1] * len(told.history_)


def test_checkpoints_hold_what_they_should(many_clicks, tmp_path):
    """At the end of training the file has the weights that predict."""
    X, y = many_clicks
    model = fast(callbacks=[TrainEndCheckpoint(dirname=tmp_path)], early_stopping=True).fit(X, y)
    saved = torch.load(tmp_path / "train_end_params.pt", weights_only=True)
    for name, tensor in model.net_.module_.state_dict().items():
        assert torch.equal(saved[name], tensor), name


def test_early_stopping_of_skorch_stops_and_the_best_period_counts(many_clicks):
    X, y = many_clicks
    stop = EarlyStopping(patience=2, sink=lambda text: None)
    model = fast(callbacks=[stop], lr=0.5, max_epochs=30, patience=30, early_stopping=True)
    history = model.fit(X, y).history_
    assert len(history) < 30
    best = history["valid_loss"].argmin()
    assert len(history) == best + 1 + 2


class Owner(Callback):
    """Refers to its estimator, and has attributes that are no parameters."""

    def __init__(self):
        self.seen = 0

    def on_epoch_end(self, net, **kwargs):
        self.seen += hasattr(self.estimator, "callbacks")


def test_a_callback_may_refer_to_its_estimator(clicks):
    callback = Owner()
    model = fast(callbacks=[callback])
    callback.estimator = model
    model.fit(*clicks)
    assert callback.seen == len(model.history_)
