"""What one call of `fit` trains, and its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sk_dynint._compiled import compiles_loops
from sk_dynint._process import no_fork, seeded
from sk_dynint._warnings import warn
from sk_dynint.engine import AnyBatch, Engine, EnsembleEngine, Sums
from sk_dynint.optim import load_optimizer_state, optimizer_state
from sk_dynint.training._average import WeightAverage
from sk_dynint.training._callbacks import KeepBest, SklearnCallbacks, parameter_names
from sk_dynint.training._checkpoint import Checkpoint
from sk_dynint.training._data import EncodedData, MemberData
from sk_dynint.training._progress import StepProgress
from sk_dynint.training._schedule import Batches, MemberBatches, Schedule

State = dict[str, Any]

MIN_MEAN_WEIGHT = 0.01
"""Mean weight of the rows below which a warning says that they weigh too little."""

EVALUATION_BATCH_SIZE = 8192
"""Rows in a batch of validation rows."""


@dataclass
class Run:
    """The parts of a run that a net trains; each has its state as tensors and numbers.

    A run that is built anew with the same arguments, and given the state of an interrupted one,
    ends with the same bits as if it had never stopped.

    Parameters
    ----------
    engine : Engine
        Computes the steps; it has the module and the optimizer.
    batches : Batches
        What is learnt from.
    seed : int
        Seed of torch's global generator, from which dropout draws.
    batch_weight : float
        Mean weight of a whole batch.
    valid : EncodedData or MemberData, default=None
        What is evaluated.
    average : WeightAverage, default=None
        The averaged weights, which are validated and kept.
    best : KeepBest, default=None
        The best evaluation period.
    progress : StepProgress, default=None
        The progress bar.
    sklearn_callbacks : SklearnCallbacks, default=None
        scikit-learn's callbacks.
    checkpoint : Checkpoint, default=None
        Where the state is kept.

    Attributes
    ----------
    sums : list of (Tensor, Tensor)
        Loss and weight of each step of the present period.
    """

    engine: Engine
    batches: Batches
    seed: int
    batch_weight: float
    valid: EncodedData | MemberData | None = None
    average: WeightAverage | None = None
    best: KeepBest | None = None
    progress: StepProgress | None = None
    sklearn_callbacks: SklearnCallbacks | None = None
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        self.sums: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.draws = self.engine.kernel is None and draws_randomly(self.engine.module)
        self._generator: torch.Tensor | None = None

    @property
    def is_told_to_stop(self) -> bool:
        """Whether a signal asks to stop here, in the middle of an evaluation period."""
        told = self.checkpoint is not None and self.checkpoint.signal is not None
        return told and not self.batches.is_at_end_of_period()

    def averaged(self) -> AbstractContextManager[None]:
        """Context in which the module has averaged weights, if there are any."""
        return nullcontext() if self.average is None else self.average.applied()

    @classmethod
    def planned(
        cls,
        engine: Engine,
        data: EncodedData | MemberData,
        valid: EncodedData | MemberData | None = None,
        *,
        schedule: Schedule,
        seed: int,
        shuffle: bool = True,
        metric: str = "logloss",
        patience: int = 5,
        averaging: float | None = None,
        progress: bool = False,
        sklearn_callbacks: SklearnCallbacks | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Put the parts of a run together.

        Parameters
        ----------
        engine : Engine
            Computes the steps.
        data, valid : EncodedData or MemberData
            Rows to learn from and to evaluate, with targets; `valid` may be None.  The members of
            an ensemble may have rows of their own; else all of them have all rows.
        schedule : Schedule
            How long to train.
        seed : int
            Seed of the order of rows and of dropout.
        shuffle : bool, default=True
            Whether each pass has an order of its own.
        metric, patience
            See :class:`KeepBest`; used with validation rows only.
        averaging : float, default=None
            Power of the :class:`WeightAverage`; None keeps the last weights.
        progress : bool, default=False
            Whether to show a progress bar.
        sklearn_callbacks : SklearnCallbacks, default=None
            scikit-learn's callbacks.
        checkpoint : Checkpoint, default=None
            Where to keep the state.
        """
        first = "compiling loops (once)" if progress and compiles_loops(engine.module.bias) else ""
        dtype, average = str(engine.module.bias.dtype).removeprefix("torch."), None
        if isinstance(engine, EnsembleEngine) and isinstance(data, EncodedData):
            data = MemberData(data, [np.arange(len(data))] * len(engine.engines))
        if valid is not None and metric == "auc" and np.ptp(valid.targets()) == 0:
            raise ValueError("all validation rows are of one class; scoring='auc' needs two")
        data = data.astype(dtype)
        order = seed if shuffle else None
        if averaging is not None:
            average = WeightAverage(engine.module, averaging, max(1, schedule.steps_in_pass // 20))
        return cls(
            engine,
            MemberBatches(data, schedule, order)
            if isinstance(data, MemberData)
            else Batches(data, schedule, order),
            seed,
            min(schedule.batch_size, len(data)) * float(data.weights().mean()),
            valid=None if valid is None else valid.astype(dtype),
            average=average,
            best=None if valid is None else KeepBest(metric, patience),
            progress=StepProgress(schedule.n_steps, first) if progress else None,
            sklearn_callbacks=sklearn_callbacks,
            checkpoint=checkpoint,
        )

    def validation_batches(self) -> Iterator[AnyBatch]:
        """Yield the validation rows, in large batches."""
        assert self.valid is not None
        for start in range(0, len(self.valid), EVALUATION_BATCH_SIZE):
            yield self.valid.take(slice(start, start + EVALUATION_BATCH_SIZE))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context with the engine's threads, and with a seeded generator if anything draws."""
        device = self.engine.module.bias.device
        with (
            self.engine.workers.running(),
            seeded(self.seed, device) if self.draws else nullcontext(),
        ):
            if self._generator is not None:
                with no_fork():
                    torch.set_rng_state(self._generator)
            with nullcontext() if self.checkpoint is None else self.checkpoint.listening():
                yield

    def step(self, batch: AnyBatch, on_gradients: Callable[[], None] | None = None) -> Sums:
        """Learn from a batch."""
        sums = self.engine.step(batch, on_gradients)
        if self.average is not None:
            self.average.update()
        if self.progress is not None:
            self.progress.step()
        return sums

    def finish(self) -> None:
        """Leave the average, or the weights of the best period, in the module."""
        if self.average is not None:
            self.average.apply()
        if self.best is not None:
            self.best.restore(self.engine.module, self._optimizer)

    def marked(self, history: pd.DataFrame) -> pd.DataFrame:
        """Return the history with a column that marks the best period, if one was kept."""
        if self.best is None:
            return history
        is_best = history.index == self.best.period - 1
        return history.assign(best=is_best)[[*history.columns[:-1], "best", history.columns[-1]]]

    def best_of(self, history: pd.DataFrame) -> tuple[int, float | None]:
        """Return step and score of the best evaluation period; the last step if none is kept."""
        if self.best is None:
            return int(history["step"].iloc[-1]), None
        row = history.iloc[self.best.period - 1]
        return int(row["step"]), float(row[self.best.column])

    def warn_of_poor_ends(self, history: pd.DataFrame) -> None:
        """Warn if training stopped too early, had weights too small to learn, or learnt nothing."""
        weight = float(self.batches.data.weights().mean())
        if weight < MIN_MEAN_WEIGHT:
            warn(
                f"the weights of the rows have the mean {weight:.2g}; a weight of 1 stands for one "
                "row, so that such rows hardly move the model: divide the weights by their mean"
            )
        if self.best is None:
            return
        constant = self._constant_loss()
        least = float(history["valid_loss"].min())
        if not least < constant:
            warn(
                f"nothing was learnt: the least validation logloss is {least:.4f}, and that of the "
                f"same probability for every row {constant:.4f}; change lr, or look at the columns"
            )
        elif self.best.period == len(history) and self.batches.is_finished():
            warn(
                f"max_epochs={self.batches.schedule.n_passes} ended training while the validation "
                "score was still improving; raise it",
                ConvergenceWarning,
            )

    def _constant_loss(self) -> float:
        """Logloss of the validation rows for the shares of the classes of the training rows."""
        assert self.valid is not None
        loss, data = self.engine.loss, self.batches.data
        target, weight = self.valid.batch.target, self.valid.batch.weight
        base = target.new_tensor(loss.base_logit(data.targets(), data.weights()))
        logit = base.expand(len(target), *base.shape)
        return float(loss(logit, target, weight) / weight.sum())

    def show(self, history: Sequence[dict[str, Any]]) -> None:
        """Show the last evaluation period and the best one in the progress bar."""
        if self.progress is None or not history:
            return
        step, best = self.batches.position, None
        if self.best is not None and self.best.module_state is not None:
            period = self.best.period
            later = sum(row["train_batch_count"] for row in history[period:])
            best = step - later, history[period - 1]
        self.progress.show(step, history[-1], best)

    def close(self, kept: bool = False) -> None:
        """Close the progress bar, which tells what was `kept`; a second call does nothing."""
        if self.progress is not None:
            self.progress.close(kept)

    @property
    def _optimizer(self) -> torch.optim.Optimizer:
        assert self.engine.optimizer is not None
        return self.engine.optimizer

    def state_dict(self) -> State:
        """Return the state of all parts, by their names."""
        module = self.engine.module
        state: State = {
            "module": {name: t.clone() for name, t in module.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer, parameter_names(module)),
            "batches": self.batches.state_dict(),
            "schedule": asdict(self.batches.schedule),
        }
        if self.sums:
            state["losses"], state["weights"] = map(torch.stack, zip(*self.sums, strict=True))
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.best is not None:
            state["best"] = self.best.state_dict()
        if self.draws:
            with no_fork():
                state["generator"] = torch.get_rng_state()
        return state

    def load_state_dict(self, state: State) -> None:
        """Continue from the state of an earlier run.

        Raises
        ------
        ValueError
            If that run had another schedule, or other parameters.
        """
        if (ours := asdict(self.batches.schedule)) != state["schedule"]:
            raise ValueError(f"the state is of the schedule {state['schedule']}, not of {ours}")
        module = self.engine.module
        module.load_state_dict(state["module"])
        load_optimizer_state(self._optimizer, parameter_names(module), state["optimizer"])
        self.batches.load_state_dict(state["batches"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.best is not None:
            self.best.load_state_dict(state["best"])
        if "losses" in state:
            self.sums = list(zip(state["losses"], state["weights"], strict=True))
        self._generator = state.get("generator")


def draws_randomly(module: nn.Module) -> bool:
    """Whether a module may draw from torch's global generator in training.

    It may if it has dropout, or parts that are neither torch's nor ours.
    """
    return any(getattr(part, "p", 0) > 0 for part in module.modules()) or not is_ours(module)


def is_ours(module: nn.Module) -> bool:
    """Whether all parts of a module are torch's or ours."""
    return all(
        type(part).__module__.startswith(("torch.", "sk_dynint.")) for part in module.modules()
    )
