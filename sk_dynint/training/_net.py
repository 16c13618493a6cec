"""The skorch net: its loop, and what it predicts.  The only file that imports skorch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.history import History
from torch import Tensor

from sk_dynint._loss import BinaryCrossEntropy
from sk_dynint._module import CTRModule, Ensemble
from sk_dynint._process import no_fork, seeded
from sk_dynint._warnings import warn
from sk_dynint.engine import AnyBatch, Engine, Sums, make_engine, supports_bfloat16
from sk_dynint.optim import OptimizerPolicy, RowOptimizer, load_optimizer_state, optimizer_state
from sk_dynint.training._callbacks import (
    DivergenceError,
    diverged,
    history_frame,
    parameter_names,
    record_loss,
    weighted_auc,
)
from sk_dynint.training._memory import check_memory
from sk_dynint.training._prediction import PredictionMixin
from sk_dynint.training._run import Run, State
from sk_dynint.training._schedule import Schedule

CHANGED_BY_RUNS = (
    *("weights_changed_outside_", "n_earlier_steps_", "lr", "orthogonal_penalty", "precision"),
)
"""Attributes of the net that change from run to run."""

BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class CTRNet(PredictionMixin, NeuralNet):
    """skorch net for encoded rows, trained by an :class:`Engine`.

    An "epoch" of skorch is an evaluation period here: a number of steps, then the validation rows,
    then the callbacks.  `X` is always encoded: an :class:`EncodedData`, or a matrix of field
    indices (n_samples, n_fields), with positions of the classes, from 0, as `y`.

    The history records the weighted mean of the loss.  The gradient is that of the *sum* over the
    batch, the scale that FTRL's constants are meant for.

    Parameters
    ----------
    module : type, default=CTRModule
        Class of the module.
    criterion : type or nn.Module, default=BinaryCrossEntropy
        The loss, see :mod:`sk_dynint._loss`.
    orthogonal_penalty : float, default=0.0
        λ of Eq. 11 and 12, coefficient of the body's penalty.
    precision : {"fp32", "bf16"}, default="fp32"
        Type that the body computes in while training.
    train_split : None
        Validation rows belong to the :class:`Run` of :meth:`train_on`.
    **kwargs
        See :class:`skorch.NeuralNet`.
    """

    run_: Run | None = None
    stop_requested_ = False
    n_earlier_steps_ = 0
    """Training steps of the runs before the last one; the history is that of the last one."""
    can_continue_ = True
    """Whether the optimizer has the state of these weights: not after loading them alone."""
    weights_changed_outside_ = False
    """True if weights or options changed outside the optimizer, so that FTRL must recompute z."""

    def __init__(
        self,
        module: Any = CTRModule,
        criterion: Any = BinaryCrossEntropy,
        *,
        orthogonal_penalty: float = 0.0,
        precision: Literal["fp32", "bf16"] = "fp32",
        train_split: None = None,
        **kwargs: Any,
    ) -> None:
        self.orthogonal_penalty = orthogonal_penalty
        self.precision = precision
        super().__init__(module, criterion, train_split=train_split, **kwargs)

    @classmethod
    def built(
        cls,
        module_options: dict[str, Any],
        policy: OptimizerPolicy,
        *,
        seed: int,
        dtype: torch.dtype,
        n_members: int = 1,
        **options: Any,
    ) -> CTRNet:
        """Build a net with its module and optimizer.

        Parameters
        ----------
        module_options : dict
            Arguments of :class:`CTRModule`.
        policy : OptimizerPolicy
            The optimizer and its options.
        seed : int
            Seed of the initial weights.
        dtype : torch.dtype
            Type of the weights.
        n_members : int, default=1
            With several, the module is an :class:`Ensemble`.
        **options
            Other parameters of the net.

        Raises
        ------
        MemoryError
            If the net would not fit in the free memory.
        """
        cardinalities = module_options["cardinalities"]
        sizes = len(cardinalities), int(sum(cardinalities)), module_options["embedding_dim"]
        n_outputs = np.size(module_options["base_logit"])
        check_memory(module_options["make_body"], *sizes, n_members, n_outputs)
        optimizer_options = dict(policy.options)
        module: type[CTRModule | Ensemble] = CTRModule
        if n_members > 1:
            module, module_options = Ensemble, module_options | {"n_members": n_members}
        net = cls(
            module,
            **{f"module__{name}": value for name, value in module_options.items()},
            module__sparse=getattr(policy.optimizer, "supports_sparse", False),
            optimizer=policy.optimizer,
            lr=optimizer_options.pop("lr"),
            optimizer__param_groups=policy.param_groups(module.table_names),
            **{f"optimizer__{name}": value for name, value in optimizer_options.items()},
            **options,
            verbose=0,
        )
        with seeded(seed, net.device), no_fork():
            net.initialize()
            net.module_.to(dtype)
        return net

    def renew(
        self, policy: OptimizerPolicy, *, orthogonal_penalty: float, precision: Any, device: str
    ) -> None:
        """Take new options for the next run, and move to its device."""
        if device != self.device:
            self.module_.to(device)
            self.optimizer_.load_state_dict(self.optimizer_.state_dict())  # follows the parameters
            self.device = device
        self.orthogonal_penalty = orthogonal_penalty
        self.precision = precision
        self.lr = policy.options["lr"]
        names = parameter_names(self.module_)
        changed = policy.renew(self.optimizer_, self.module_.table_names, names)
        self.weights_changed_outside_ |= changed

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        """The loop records the losses itself; scores of single batches are not kept."""
        return [("epoch_timer", EpochTimer())]

    # ---------------------------------------------------------------- training

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> CTRNet:
        """Make `max_epochs` passes over encoded rows, in batches of `batch_size`."""
        if not self.initialized_:
            self.initialize()
        data = self._encoded(X)
        if y is not None:
            data = data.with_target(np.asarray(y, dtype=np.float64), data.weights())
        size = min(self.batch_size, len(data))
        steps = -(-len(data) // size)
        run = Run.planned(
            self.make_engine(),
            data,
            schedule=Schedule(len(data), size, self.max_epochs, steps),
            seed=int(torch.randint(2**31, ())),
        )
        self.train_on(run)
        return self

    def make_engine(self) -> Engine:
        """Return an engine that trains the module with the net's optimizer and options."""
        if self.precision == "bf16" and not supports_bfloat16(torch.device(self.device)):
            warn(
                "precision='bf16': this processor has no instructions for bfloat16; training will "
                "take several times as long as with 'fp32'"
            )
        return make_engine(
            self.module_,
            self.optimizer_,
            loss=self.criterion_,
            penalty=self.orthogonal_penalty,
            precision=self.precision,
        )

    def train_on(
        self, run: Run, callbacks: Iterable[Any] = (), state: State | None = None
    ) -> KeyboardInterrupt | None:
        """Train for all evaluation periods of a run, or until a callback asks to stop.

        Parameters
        ----------
        run : Run
            What to train; its engine comes from :meth:`make_engine`.
        callbacks : iterable of skorch callbacks
            Called besides those of the net.
        state : dict, default=None
            What :meth:`state_dict` returned at the end of a period of a run with the same
            arguments: training continues from there, to the same bits.

        Returns
        -------
        KeyboardInterrupt or None
            The user's interrupt, if one came after the first evaluation period: the net has the
            weights of the best period, or the last ones if there are no validation rows.

        Raises
        ------
        DivergenceError
            If the loss or a weight is not finite, and there is no best evaluation period to go back
            to.
        KeyboardInterrupt
            If the user interrupts the first evaluation period.
        """
        self.n_earlier_steps_ += sum(row["train_batch_count"] for row in self.history)
        self._set_history([])
        if isinstance(self.optimizer_, RowOptimizer):
            if self.weights_changed_outside_:
                self.optimizer_.anchor()
            self.optimizer_.set_batch_weight(run.batch_weight)
        self.weights_changed_outside_ = run.average is not None
        self.run_ = run
        self.stop_requested_ = False
        if state is not None:
            self.load_state_dict(state)
        self.callbacks = list(callbacks)
        self.initialize_callbacks()
        interrupt = None
        try:
            with run.running():
                self._train()
        except KeyboardInterrupt as error:
            interrupt = error
        finally:  # what belongs to this run must not travel with the fitted net
            run.close()
            self.run_ = None
            self.callbacks = []
            self.initialize_callbacks()
            if len(self.history) and "dur" not in self.history[-1]:
                self.history.pop()  # a period that was not finished
            self.module_.train(False)
        if interrupt is not None and not self.history:
            raise interrupt
        return interrupt

    def _train(self) -> None:
        """Run all periods, or up to the one that asks to stop or is interrupted."""
        assert self.run_ is not None
        self.notify("on_train_begin", X=self.run_.batches.data, y=None)
        try:
            while not (self.run_.batches.is_finished() or self.stop_requested_):
                self._run_period(self.run_)
        except DivergenceError as error:
            if self.run_.best is None or self.run_.best.module_state is None:
                raise
            self._end_training()
            warn(
                f"{error}. The weights of the best evaluation period, {self.run_.best.period}, are "
                "kept"
            )
            return
        except KeyboardInterrupt:
            self._end_training()
            raise
        self._end_training()

    def _end_training(self) -> None:
        assert self.run_ is not None
        self.run_.finish()
        if not all(p.isfinite().all() for p in self.module_.parameters()):
            raise diverged("weights became infinite or NaN", self.lr)
        self.run_.close(kept=True)
        self.notify("on_train_end", X=self.run_.batches.data, y=None)

    def _run_period(self, run: Run) -> None:
        """Train for a period, evaluate, keep the best weights, tell the callbacks."""
        datasets = {"dataset_train": run.batches.data, "dataset_valid": run.valid}
        self.notify("on_epoch_begin", **datasets)
        if run.sklearn_callbacks is not None:
            run.sklearn_callbacks.begin()
        self.run_single_epoch(run.batches.period(), training=True, prefix="train")
        if run.valid is not None:
            with run.averaged():
                self.run_single_epoch(run.validation_batches(), training=False, prefix="valid")
        if run.best is not None:
            period = len(self.history)
            if run.best.improves(self.history[-1], period):
                with run.averaged():
                    run.best.keep(self.module_, self.optimizer_)
            self.stop_requested_ |= run.best.is_out_of_patience(period)
        run.show(self.history)
        try:
            self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt:  # skorch's way for a callback to stop training
            self.stop_requested_ = True
        if run.sklearn_callbacks is not None:
            with run.averaged():
                self.stop_requested_ |= run.sklearn_callbacks.end(self.history_frame)
        del self.history[-1]["batches"][:-1]  # records of single batches would grow without end
        if run.checkpoint is not None:
            self._write_checkpoint(run)

    def run_single_epoch(
        self,
        iterator: Iterable[AnyBatch],
        training: bool,
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Train on batches or evaluate them; record the mean loss and, if evaluated, the AUC.

        The sums stay on the device until the end.  The callbacks are told of a batch only if one of
        them listens to batches.
        """
        assert self.run_ is not None
        listens = any(_listens_to_batches(callback) for _, callback in self.callbacks_)
        sums_of_batches, evaluated = self.run_.sums if training else [], []
        for batch in iterator:
            if listens:
                self.notify("on_batch_begin", batch=batch, training=training)
            if training:
                tell = partial(self._tell_gradients, batch) if listens else None
                sums = self.run_.step(batch, tell)
            else:
                sums = self.run_.engine.evaluate(batch)
                evaluated.append((batch, sums.logit))
            sums_of_batches.append((sums.loss, sums.weight))
            if listens:
                self._tell_end_of_batch(batch, sums, training, prefix)
            if training and self.run_.is_told_to_stop:
                self._write_checkpoint(self.run_)
        loss = record_loss(self.history, prefix, sums_of_batches)
        sums_of_batches.clear()
        if training and not np.isfinite(loss):
            last = self.run_.batches.position
            steps = f"steps {last - self.history[-1]['train_batch_count'] + 1} to {last}"
            raise diverged(f"the training loss became {loss} in {steps}", self.lr)
        if evaluated:
            self.history.record("valid_auc", weighted_auc(evaluated, self.criterion_))

    def _tell_gradients(self, batch: AnyBatch) -> None:
        """Call the callbacks between gradients and optimizer."""
        parameters = list(self.module_.named_parameters())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)

    def _tell_end_of_batch(self, batch: AnyBatch, sums: Sums, training: bool, prefix: str) -> None:
        """Record the batch in the history of the period, and call the callbacks."""
        loss = sums.loss / sums.weight
        self.history.record_batch(f"{prefix}_loss", loss.item())
        self.history.record_batch(f"{prefix}_batch_size", len(batch.target))
        self.notify("on_batch_end", batch=batch, training=training, loss=loss, y_pred=sums.logit)

    def _write_checkpoint(self, run: Run) -> None:
        """Keep the state of the run, and give in to a signal that came meanwhile."""
        assert run.checkpoint is not None
        is_over = self.stop_requested_ or run.batches.is_finished()
        run.checkpoint.keep(self.state_dict(), finished=is_over)
        if run.checkpoint.signal is not None:
            raise KeyboardInterrupt

    def get_loss(self, y_pred: Tensor, y_true: Any, X: Any = None, training: bool = False) -> Any:
        """Mean loss of targets, for skorch's methods that compute a step by themselves."""
        target = torch.as_tensor(y_true, dtype=y_pred.dtype, device=y_pred.device)
        return self.criterion_(y_pred, target, torch.ones_like(target)) / len(target)

    # ------------------------------------------------------------------- state

    def state_dict(self) -> State:
        """Return the state of the present run as tensors and numbers; see :meth:`train_on`."""
        assert self.run_ is not None, "there is no run to continue from"
        finished = (row for row in self.history if "dur" in row)
        rows = [{k: v for k, v in row.items() if k != "batches"} for row in finished]
        return self.run_.state_dict() | {"history": rows, "stop": self.stop_requested_}

    def load_state_dict(self, state: State) -> None:
        """Continue the present run from a state."""
        assert self.run_ is not None
        self.run_.load_state_dict(state)
        self._set_history(state["history"])
        self.run_.show(self.history)
        self.stop_requested_ = state["stop"]

    def snapshot(self) -> State:
        """Copy everything that a run or :meth:`renew` changes, for :meth:`restore`."""
        return {
            "module": {name: t.clone() for name, t in self.module_.state_dict().items()},
            "optimizer": optimizer_state(self.optimizer_, parameter_names(self.module_)),
            "history": [dict(row) for row in self.history],
            "attributes": {name: getattr(self, name) for name in CHANGED_BY_RUNS},
        }

    def restore(self, snapshot: State) -> None:
        """Undo what has happened since a snapshot."""
        self.module_.load_state_dict(snapshot["module"])
        names = parameter_names(self.module_)
        load_optimizer_state(self.optimizer_, names, snapshot["optimizer"])
        self._set_history(snapshot["history"])
        for name, value in snapshot["attributes"].items():
            setattr(self, name, value)

    def history_frame(self) -> pd.DataFrame:
        """Return the history of the last run, a row for each evaluation period."""
        return history_frame(self.history, self.n_earlier_steps_)

    def _set_history(self, rows: Iterable[dict[str, Any]]) -> None:
        self.history = History([{"batches": []} | dict(row) for row in rows])


def _listens_to_batches(callback: Any) -> bool:
    """Whether a callback overrides one of the methods that are called at every batch."""
    return any(
        getattr(type(callback), event, None) is not getattr(Callback, event)
        for event in BATCH_EVENTS
    )
