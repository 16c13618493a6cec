"""Training: the skorch net, its batches and its callbacks.  The only file that imports skorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from itertools import chain, count, islice
from threading import RLock
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from sk_dynint._engine import Engine, computes_bfloat16, one_thread
from sk_dynint.optim import FTRL, RowOptimizer

Batch = tuple[Tensor, tuple[Tensor, Tensor]]

EVALUATION_BLOCK = 8192
"""Rows in a batch when nothing is learnt from it."""

A_FEW, NOT_MANY = 64, 1024
"""Up to so many rows are predicted without a kernel, which has to be prepared; by one thread."""

METRICS = {"logloss": ("valid_loss", True), "auc": ("valid_auc", False)}
"""What may decide about early stopping: name -> (history column, lower is better)."""


class Table(Dataset):
    """Encoded rows with targets and weights, kept as whole tensors and sliced, never collated."""

    def __init__(self, codes: np.ndarray, target: np.ndarray, weight: np.ndarray) -> None:
        self.codes = torch.from_numpy(codes)
        self.target = torch.from_numpy(target)
        self.weight = torch.from_numpy(weight)

    def __len__(self) -> int:
        return len(self.codes)

    def sort(self) -> None:
        """Put the rows in an order that does not depend on the one they came in."""
        order = np.lexsort((self.target.numpy(), *self.codes.numpy().T))
        self.codes, (self.target, self.weight) = self[torch.from_numpy(order)]

    def __getitem__(self, rows: Any) -> Batch:
        if isinstance(rows, slice):
            return self.codes[rows], (self.target[rows], self.weight[rows])
        codes, *y = (t.index_select(0, rows) for t in (self.codes, self.target, self.weight))
        return codes, (y[0], y[1])


class Batches:
    """Passes over a table, handed out one evaluation period at a time.

    Each ``iter()`` continues where the last one stopped, for `period` batches; without a period
    it is one pass.  `passes` bounds the whole, `seed` asks for shuffling.
    """

    def __init__(
        self,
        table: Table,
        batch_size: int,
        period: int | None = None,
        passes: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.table = table
        self.batch_size = batch_size
        self.period = period or -(-len(table) // batch_size)
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)
        self.stream = chain.from_iterable(
            self._one_pass() for _ in (count() if passes is None else range(passes))
        )

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Batch]:
        return islice(self.stream, self.period)

    def _one_pass(self) -> Iterator[Batch]:
        n = len(self.table)
        rows: Iterable[Any]
        if self.generator is None:
            rows = [slice(i, i + self.batch_size) for i in range(0, n, self.batch_size)]
        else:
            rows = torch.split(torch.randperm(n, generator=self.generator), self.batch_size)
        return (self.table[r] for r in rows)


class EndOfTraining(KeyboardInterrupt):
    """A wish to stop and keep what there is, in skorch's way; a user's Ctrl-C is none."""


class CTRNet(NeuralNet):
    """skorch net whose loss is the weighted cross-entropy of logits plus the body's penalty.

    An "epoch" of skorch is an evaluation period here: a number of steps, then the validation
    table, then the callbacks.

    The reported loss is the weighted mean; the gradient is that of the *sum* over the batch, the
    scale that FTRL's constants are meant for.  Eq. (11) and (12): sum of cross-entropies plus
    λ times the sum of penalties.
    """

    stop_requested = False
    interrupt: KeyboardInterrupt | None = None
    average: WeightAverage | None = None
    engine: Engine | None = None
    adrift = False  # whether the weights may be others than those that the optimizer would set

    def __init__(
        self,
        *args: Any,
        orthogonal_penalty: float = 0.0,
        precision: Literal["fp32", "bf16"] = "fp32",
        **kwargs: Any,
    ) -> None:
        self.orthogonal_penalty = orthogonal_penalty
        self.precision = precision
        super().__init__(
            *args,
            criterion=torch.nn.BCEWithLogitsLoss,
            criterion__reduction="none",
            **kwargs,
        )

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """`X` is a pair of batches (training, validation or None): split before encoding."""
        return X

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches are their own iterator."""
        return dataset

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin a period, unless a callback asked to stop at the end of the last one."""
        if self.stop_requested:
            self.stop_requested = False
            raise EndOfTraining
        self._forget_batches()
        super().on_epoch_begin(net, **kwargs)

    def _forget_batches(self) -> None:
        """Drop the losses of single steps, which would grow without end, from the history."""
        if len(self.history):
            self.history[-1]["batches"] = []

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        """Train with the weights, validate with their average."""
        with nullcontext() if training or iterator is None else self.averaged():
            super().run_single_epoch(iterator, training, *args, **kwargs)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; a guest's interrupt after a period is its way to end training."""
        getattr(self, method_name)(self, **kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **kwargs)
            except KeyboardInterrupt as interrupt:
                if method_name == "on_epoch_end" and not isinstance(callback, OURS):
                    raise EndOfTraining from interrupt
                raise

    def fit_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Take note of an interrupt that is no wish to end training: skorch swallows both."""
        try:
            return super().fit_loop(*args, **kwargs)
        except EndOfTraining:
            raise
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
            raise

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Let batches count by their weight, not by their rows, in the mean loss of a period."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        _, (_, weight) = batch
        part = "train" if training else "valid"
        self.history.record_batch(f"{part}_batch_size", weight.sum().item())

    def averaged(self) -> AbstractContextManager[None]:
        """Context in which the module has averaged weights, where averaging is on."""
        return nullcontext() if self.average is None else self.average.applied()

    def get_loss(
        self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> Tensor:
        """Weighted mean of the cross-entropies."""
        target, weight = (to_tensor(t, self.device).to(y_pred.dtype) for t in y_true)
        return (self.criterion_(y_pred, target) * weight).sum() / weight.sum()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Gradient of the summed loss; the mean is what is recorded."""
        assert self.engine is not None
        self._set_training(True)
        codes, y = unpack_data(batch)
        codes, target, weight = (to_tensor(t, self.device) for t in (codes, *y))
        logit = self.engine.gradients(codes, target, weight)
        loss = self.get_loss(logit, y)
        if not torch.isfinite(loss):
            raise ValueError(
                f"the training loss became {loss.item()} in evaluation period "
                f"{len(self.history)}: lower lr (got lr={self.lr}), or raise beta or l2"
            )
        return {"loss": loss, "y_pred": logit}

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Logits of encoded rows."""
        engine = self.engine or Engine(self.module_, n_threads=1)
        return engine.logits(to_tensor(x, self.device))

    def train_on(
        self,
        table: Table,
        valid: Table | None,
        *,
        batch_size: int,
        period: int,
        passes: int,
        seed: int,
        shuffle: bool,
        callbacks: list[Callback],
        metric: str = "logloss",
        patience: int = 5,
        averaging: float | None = None,
        progress: bool = False,
    ) -> None:
        """Train for `passes` over `table`, scoring `valid` every `period` steps."""
        steps_per_pass = -(-len(table) // batch_size)
        n_steps = passes * steps_per_pass
        callbacks = [ValidationAUC(), *callbacks]
        if averaging is not None:
            self.average = WeightAverage(self.module_, averaging, max(1, steps_per_pass // 20))
            callbacks.insert(0, self.average)
        if valid is not None:
            callbacks.append(KeepBest(metric, patience))
        if progress:
            callbacks.append(StepProgress(n_steps))
        self.max_epochs = -(-n_steps // period)
        self.callbacks = callbacks
        self.initialize_callbacks()
        self.stop_requested, self.interrupt = False, None
        if self.adrift and isinstance(self.optimizer_, FTRL):
            self.optimizer_.anchor()
        self.adrift = averaging is not None
        order = seed if shuffle else None
        batches = Batches(table, batch_size, period=period, passes=passes, seed=order)
        valid_batches = None if valid is None else Batches(valid, EVALUATION_BLOCK)
        if self.precision == "bf16" and not computes_bfloat16(torch.device(self.device)):
            warnings.warn(
                "precision='bf16': this processor has no instructions for bfloat16; training will "
                "take several times as long as with 'fp32'",
                stacklevel=2,
            )
        self.engine = Engine(
            self.module_, penalty=self.orthogonal_penalty, precision=self.precision
        )
        draws = self.engine.kernel is None and may_draw(self.module_)
        try:
            with (
                self.engine.workers.running(),
                seeded(seed, self.device) if draws else nullcontext(),
            ):
                if isinstance(self.optimizer_, RowOptimizer):
                    self.optimizer_.map = self.engine.workers.map
                self.partial_fit((batches, valid_batches))
        finally:  # what belongs to this run must not travel with the fitted net
            self.average = self.engine = None
            if isinstance(self.optimizer_, RowOptimizer):
                self.optimizer_.map = None
            self.callbacks = []
            self.initialize_callbacks()
            if len(self.history) and "dur" not in self.history[-1]:
                self.history.pop()  # a period that was not finished
            self._forget_batches()
            self.module_.train(False)
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            raise interrupt

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """Logits of encoded rows: by several threads if there are many, at once if a few."""
        rows = torch.from_numpy(codes).to(self.device)
        n_rows = len(rows)
        if n_rows <= A_FEW:
            with one_thread(), torch.inference_mode():
                logits = self.module_(rows)
        elif n_rows <= NOT_MANY:
            with one_thread():
                logits = Engine(self.module_, n_threads=1).logits(rows)
        else:
            engine = Engine(self.module_)
            with engine.workers.running():
                logits = engine.logits(rows)
        return logits.cpu().numpy().astype(np.float64)


class ValidationAUC(Callback):
    """Record the AUC of the validation table in the history."""

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget the last period."""
        self._batches: list[tuple[np.ndarray, ...]] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Keep what the net says of validation rows."""
        if not training:
            arrays = (kwargs["y_pred"], *batch[1])
            self._batches.append(tuple(a.cpu().numpy() for a in arrays))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Score the period."""
        if self._batches:
            logit, target, weight = map(np.concatenate, zip(*self._batches, strict=True))
            self._batches = []
            defined = target.min() < target.max()
            auc = roc_auc_score(target, logit, sample_weight=weight) if defined else np.nan
            net.history.record("valid_auc", auc)


