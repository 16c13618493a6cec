"""How a classifier trains its net: for how long, by which batches, from which state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.callback import CallbackSupportMixin

from sk_dynint._continuing import described_parameters
from sk_dynint._process import draw_seed
from sk_dynint.training import (
    FULL_BATCH_MAX_ROWS,
    Checkpoint,
    CTRNet,
    EncodedData,
    MemberData,
    Run,
    Schedule,
    SklearnCallbacks,
    auto_batch_size,
)


class TrainingMixin(CallbackSupportMixin):
    """What a classifier does to train its net."""

    net_: CTRNet
    encoder_: Any
    history_: pd.DataFrame
    crosses: Any
    batch_size: int | Literal["auto"]
    max_epochs: int
    eval_every: int | None
    early_stopping: bool | Literal["auto"]
    scoring: Literal["logloss", "auc"]
    patience: int
    averaging: float | None
    callbacks: list[Any] | None
    checkpoint: Any
    verbose: int
    best_step_: int
    best_score_: float | None

    def _wants_validation(self, n_samples: int) -> bool:
        """Whether to set validation rows aside."""
        asked = self.early_stopping
        return n_samples > FULL_BATCH_MAX_ROWS if asked == "auto" else bool(asked)

    def _ignored_in_validation(self) -> dict[str, Iterable[str]]:
        """Return what makes parameters of validation ineffective -> their names."""
        names = ["patience", "scoring"]
        if self.crosses != "auto":  # which are confirmed by such rows
            names += ["validation", "validation_fraction", "validation_column"]
        return {"early_stopping=False": names} if self.early_stopping is False else {}

    def _takes_all(self, n_samples: int) -> bool:
        """Whether every step of `fit` takes all rows."""
        return self.batch_size == "auto" and n_samples <= FULL_BATCH_MAX_ROWS

    def _batch_size(self, n_samples: int) -> int:
        """Rows in a step, before `fit` takes all of a few rows."""
        return auto_batch_size(n_samples) if self.batch_size == "auto" else self.batch_size

    def _open_checkpoint(
        self, random_state: np.random.RandomState, *, resume: bool
    ) -> Checkpoint | None:
        """Return the file that keeps the state of the run, if one is wanted."""
        if self.checkpoint is None:
            if resume:
                raise ValueError("resume=True goes on from the file that checkpoint=... names")
            return None
        described = described_parameters(self)
        return Checkpoint(self.checkpoint, described, random_state, resume=resume)

    def _schedule(
        self, n_rows: int, passes: int | None, *, validates: bool, fits: bool
    ) -> Schedule:
        """Decide how long to train; `fits` as opposed to `partial_fit`."""
        size = n_rows if fits and self._takes_all(n_rows) else self._batch_size(n_rows)
        passes = passes or self.max_epochs
        return Schedule.planned(n_rows, size, passes, self.eval_every, validates=validates)

    def _train(
        self,
        data: EncodedData | MemberData,
        valid: EncodedData | MemberData | None,
        random_state: np.random.RandomState,
        passes: int | None = None,
        routed: tuple[Any, Any] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> KeyboardInterrupt | None:
        """Run the net over the rows; `routed` (X, y) goes to scikit-learn callbacks.

        Returns the user's interrupt if there was one after at least one evaluation period.
        """
        fits = routed is not None
        schedule = self._schedule(len(data), passes, validates=valid is not None, fits=fits)
        shuffle = schedule.batch_size < len(data)
        sklearn_callbacks = None
        if routed is not None:
            context = self._init_callback_context(max_subtasks=schedule.n_periods)
            context.call_on_fit_task_begin(estimator=self, X=routed[0], y=routed[1])
            if getattr(self, "_skl_callbacks", None):  # calling them costs a pass over the weights
                sklearn_callbacks = SklearnCallbacks(self, context, *routed)
        run = Run.planned(
            self.net_.make_engine(),
            data if shuffle or isinstance(data, MemberData) else data.sorted(),
            valid,
            schedule=schedule,
            seed=draw_seed(random_state),
            shuffle=shuffle,
            metric=self.scoring,
            patience=self.patience,
            averaging=self.averaging if fits and self.net_.module_.body.row_wise else None,
            progress=bool(self.verbose),
            sklearn_callbacks=sklearn_callbacks,
            checkpoint=checkpoint,
        )
        state = None
        if checkpoint is not None:
            state = checkpoint.state_for(data, valid, self._field_names())
        interrupt = self.net_.train_on(run, self.callbacks or [], state)
        self.history_ = run.marked(self.net_.history_frame())
        self.n_iter_ = int(self.history_["step"].iloc[-1])
        self.best_step_, self.best_score_ = run.best_of(self.history_)
        if interrupt is not None:
            interrupt.add_note(self._end_of_interrupted(checkpoint))
        elif fits:
            run.warn_of_poor_ends(self.history_)
        self.n_pruned_rows_ = self.net_.module_.n_zero_rows()
        if routed is not None:
            context.call_on_fit_task_end(
                estimator=self, X=routed[0], y=routed[1], reconstruction_attributes={}
            )
        return interrupt

    def _field_names(self) -> list[Any]:
        """Names of the fields, as far as the encoder tells them."""
        names = getattr(self.encoder_, "get_feature_names_out", None)
        return list(names()) if names else list(range(len(self.encoder_.cardinalities_)))

    def _end_of_interrupted(self, checkpoint: Checkpoint | None) -> str:
        """Tell what an interrupted run has left."""
        kept = "the last weights are kept"
        if self.best_score_ is not None:
            kept = f"the weights of the best evaluation, step {self.best_step_}, are kept"
        how = "" if checkpoint is None else f"; resume=True goes on from {checkpoint.path}"
        return (
            f"training was interrupted at step {self.n_iter_}: {kept}, and this "
            f"{type(self).__name__} predicts with them{how}"
        )
