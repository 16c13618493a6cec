"""Fit and predict, the same for every body: a scikit-learn classifier that holds a skorch net."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fnmatch import fnmatch
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, _safe_indexing, assert_all_finite, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from sk_dynint._module import CTRModule
from sk_dynint._training import (
    CTRNet,
    SklearnCallbacks,
    Table,
    check_callbacks,
    draw_seed,
    history_frame,
    seeded,
)
from sk_dynint._warnings import warnings_ignored
from sk_dynint.optim import OPTIMIZERS, RowAdam
from sk_dynint.preprocessing import FieldEncoder, check_table

SMALL_TABLE = 128
"""Up to this many rows, `batch_size="auto"` trains on all of them at once, sorted and in float64,
so that neither the order of rows nor writing a weight as repeated rows makes a difference; and
`early_stopping="auto"` sets no validation rows aside."""

LEAST_PERIOD = 8
"""Steps between two evaluations, at least: patience is counted in evaluations, and fewer steps are
no time to get better in."""

OPTIMIZER_DEFAULTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ftrl": ({"lr": 0.04}, {"lr": 0.2, "group": True}),
    "adam": ({"lr": 1e-3}, {}),
}
"""Register name -> options of all parameters, and what differs for the embedding table."""


FREE_PARAMETERS = {
    *("lr", "optimizer_params", "embedding_optimizer_params", "orthogonal_penalty", "precision"),
    *("max_epochs", "batch_size", "averaging", "eval_every", "early_stopping", "scoring"),
    *("validation_fraction", "patience", "callbacks", "class_weight"),
    *("warm_start", "random_state", "verbose"),
}
"""Parameters that may change between calls of `fit` with warm start, and of `partial_fit`."""


def auto_batch_size(n_samples: int) -> int:
    """Rows in a batch for about 300 steps in a pass, from 128 to 1024."""
    return int(np.clip(2 ** round(np.log2(n_samples / 300)), 128, 1024))


class Rows(NamedTuple):
    """Raw columns, targets in {0, 1} and sample weights (None: not given)."""

    X: Any
    target: np.ndarray
    weight: np.ndarray | None

    def take(self, index: np.ndarray) -> Rows:
        """Return the rows that `index` names."""
        weight = None if self.weight is None else self.weight[index]
        return Rows(_safe_indexing(self.X, index), self.target[index], weight)


class BaseCTRClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Encoder, net and everything around them; a subclass says which body to build.

    Subclasses define ``__init__``, extend ``_parameter_constraints`` and implement
    ``_make_body``.
    """

    encoder: Any
    net_: CTRNet
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "embedding_dim": [Interval(Integral, 1, 4096, closed="both")],
        "embedding_init_std": [Interval(Real, 0, None, closed="left"), None],
        "oov": [StrOptions({"train", "zero"})],
        "encoder": [HasMethods(["fit_transform", "transform"]), FrozenEstimator, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "optimizer_params": [dict, None],
        "embedding_optimizer_params": [dict, None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "averaging": [Interval(Real, 0, None, closed="left"), None],
        "eval_every": [Interval(Integral, 1, None, closed="left"), None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "scoring": [StrOptions({"logloss", "auc"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"fp32", "bf16"})],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _make_body(self) -> Callable[[int, int], torch.nn.Module]:
        """Check the body's parameters; return ``make_body(n_fields, embedding_dim)``."""
        raise NotImplementedError

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
    ) -> Self:
        """Learn from a table of clicks.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
            Raw columns: strings, categories, numbers, dates, with holes.
        y : array-like of shape (n_samples,)
            Labels of two classes: strings, bools or integers.
        sample_weight : array-like of shape (n_samples,), default=None
            A row of weight k counts like k copies of it; weight 0 like its absence.
        X_val, y_val, sample_weight_val : default=None
            Rows for early stopping, instead of a part split off from `X`.

        Returns
        -------
        self : object
            The fitted classifier.

        Raises
        ------
        ValueError
            If `y` has missing values, one class only, or more than two; if columns or parameters
            are not as documented; if the loss becomes infinite or NaN.
        """
        make_body = self._checked_body()
        warm = self.warm_start and hasattr(self, "net_")
        if warm:
            self._check_unchanged()
        if (X_val is None) != (y_val is None):
            given, absent = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            raise ValueError(f"{given} was passed without {absent}; pass both or neither")
        classes = self.classes_ if warm else None
        rows = self._check_rows(X, y, sample_weight, classes, reset=not warm)
        random_state = check_random_state(self.random_state)
        if X_val is None:
            rows, valid = self._split(rows, random_state)
        else:
            valid = self._check_rows(X_val, y_val, sample_weight_val, self.classes_, reset=False)
        if valid is not None and self.scoring == "auc" and len(np.unique(valid.target)) == 1:
            part = f"the part set aside by validation_fraction={self.validation_fraction}"
            raise ValueError(
                f"{part if X_val is None else 'y_val'} has one class only; scoring='auc' needs two"
            )
        class_weight = self._class_weight(rows)
        if not warm and hasattr(self, "net_"):
            del self.net_  # one of other levels
        table = self._encode(rows, class_weight, fit=not warm)
        valid_table = None if valid is None else self._encode(valid, class_weight, fit=False)
        if warm:
            self._renew_options()
        else:
            exact = self._takes_all(len(table))
            self.net_ = self._make_net(table, make_body, random_state, exact=exact)
        return self._train(table, valid_table, random_state, routed=(X, y))

    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Make one pass over more rows.

        The first call fits the encoder; later calls keep its levels: a level it has not seen is
        index 0, which all rare and unseen levels of a field share, and which is trained.  To take
        the levels from more rows than those of the first call, fit the encoder beforehand:
        ``encoder=FrozenEstimator(FieldEncoder().fit(sample))``.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
            Raw columns, the same at every call.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (2,), default=None
            Both labels; needed at the first call only.
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
            self._check_unchanged()
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        known = self.classes_ if classes is None else np.unique(column_or_1d(classes))
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"classes={classes!r} differ from those of the first call, {self.classes_.tolist()}"
            )
        rows = self._check_rows(X, y, sample_weight, known, reset=first)
        random_state = check_random_state(self.random_state)
        table = self._encode(rows, self._class_weight(rows), fit=first)
        if first:
            self.net_ = self._make_net(table, make_body, random_state)
        else:
            self._renew_options()
        return self._train(table, None, random_state, passes=1)

    def check_params(self) -> None:
        """Raise what `fit` would raise about parameters, without data.

        Raises
        ------
        ValueError or TypeError
            If a parameter is not as documented.
        """
        self._validate_params()
        self._checked_body()

    def _checked_body(self) -> Callable[[int, int], torch.nn.Module]:
        """Try body, optimizer and device on nothing, so that a wrong option fails at once."""
        make_body = self._make_body()
        check_callbacks(self.callbacks)
        optimizer, options, table_options = self._resolve_optimizer()
        _check_options(optimizer, options, "optimizer_params")
        _check_options(optimizer, table_options, "embedding_optimizer_params")
        nothing = torch.nn.Parameter(torch.zeros(1, 1, device=self.device))
        optimizer([nothing], **options)
        optimizer([nothing], **options | table_options)
        with seeded(0, self.device), warnings_ignored():  # one field is no case to warn about
            make_body(1, self._embedding_dim())
        return make_body

    def _check_rows(self, X: Any, y: Any, sample_weight: Any, classes: Any, *, reset: bool) -> Rows:
        """Check lengths, labels and weights; drop rows of weight zero; set `classes_`."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        X = check_table(self, X, reset=reset)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        if n_missing := int(pd.isna(y).sum()):
            raise ValueError(f"Input y contains NaN: {n_missing} of {len(y)} labels are missing")
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not weight.all():  # else there is nothing to drop, and no need to copy the table
                kept = np.flatnonzero(weight)
                X, y, weight = _safe_indexing(X, kept), y[kept], weight[kept]
        self.classes_ = _check_classes(y, np.unique(y) if classes is None else classes)
        return Rows(X, (y == self.classes_[1]).astype(np.float64), weight)

    def _split(self, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
        """Set validation rows aside, if wanted, before the encoder sees anything."""
        n_samples = len(rows.target)
        wanted = self.early_stopping
        if wanted == "auto":
            wanted = n_samples > SMALL_TABLE
        if not wanted:
            return rows, None
        try:
            train, valid = train_test_split(
                np.arange(n_samples),
                test_size=self.validation_fraction,
                stratify=rows.target,
                random_state=random_state,
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n_samples} rows cannot be set "
                f"aside for early stopping: {error} Pass X_val, or early_stopping=False"
            ) from error
        return rows.take(np.sort(train)), rows.take(np.sort(valid))

    def _class_weight(self, rows: Rows) -> np.ndarray:
        """Factor for the weight of each class; "balanced" goes by the training rows."""
        if self.class_weight is None:  # labels, an object for each row, are not needed
            return np.ones(2)
        labels = self.classes_[rows.target.astype(int)]
        factors = compute_class_weight(
            self.class_weight, classes=self.classes_, y=labels, sample_weight=rows.weight
        )
        if (factors <= 0).any():
            raise ValueError(f"class_weight={self.class_weight!r}; both weights must be above 0")
        return factors

    def _encode(self, rows: Rows, class_weight: np.ndarray, *, fit: bool) -> Table:
        """Columns to field indices, sample weights times class weights."""
        if fit:
            self.encoder_ = FieldEncoder() if self.encoder is None else clone(self.encoder)
        if fit and not isinstance(self.encoder_, FrozenEstimator):
            options = {} if rows.weight is None else {"sample_weight": rows.weight}
            codes = self.encoder_.fit_transform(rows.X, **options)
        else:
            codes = self.encoder_.transform(rows.X)
        weight = np.ones(len(codes)) if rows.weight is None else rows.weight
        return Table(codes, rows.target, weight * class_weight[rows.target.astype(int)])

    def _make_net(
        self,
        table: Table,
        make_body: Callable[[int, int], torch.nn.Module],
        random_state: np.random.RandomState,
        *,
        exact: bool = False,
    ) -> CTRNet:
        """Build the module and its optimizer; `exact` asks for float64."""
        optimizer, options, table_options = self._resolve_optimizer()
        rate = float(np.average(table.target, weights=table.weight).clip(1e-6, 1 - 1e-6))
        net = CTRNet(
            CTRModule,
            module__cardinalities=self.encoder_.cardinalities_,
            module__embedding_dim=self._embedding_dim(),
            module__make_body=make_body,
            module__base_logit=np.log(rate / (1 - rate)),
            module__init_std=self._init_std(),
            module__oov=self.oov,
            module__sparse=getattr(optimizer, "supports_sparse", False),
            orthogonal_penalty=getattr(self, "orthogonal_penalty", 0.0),
            precision=self.precision,
            optimizer=optimizer,
            lr=options.pop("lr"),
            optimizer__param_groups=_param_groups(optimizer, table_options),
            **{f"optimizer__{name}": value for name, value in options.items()},
            device=self.device,
            verbose=0,
        )
        self._built_with = clone(self)
        with seeded(draw_seed(random_state), self.device):
            net.initialize()
            net.module_.to(torch.float64 if exact else torch.float32)
        return net

    def _check_unchanged(self) -> None:
        """Refuse to go on with a net that was made with other parameters."""
        before = self._built_with.get_params()
        for name, value in self.get_params().items():
            if name not in FREE_PARAMETERS and not _same(value, before.get(name)):
                raise ValueError(
                    f"{name}={value!r}, but this estimator was first fitted with "
                    f"{before.get(name)!r}, and warm_start and partial_fit go on with its levels "
                    "and weights; fit a clone, or with warm_start=False"
                )

    def _renew_options(self) -> None:
        """Give the present options to the net and the optimizer of an earlier call."""
        net = self.net_
        net.precision = self.precision
        net.orthogonal_penalty = getattr(self, "orthogonal_penalty", 0.0)
        optimizer, options, table_options = self._resolve_optimizer()
        net.lr = options["lr"]
        defaults = optimizer([torch.nn.Parameter(torch.zeros(1))], **options).defaults
        by_name = [*_param_groups(optimizer, table_options), ("*", {})]
        names = {parameter: name for name, parameter in net.module_.named_parameters()}
        for group in net.optimizer_.param_groups:
            name = names[group["params"][0]]
            renewed = defaults | next(o for pattern, o in by_name if fnmatch(name, pattern))
            net.adrift |= any(group[option] != value for option, value in renewed.items())
            group.update(renewed, initial_lr=renewed["lr"])  # where schedulers start from

    def _takes_all(self, n_samples: int) -> bool:
        """Whether every step of `fit` takes all rows."""
        return self.batch_size == "auto" and n_samples <= SMALL_TABLE

    def _resolve_optimizer(self) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Optimizer class, its options, and what differs for the embedding table."""
        optimizer, options, table_options = self._optimizer_defaults()
        options = options | (self.optimizer_params or {})
        if self.lr is not None:
            options["lr"] = self.lr
        table_options = table_options | (self.embedding_optimizer_params or {})
        return OPTIMIZERS.get(optimizer, optimizer), options, table_options

    def _optimizer_defaults(self) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Optimizer's name or class, options, and what differs for the table, unless told."""
        return self.optimizer, *OPTIMIZER_DEFAULTS.get(self.optimizer, ({"lr": 1e-3}, {}))

    def _embedding_dim(self) -> int:
        return self.embedding_dim

    def _init_std(self) -> float:
        std = self.embedding_init_std
        return float(0.1 / np.sqrt(self._embedding_dim()) if std is None else std)

    def _train(
        self,
        table: Table,
        valid: Table | None,
        random_state: np.random.RandomState,
        passes: int | None = None,
        routed: tuple[Any, Any] | None = None,
    ) -> Self:
        """Run the net over the table; `routed` (X, y) goes to scikit-learn callbacks."""
        passes = passes or self.max_epochs
        n_samples = len(table)
        batch_size = self.batch_size
        if batch_size == "auto":
            takes_all = routed is not None and self._takes_all(n_samples)
            batch_size = n_samples if takes_all else auto_batch_size(n_samples)
        shuffled = batch_size < n_samples
        if not shuffled:
            table.sort()
        steps_per_pass = -(-n_samples // batch_size)
        n_steps = passes * steps_per_pass
        by_default = steps_per_pass if valid is None else max(-(-steps_per_pass // 4), LEAST_PERIOD)
        period = self.eval_every or by_default
        for group in self.net_.optimizer_.param_groups:
            if "batch_weight" in group:  # the loss is summed, l2 is meant beside its mean
                group["batch_weight"] = min(batch_size, n_samples) * float(table.weight.mean())
        row_wise = getattr(self.net_.module_.body, "row_wise", True)
        callbacks = list(self.callbacks or [])
        if routed is not None:
            context = self._init_callback_context(max_subtasks=-(-n_steps // period))
            context.call_on_fit_task_begin(estimator=self, X=routed[0], y=routed[1])
            if getattr(self, "_skl_callbacks", None):  # lending them the average costs a pass
                callbacks.append(SklearnCallbacks(self, context, *routed))
        fresh = not self.net_.history
        try:
            self.net_.train_on(
                table,
                valid,
                batch_size=batch_size,
                period=period,
                passes=passes,
                seed=draw_seed(random_state),
                shuffle=shuffled,
                callbacks=callbacks,
                metric=self.scoring,
                patience=self.patience,
                averaging=self.averaging if routed is not None and row_wise else None,
                progress=bool(self.verbose),
            )
        except BaseException:
            if fresh or not all(p.isfinite().all() for p in self.net_.module_.parameters()):
                del self.net_  # nothing to predict with, or to go on from
            raise
        self.history_ = history_frame(self.net_.history)
        self.n_iter_ = int(self.history_["step"].iloc[-1])
        self.n_pruned_rows_ = self.net_.module_.embedding.n_zero_rows()
        if routed is not None:
            context.call_on_fit_task_end(
                estimator=self, X=routed[0], y=routed[1], reconstruction_attributes={}
            )
        return self

    # -------------------------------------------------------------- predicting

    def decision_function(self, X: Any) -> np.ndarray:
        """Logit of the second class.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
            Raw columns, as in `fit`; levels that were not seen there are allowed.

        Returns
        -------
        ndarray of shape (n_samples,)
            Log-odds of ``classes_[1]``.
        """
        check_is_fitted(self)
        X = check_table(self, X, reset=False)
        return self.net_.logits(self.encoder_.transform(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
            Raw columns, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Columns in the order of ``classes_``.
        """
        logit = self.decision_function(X)
        return np.column_stack([expit(-logit), expit(logit)])

    def predict(self, X: Any) -> np.ndarray:
        """More probable class.

        Parameters
        ----------
        X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
            Raw columns, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels out of ``classes_``.
        """
        second = self.decision_function(X) > 0
        return self.classes_[second.astype(int)]

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
        """
        if self.encoder is None and any(name.startswith("encoder__") for name in params):
            self.encoder = FieldEncoder()
        return super().set_params(**params)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_") and hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _same(value: Any, other: Any) -> bool:
    """Whether two values of a parameter say the same.

    Of objects that do not compare, such as estimators, it is enough that they are of one kind; the
    parameters of an estimator are parameters of their own.
    """
    if isinstance(value, torch.device | str) and isinstance(other, torch.device | str):
        return str(value) == str(other)
    if value is other or isinstance(value, type):
        return value is other
    if type(value).__eq__ is object.__eq__:  # type: ignore[comparison-overlap]
        return type(value) is type(other)
    return bool(np.array_equal(value, other))


def _check_options(optimizer: type, options: dict[str, Any], name: str) -> None:
    """Refuse options that the optimizer does not take."""
    parameters = list(inspect.signature(optimizer).parameters.values())[1:]
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    unknown = sorted(set(options) - set(known))
    if unknown and len(known) == len(parameters):
        raise ValueError(f"{name} has {unknown}; {optimizer.__name__} takes {known}")


def _param_groups(
    optimizer: type, table_options: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    """Patterns of parameter names with the options that differ for them."""
    groups = [(f"{name}.weight", table_options) for name in ("embedding", "first_order")]
    if issubclass(optimizer, RowAdam):  # L2 is for weights, not for biases or batch norm
        groups += [(pattern, {"l2": 0.0}) for pattern in ("*bias", "*.norms.*")]
    return groups


def _check_classes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the two classes, or say why there are not two."""
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass: "
            f"{len(classes)} classes. Wrap the estimator in "
            "sklearn.multiclass.OneVsRestClassifier."
        )
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {classes.tolist()}; it must have two")
    if len(unknown := np.setdiff1d(y, classes)):
        raise ValueError(f"y has labels {unknown.tolist()} that are not in {classes.tolist()}")
    return classes