class WeightAverage(Callback):
    """Polynomial-decay average of the weights, which replaces them at the end of training.

    After t updates, ``average += (power + 1) / (power + t) * (weights - average)``: about the last
    1 / (power + 1) of the run counts, however long it is (Shamir and Zhang, *Stochastic gradient
    descent for non-smooth optimization*, ICML 2013).  The average moves once every `every` steps
    rather than at each, because it reads the whole table.
    """

    def __init__(self, module: torch.nn.Module, power: float, every: int) -> None:
        self.parameters = list(module.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.power = power
        self.every = every
        self.n_steps = 0

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Move the average towards the weights."""
        self.n_steps += training
        if training and self.n_steps % self.every == 0:
            newest = (self.power + 1) / (self.power + self.n_steps // self.every)
            with torch.no_grad():
                for mean, parameter in zip(self.average, self.parameters, strict=True):
                    mean.lerp_(parameter, newest)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Lend the average to the module."""
        self._swap()
        self._prune()
        try:
            yield
        finally:
            self._swap()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Leave the average in the module."""
        self._swap()
        self._prune()

    def _swap(self) -> None:
        for mean, parameter in zip(self.average, self.parameters, strict=True):
            parameter.data, mean.data = mean.data, parameter.data

    def _prune(self) -> None:
        """Keep at exactly zero what the optimizer has set to it."""
        for weights, parameter in zip(self.average, self.parameters, strict=True):
            parameter.data.masked_fill_(weights == 0, 0)


class KeepBest(Callback):
    """Stop when the validation score has not improved for `patience` periods; restore the best.

    The optimizer's state is restored with the weights, because FTRL's weights follow from it (or,
    averaged, are what it has to be anchored at before it goes on).
    """

    def __init__(self, metric: str, patience: int) -> None:
        self.metric = metric
        self.patience = patience

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start anew."""
        self.best_score_, self.best_period_ = np.inf, 0
        self._best: tuple[Any, Any] | None = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare the period with the best so far."""
        column, lower_is_better = METRICS[self.metric]
        score = net.history[-1, column] * (1 if lower_is_better else -1)
        period = len(net.history)
        if score < self.best_score_:
            self.best_score_, self.best_period_ = score, period
            with net.averaged():
                self._best = deepcopy((net.module_.state_dict(), net.optimizer_.state_dict()))
        elif period - self.best_period_ >= self.patience:
            net.stop_requested = True

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go back to the best period."""
        if self._best is not None:
            module_state, optimizer_state = self._best
            net.module_.load_state_dict(module_state)
            net.optimizer_.load_state_dict(optimizer_state)
            self._best = None


class StepProgress(Callback):
    """One progress bar over all training steps, with the last scores beside it."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Draw the bar."""
        self._bar = tqdm(total=self.n_steps, unit="step", desc="fit")

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Advance."""
        self._bar.update(int(training))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Show the scores."""
        row = net.history[-1]
        names = [n for n in ("train_loss", "valid_loss", "valid_auc") if n in row]
        self._bar.set_postfix({name: f"{row[name]:.4f}" for name in names})

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Leave the bar as it stands."""
        self._bar.close()
        del self._bar


class SklearnCallbacks(Callback):
    """Forward evaluation periods to the callbacks set with ``set_callbacks`` (scikit-learn)."""

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any) -> None:
        self.context = context
        self.task = {"estimator": estimator, "X": X, "y": y}

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Open a subtask."""
        self._task = self.context.subcontext(task_name="evaluation period")
        self._task.call_on_fit_task_begin(**self.task)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Close it; a callback may ask to stop."""
        with net.averaged():
            net.stop_requested |= self._task.call_on_fit_task_end(
                **self.task,
                reconstruction_attributes=lambda: {"history_": history_frame(net.history)},
            )


OURS = ValidationAUC, WeightAverage, KeepBest, StepProgress, SklearnCallbacks


def check_callbacks(callbacks: list[Any] | None) -> None:
    """Refuse what skorch could not call."""
    for given in callbacks or []:
        callback = given[1] if isinstance(given, tuple) else given
        if not hasattr(callback, "on_epoch_end"):
            raise TypeError(f"callbacks has {given!r}; it must hold skorch callbacks")
        if isinstance(callback, EpochScoring):
            raise TypeError(
                f"callbacks has {callback!r}, which wants raw rows, but the net has encoded ones; "
                "history_ has valid_loss and valid_auc, and set_callbacks takes scikit-learn's "
                "ScoringMonitor"
            )


SEEDING = RLock()


@contextmanager
def seeded(seed: int, device: Any) -> Iterator[None]:
    """Seed torch for a while; give its global generator back as it was.

    Threads take turns, because that generator is theirs in common.
    """
    device = torch.device(device)
    with SEEDING, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def may_draw(module: torch.nn.Module) -> bool:
    """Whether a module may draw from torch's global generator: by dropout, or if it is not ours."""
    return any(
        getattr(part, "p", 0) > 0 or not type(part).__module__.startswith(("torch.", "sk_dynint."))
        for part in module.modules()
    )


def draw_seed(random_state: np.random.RandomState) -> int:
    """Return a seed for torch."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def history_frame(history: Any) -> pd.DataFrame:
    """One line for every evaluation period."""
    rows = pd.DataFrame([dict(row) for row in history])
    columns = ["step", "train_loss", "valid_loss", "valid_auc", "seconds"]
    rows = rows.assign(step=rows["train_batch_count"].cumsum()).rename(columns={"dur": "seconds"})
    return rows[[name for name in columns if name in rows]]
