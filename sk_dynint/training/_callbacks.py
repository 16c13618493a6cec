"""What happens at the end of an evaluation period, and which callbacks of skorch may join in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from sk_dynint._loss import Loss
from sk_dynint.engine import AnyBatch
from sk_dynint.optim import load_optimizer_state, optimizer_state

METRICS = {"logloss": ("valid_loss", True), "auc": ("valid_auc", False)}
"""What may decide about early stopping: name -> (history column, whether lower is better)."""


REFUSED = {
    "BatchScoring": "it scores raw rows, but the net has encoded ones",
    "EpochScoring": "it scores raw rows, but the net has encoded ones",
    "PassthroughScoring": "scores of single batches are not kept",
    "GradientNormClipping": "gradients are sparse and summed over the batch; lower lr instead",
    "InputShapeSetter": "the encoder determines the shape of the input",
    "ProgressBar": "verbose=1 shows a progress bar over all steps",
}
"""Name of a skorch callback -> why it is refused."""


class DivergenceError(ValueError):
    """The loss or the weights became infinite or NaN."""


def diverged(what: str, lr: float) -> DivergenceError:
    """Return the error that says what became infinite or NaN, and what to change."""
    return DivergenceError(f"{what}: lower lr (got lr={lr}), or raise beta or l2")


def check_callbacks(callbacks: Iterable[Any] | None) -> None:
    """Refuse what is not a skorch callback, or one that cannot work here."""
    for given in callbacks or []:
        callback = given[1] if isinstance(given, tuple) else given
        kind = callback if isinstance(callback, type) else type(callback)
        if not hasattr(kind, "on_epoch_end"):
            raise TypeError(f"callbacks has {given!r}; it must hold skorch callbacks")
        for name in (base.__name__ for base in kind.__mro__):
            if name in REFUSED:
                raise TypeError(
                    f"callbacks has {kind.__name__}, which cannot work here: {REFUSED[name]}. "
                    "history_ has train_loss, valid_loss and valid_auc, and set_callbacks takes "
                    "scikit-learn's ScoringMonitor"
                )


class KeepBest:
    """Keeps the weights of the best evaluation period, and tells when to stop.

    The optimizer's state is kept with the weights, because FTRL's weights follow from it.

    Parameters
    ----------
    metric : {"logloss", "auc"}
        Score that decides.
    patience : int
        Periods without improvement after which training stops.
    """

    def __init__(self, metric: str, patience: int) -> None:
        self.column, lower_is_better = METRICS[metric]
        self.sign = 1 if lower_is_better else -1
        self.patience = patience
        self.score, self.period = np.inf, 0
        self.module_state: dict[str, Any] | None = None
        self.optimizer_state: dict[str, Any] = {}

    def improves(self, row: Mapping[str, Any], period: int) -> bool:
        """Compare a row of the history with the best so far; note it if it is better."""
        score = self.sign * row[self.column]
        if not score < self.score:
            return False
        self.score, self.period = score, period
        return True

    def keep(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Copy weights and optimizer state."""
        self.module_state = {name: t.clone() for name, t in module.state_dict().items()}
        self.optimizer_state = optimizer_state(optimizer, parameter_names(module))

    def is_out_of_patience(self, period: int) -> bool:
        """Whether the best period lies too far back."""
        return period - self.period >= self.patience

    def restore(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Go back to the best period, if there has been any."""
        if self.module_state is not None:
            module.load_state_dict(self.module_state)
            load_optimizer_state(optimizer, parameter_names(module), self.optimizer_state)

    def state_dict(self) -> dict[str, Any]:
        """Return score, period, weights and optimizer state."""
        return {
            "score": float(self.score),
            "period": self.period,
            "module": self.module_state,
            "optimizer": self.optimizer_state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from an earlier best period."""
        self.score, self.period = state["score"], state["period"]
        self.module_state, self.optimizer_state = state["module"], state["optimizer"]


class SklearnCallbacks:
    """Forwards evaluation periods to the callbacks set with ``set_callbacks`` (scikit-learn)."""

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any) -> None:
        self.context = context
        self.task = {"estimator": estimator, "X": X, "y": y}

    def begin(self) -> None:
        """Open a subtask."""
        self._task = self.context.subcontext(task_name="evaluation period")
        self._task.call_on_fit_task_begin(**self.task)

    def end(self, make_history: Callable[[], pd.DataFrame]) -> bool:
        """Close it; return whether a callback asks to stop."""
        return self._task.call_on_fit_task_end(
            **self.task, reconstruction_attributes=lambda: {"history_": make_history()}
        )


def parameter_names(module: nn.Module) -> dict[nn.Parameter, str]:
    """Return the name of each parameter."""
    return {parameter: name for name, parameter in module.named_parameters()}


def record_loss(history: Any, prefix: str, sums: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Record the weighted mean of the loss, and whether it is the least so far; return it.

    Parameters
    ----------
    history : skorch.history.History
        Its last period is the present one.
    prefix : {"train", "valid"}
        What the rows are.
    sums : iterable of (Tensor, Tensor)
        Summed loss and summed weight of each batch.
    """
    losses, weights = zip(*sums, strict=True)
    total, weight = (float(torch.stack(each).double().sum()) for each in (losses, weights))
    loss, name = total / weight, f"{prefix}_loss"
    if not history[-1]["batches"]:  # skorch's callbacks expect one
        history.new_batch()
        history.record_batch(name, loss)
    earlier = [row[name] for row in history[:-1] if name in row]
    history.record(f"{prefix}_batch_count", len(losses))
    history.record(name, loss)
    history.record(f"{name}_best", loss < min(earlier, default=np.inf))
    return loss


def history_frame(history: Any, n_earlier_steps: int = 0) -> pd.DataFrame:
    """Return a frame with one row for each evaluation period; its steps count the earlier ones."""
    rows = pd.DataFrame([dict(row) for row in history])
    columns = ["step", "train_loss", "valid_loss", "valid_auc", "seconds"]
    steps = n_earlier_steps + rows["train_batch_count"].cumsum()
    rows = rows.assign(step=steps).rename(columns={"dur": "seconds"})
    frame = rows[[name for name in columns if name in rows]]
    # Names as plain objects: an index of Arrow strings could not be unpickled without pyarrow.
    return frame.set_axis(pd.Index(frame.columns, dtype=object), axis=1)


def weighted_auc(evaluated: list[tuple[AnyBatch, Tensor]], loss: Loss) -> float:
    """Weighted AUC of evaluated batches; NaN if they are of one class.

    With more than two classes it is the mean of the AUCs of each class against all others, as far
    as there are rows of it.
    """
    batches, logits = zip(*evaluated, strict=True)
    columns = logits, [batch.target for batch in batches], [batch.weight for batch in batches]
    logit, target, weight = (torch.cat(each).cpu().numpy() for each in columns)
    if target.min() == target.max():
        return np.nan
    weight = weight.astype(np.float64)
    aucs = [
        roc_auc_score(positive, score, sample_weight=weight)
        for positive, score in loss.one_vs_rest(target, logit)
        if positive.any()
    ]
    return float(np.mean(aucs))
