"""Fit and predict, the same for every body: a scikit-learn classifier that holds a skorch net."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sk_dynint._body import Body
from sk_dynint._continuing import check_unchanged, fixed_parameters, timed, unchanged_on_failure
from sk_dynint._crosses import encoder_with_crosses, makes_target_means
from sk_dynint._display import DisplayMixin, Summary
from sk_dynint._lazy import LazyMixin
from sk_dynint._loss import Loss, loss_for
from sk_dynint._names import check_names, checked_params, refuse_arguments, warn_of_ignored
from sk_dynint._net import NetMixin
from sk_dynint._parameters import CONSTRAINTS
from sk_dynint._process import draw_seed, no_fork, resolve_device, seeded
from sk_dynint._rows import Rows, check_columns, encode
from sk_dynint._shared import knots_by_scale
from sk_dynint._sources import as_source, is_lazy, opened
from sk_dynint._summary import fit_summary
from sk_dynint._training import TrainingMixin
from sk_dynint._validation import warn_of_order
from sk_dynint._warnings import warnings_ignored
from sk_dynint.optim import FALLBACK, OPTIMIZER_DEFAULTS, OPTIMIZERS, OptimizerPolicy
from sk_dynint.preprocessing import FieldEncoder, unfrozen, unseen_rates
from sk_dynint.training import (
    MANY_ROWS,
    CTRNet,
    EncodedData,
    MemberData,
    check_callbacks,
    number_of_members,
    stage,
)


class BaseCTRClassifier(
    DisplayMixin, TrainingMixin, LazyMixin, NetMixin, ClassifierMixin, BaseEstimator
):
    """Holds an encoder and a skorch net; a subclass says which body the net has.

    Subclasses define ``__init__``, extend ``_parameter_constraints`` and implement
    ``_make_body``.
    """

    encoder: Any
    n_members: int | Literal["auto"] = 1
    crosses: Any = None
    n_knots: Any = None
    popularity: float = 0.0
    orthogonal_penalty: float = 0.0
    negative_sampling_rate: float = 1.0
    _parameter_constraints: ClassVar[dict[str, Any]] = CONSTRAINTS

    def _make_body(self) -> Callable[[int, int], Body]:
        """Check the body's parameters; return ``make_body(n_fields, embedding_dim)``."""
        raise NotImplementedError

    def _ignored_by_body(self) -> dict[str, Iterable[str]]:
        """Return what makes parameters ineffective -> their names, by the body that is chosen."""
        raise NotImplementedError

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Answer parameters that other libraries have with the names that they have here."""
        check_names(cls, params, TypeError)
        return super().__new__(cls)

    # ---------------------------------------------------------------- learning

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
        resume: bool = False,
        **unknown: Any,
    ) -> Self:
        """Learn from a table of clicks.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns: strings, categories, numbers, dates, lists, with holes.  A table that is
            larger than memory is read in parts: a polars LazyFrame, a pyarrow Dataset, or the path
            of a Parquet, CSV or TSV file, of a folder of these, or a pattern ("day-?.parquet").
        y : array-like of shape (n_samples,) or name of a column
            Labels of two or more classes: strings, bools or integers.  Of a table that is read in
            parts the name of their column, which is no feature then.
        sample_weight : array-like of shape (n_samples,) or name of a column, default=None
            A row of weight k counts like k copies of it; weight 0 like its absence.  A name is for
            tables that are read in parts.
        X_val, y_val, sample_weight_val : default=None
            Rows for early stopping, instead of a part split off from `X`.
        groups : array-like of shape (n_samples,) or name of a column, default=None
            With ``validation="last"`` when each row happened, with "groups" what it belongs to;
            rows of one moment or group stay together. None means `validation_column`.
        resume : bool, default=False
            Whether to go on from the file that `checkpoint` names, if it is there, to the same
            bits as if the run had never stopped; rows and parameters must be the same.
        **unknown
            Refused; the error tells what arguments of other libraries are called here.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        TypeError
            If there is no such argument.
        ValueError
            If `y` has missing values or one class only; if columns or parameters are not as
            documented; if the loss becomes infinite or NaN; if the checkpoint is one of other rows
            or parameters.
        FileExistsError
            If `checkpoint` names that of a run that is not over, without `resume`.
        """
        refuse_arguments(type(self), unknown)
        make_body = self._checked_body()
        warm = self.warm_start and hasattr(self, "net_")
        if warm:
            check_unchanged(self, self._built_with)
        if (X_val is None) != (y_val is None):
            given, absent = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} was passed without {absent}; pass both or neither")
        warn_of_ignored(self, self._ignored_by_body())
        if X_val is None:
            warn_of_ignored(self, self._ignored_in_validation())
        random_state = check_random_state(self.random_state)
        checkpoint = self._open_checkpoint(random_state, resume=resume)
        if checkpoint is not None:
            random_state = checkpoint.random_state
        with self._learning(X, X_val, continues=warm) as (table, table_val):
            classes = self.classes_ if warm else None
            groups = self.validation_column if groups is None else groups
            rows = self._check_rows(table, y, sample_weight, classes, groups, reset=not warm)
            if not warm:
                self.n_members_ = number_of_members(self.n_members, len(rows.target))
            valid = None
            if X_val is not None:
                valid = self._check_rows(table_val, y_val, sample_weight_val, self.classes_)
            data, valid_data = self._part_and_encode(rows, valid, random_state, fit=not warm)
            if warm:
                self._renew_options()
            else:
                exact = self._takes_all(len(data))
                self.net_ = self._new_net(data, make_body, random_state, exact=exact)
            interrupt = self._train(
                data, valid_data, random_state, routed=(X, y), checkpoint=checkpoint
            )
        if interrupt is not None:
            raise interrupt
        return self

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass over more rows.

        The first call fits the encoder; later calls keep its levels: a level it has not seen is
        index 0, which all rare and unseen levels of a field share, and which is trained.  To take
        the levels from more rows than those of the first call, fit the encoder beforehand:
        ``encoder=FrozenEstimator(FieldEncoder().fit(sample))``.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns, the same at every call.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels; needed at the first call only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        self : object
            The classifier.
        """
        make_body = self._checked_body()
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which sees a part of the "
                "rows; pass a dict, such as {0: 1.0, 1: 5.0}"
            )
        first = not hasattr(self, "net_")
        if not first:
            check_unchanged(self, self._built_with)
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = self.classes_ if classes is None else np.unique(column_or_1d(classes))
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={classes!r} differ from those of the first call, {self.classes_.tolist()}"
            )
        random_state = check_random_state(self.random_state)
        with self._learning(X, continues=not first) as (table,):
            rows = self._check_rows(table, y, sample_weight, known, reset=first)
            if first:  # more rows will come
                self.n_members_ = number_of_members(self.n_members)
                self._choose_encoder(rows, None)
            data, _ = self._encode(rows, fit=first)
            if first:
                self.net_ = self._new_net(data, make_body, random_state)
            else:
                self._renew_options()
            interrupt = self._train(data, None, random_state, passes=1)
        if interrupt is not None:
            raise interrupt
        return self

    @contextmanager
    def _learning(self, *tables: Any, continues: bool) -> Iterator[list[Any]]:
        """Context for learning from tables, which are opened; a failure leaves all as it was."""
        with self._opened(*tables) as opened, unchanged_on_failure(self, continues), timed(self):
            yield opened

    def check_params(self) -> None:
        """Raise what `fit` would raise about parameters, without data.

        Raises
        ------
        ValueError or TypeError
            If a parameter is not as documented.
        """
        self._validate_params()
        self._checked_body()

    def _checked_body(self) -> Callable[[int, int], Body]:
        """Build body and optimizer once on an empty problem, so that invalid options fail early."""
        make_body = self._make_body()
        check_callbacks(self.callbacks)
        knots_by_scale(self.n_knots)
        device = resolve_device(self.device)
        with no_fork():  # torch's first optimizer imports a lot, under locks
            self._optimizer_policy().check(device)
        # Warnings about one field mean nothing.
        with seeded(0, device), warnings_ignored(), no_fork():
            make_body(1, self._embedding_dim())
        return make_body

    def _check_rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any,
        groups: Any = None,
        *,
        reset: bool = False,
    ) -> Rows:
        """Check columns, labels and weights; set `classes_`, and with `reset` the features."""
        if is_lazy(X):
            X, y, sample_weight, groups = opened(X, y, sample_weight, groups)
        X = check_columns(self, X, reset=reset)
        rows, self.classes_ = Rows.checked(X, y, sample_weight, classes, groups)
        if self.negative_sampling_rate != 1 and len(self.classes_) > 2:
            raise ValueError(
                f"negative_sampling_rate={self.negative_sampling_rate}, but y has the classes "
                f"{self.classes_.tolist()}; negative rows are one of two classes"
            )
        return rows

    def _part_and_encode(
        self, rows: Rows, valid: Rows | None, random_state: np.random.RandomState, *, fit: bool
    ) -> tuple[EncodedData | MemberData, EncodedData | MemberData | None]:
        """Set validation rows aside, unless there are some or none are wanted, and encode all.

        A single model's encoder does not see them.  Members have one encoder together, which sees
        all rows, because each of them learns from those that the others set aside.  Means of the
        target would tell the members of labels that they are to stop by, so that each has means
        without these; where such cannot be made, all members set the same rows aside.
        """
        sets_aside = valid is None and self._wants_validation(len(rows.target))
        options = self.validation, self.validation_fraction, random_state
        may_differ = sets_aside and self.n_members_ > 1 and self.validation != "last"
        if fit and may_differ:
            self._choose_encoder(rows, None)
        parts = None
        if may_differ and (
            rows.encodes(self.encoder_, fit=fit) or not makes_target_means(self.encoder_)
        ):
            parts = rows.folds(*options, self.n_members_)
        elif sets_aside:
            rows, valid = rows.split(*options)
        if fit and not may_differ:
            self._choose_encoder(rows, valid)
        data, valid_data = self._encode(rows, valid, fit=fit)
        if sets_aside and self.validation == "random":
            warn_of_order(self, data.indices)
        if parts is None:
            return data, valid_data
        own = None
        if makes_target_means(self.encoder_):
            own = rows.means_without(self.encoder_, data, [each.valid for each in parts])
        return MemberData.divided(data, parts, own)

    def _choose_encoder(self, rows: Rows, valid: Rows | None) -> None:
        """Set the encoder, still to be fitted, and the crosses that the rows ask for."""
        self.encoder_, self.crosses_ = encoder_with_crosses(self, rows, valid)

    def _encode(
        self, rows: Rows, valid: Rows | None = None, *, fit: bool
    ) -> tuple[EncodedData, EncodedData | None]:
        """Encode the rows, and validation rows if there are any, with class weights."""
        class_weight = rows.class_weight(self.class_weight, self.classes_)
        n = len(rows.target)
        with stage(f"fit: encoding {n:,} rows", self.verbose and n >= MANY_ROWS):
            data = rows.encoded(self.encoder_, class_weight, fit=fit)
        return data, valid and valid.encoded(self.encoder_, class_weight, fit=False)

    def _new_net(
        self,
        data: EncodedData | MemberData,
        make_body: Callable[[int, int], Body],
        random_state: np.random.RandomState,
        *,
        exact: bool = False,
    ) -> CTRNet:
        """Build the net for training rows."""
        self._built_with = fixed_parameters(self)
        base_logit = self._loss.base_logit(data.targets(), data.weights())
        seed = draw_seed(random_state)
        return self._make_net(make_body, base_logit, len(data), seed, exact=exact)

    @property
    def _loss(self) -> Loss:
        """The loss of so many classes as there are."""
        return loss_for(len(self.classes_))

    def _optimizer_policy(self) -> OptimizerPolicy:
        """Optimizer class, its options, and what differs for the embedding table."""
        optimizer, options, table_options = self._optimizer_defaults()
        options = options | (self.optimizer_params or {})
        if self.lr is not None:
            options["lr"] = self.lr
        table_options = table_options | (self.embedding_optimizer_params or {})
        return OptimizerPolicy(OPTIMIZERS.get(optimizer, optimizer), options, table_options)

    def _optimizer_defaults(self) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Optimizer's name or class, options, and what differs for the table, unless told."""
        return self.optimizer, *OPTIMIZER_DEFAULTS.get(self.optimizer, FALLBACK)

    def _embedding_dim(self) -> int:
        return self.embedding_dim

    def _init_std(self) -> float:
        std = self.embedding_init_std
        return float(0.1 / np.sqrt(self._embedding_dim()) if std is None else std)

    # -------------------------------------------------------------- predicting

    def decision_function(self, X: Any) -> np.ndarray:
        """Logit of the second of two classes, or logits of all of more than two.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns, as in `fit`; levels that were not seen there are allowed.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of ``classes_[1]``; of more than two classes a logit each, whose softmax are
            the probabilities.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return np.concatenate([each for _, each in self._predicted_parts(as_source(X))])
        X = check_columns(self, X, reset=False)
        with stage(f"predict: {len(X):,} rows", self.verbose and len(X) >= MANY_ROWS):
            return self._logits(encode(X, self.encoder_).indices)

    def _logits(self, indices: Any) -> np.ndarray:
        """Return the logits of field indices."""
        logits = self.net_.logits(indices).cpu().numpy().astype(np.float64)
        return logits + self._logit_shift

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        logits = self.decision_function(X)  # checks that there are classes
        return self.net_.criterion_.predict_proba(logits)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of ``classes_``.
        """
        logits = self.decision_function(X)
        return self.classes_[self.net_.criterion_.predict(logits)]

    def unseen_rate(self, X: Any, *, warn_above: float | None = None) -> pd.DataFrame:
        """Tell how many values of new rows the model cannot tell from one another.

        Parameters
        ----------
        X : DataFrame (pandas or polars), array-like or EncodedData, (n_samples, n_features)
            Raw columns, as in `fit`.
        warn_above : float, default=None
            A warning names the fields whose share has risen by more than this since `fit`.

        Returns
        -------
        DataFrame
            For each categorical column, list or cross, the share of the values that are present
            which have index 0: levels that were rare in `fit`, or not there.  "unseen" is their
            share in `X`, "in_fit" that in the rows of `fit`.

        Raises
        ------
        TypeError
            If the encoder is no FieldEncoder.

        Examples
        --------
        >>> from sk_dynint import DynIntClassifier
        >>> X, y = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 30, [0, 1, 1, 0] * 30
        >>> model = DynIntClassifier(random_state=0).fit(X, y)
        >>> model.unseen_rate([["a", "x"], ["c", "y"]])
            unseen  in_fit
        x0     0.5     0.0
        x1     0.0     0.0
        """
        check_is_fitted(self)
        encoder = unfrozen(self.encoder_)
        if not isinstance(encoder, FieldEncoder):
            raise TypeError(f"{type(encoder).__name__} does not tell which values it knows")
        indices = encode(check_columns(self, X, reset=False), self.encoder_).indices
        return unseen_rates(encoder, indices, warn_above)

    # ---------------------------------------------------------------- protocol

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``encoder__min_count=5`` also works while `encoder` is None.

        Parameters
        ----------
        **params : dict
            Estimator parameters.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If a name is unknown; nothing is set then.
        """
        return super().set_params(**checked_params(self, params, default_encoder=FieldEncoder))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_") and hasattr(self, "net_")

    def _summary(self) -> Summary:
        return fit_summary(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inputs = tags.input_tags
        inputs.allow_nan = inputs.string = inputs.categorical = True
        return tags
