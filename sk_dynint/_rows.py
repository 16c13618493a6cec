"""Rows on their way to the net: labels and weights checked, validation rows split off, encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, assert_all_finite
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d

from sk_dynint._shared import Shared
from sk_dynint._sources import Source, as_source, is_lazy
from sk_dynint._validation import Split, folds, split
from sk_dynint.preprocessing import (
    FieldEncoder,
    as_dicts,
    check_frame,
    check_source,
    column_labels,
    means_without,
    to_frame,
    unfrozen,
)
from sk_dynint.training import WINDOW_BYTES, EncodedData, Own

MAX_WEIGHT = 1e30
"""Sum of the weights, at most: products with it must stay finite in single precision."""


class Rows(NamedTuple):
    """Raw columns or encoded data, positions of classes, weights and groups, where given."""

    X: Any
    target: NDArray[np.float64]
    weight: NDArray[np.float64] | None
    groups: NDArray[Any] | None = None

    @classmethod
    def checked(
        cls, X: Any, y: Any, sample_weight: Any, classes: Any, groups: Any = None
    ) -> tuple[Rows, NDArray[Any]]:
        """Check lengths, labels and weights; drop rows of weight zero.

        Parameters
        ----------
        X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
            Checked columns.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,) or None
            Weights.
        classes : array-like of shape (n_classes,) or None
            The labels that are allowed, sorted; None takes them from `y`.
        groups : array-like of shape (n_samples,), label of a column, or None
            Group or moment of each row.

        Returns
        -------
        rows : Rows
        classes : ndarray of shape (n_classes,)
        """
        if y is None:
            raise ValueError("This estimator requires y to be passed, but the target y is None.")
        y = plain_labels(y)
        check_consistent_length(X, y)
        if n_missing := int(pd.isna(y).sum()):
            raise ValueError(f"Input y contains NaN: {n_missing} of {len(y)} labels are missing")
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        groups, weight = find_groups(X, groups), None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, y, dtype=np.float64, ensure_non_negative=True
            )
            if weight.sum() > MAX_WEIGHT:
                raise ValueError(
                    f"the sample weights add up to {weight.sum():.2g}, more than single precision "
                    "can hold; divide them by their mean"
                )
            if not weight.all():  # otherwise no row is dropped, and no copy is needed
                kept = np.flatnonzero(weight)
                X, y, weight = _safe_indexing(X, kept), y[kept], weight[kept]
                groups = None if groups is None else groups[kept]
        classes = check_classes(y, np.unique(y) if classes is None else classes)
        return cls(X, np.searchsorted(classes, y).astype(np.float64), weight, groups), classes

    def take(self, index: NDArray[np.intp]) -> Rows:
        """Return the rows at some positions."""
        if isinstance(self.X, Source):  # whose rows keep their order
            index = np.sort(index)
        weight = None if self.weight is None else self.weight[index]
        return Rows(_safe_indexing(self.X, index), self.target[index], weight)

    def split(
        self, how: str, fraction: float, random_state: np.random.RandomState
    ) -> tuple[Rows, Rows]:
        """Set a fraction of the rows aside, before the encoder sees anything."""
        with self._explained(fraction):
            train, valid = split(self.target, how, fraction, self.groups, random_state)
        return self.take(train), self.take(valid)

    def folds(
        self, how: str, fraction: float, random_state: np.random.RandomState, n_folds: int
    ) -> list[Split]:
        """Return row numbers of what each member of an ensemble learns from and sets aside."""
        with self._explained(fraction):
            return folds(self.target, how, fraction, self.groups, random_state, n_folds)

    @contextmanager
    def _explained(self, fraction: float) -> Iterator[None]:
        """Context that says what could not be done, and what to do instead."""
        try:
            yield
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={fraction} of {len(self.target)} rows cannot be set aside "
                f"for early stopping: {error} Pass X_val, or early_stopping=False"
            ) from error

    def class_weight(self, given: Any, classes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the factor for the weight of each class; "balanced" goes by these rows."""
        factors = np.ones(len(classes))
        if given is None:  # avoids making a label, an object, for each row
            return factors
        labels = classes[self.target.astype(int)]
        # Rows that come last or in groups may lack a class, which no weight can balance.
        here = slice(None) if isinstance(given, dict) else np.unique(self.target).astype(int)
        factors[here] = compute_class_weight(
            given, classes=classes[here], y=labels, sample_weight=self.weight
        )
        if (factors <= 0).any():
            raise ValueError(f"class_weight={given!r}; all weights must be above 0")
        return factors

    def encoded(self, encoder: Any, class_weight: NDArray[np.float64], *, fit: bool) -> EncodedData:
        """Encode the columns, with sample weights times class weights.

        Parameters
        ----------
        encoder : transformer
            Fitted here if `fit`, unless it is frozen or the rows are encoded already.
        class_weight : ndarray of shape (n_classes,)
            Factor for the weight of each class.
        fit : bool
            Whether these are training rows.
        """
        if self.encodes(encoder, fit=fit):
            data = EncodedData(self.fit_transform(encoder))
        else:
            data = encode(self.X, encoder)
        if isinstance(self.X, Source):
            data.window = WINDOW_BYTES // data.indices[:1].nbytes
        weight = self.weight
        if weight is not None or (class_weight != 1).any():
            weight = self.weights() * class_weight[self.target.astype(int)]
        return data.with_target(self.target, weight)

    def encodes(self, encoder: Any, *, fit: bool) -> bool:
        """Whether an encoder is fitted to these rows by :meth:`encoded`."""
        is_raw = not isinstance(self.X, EncodedData)
        return fit and is_raw and not isinstance(encoder, FrozenEstimator)

    def means_without(
        self, encoder: Any, data: EncodedData, held_out: Sequence[NDArray[np.intp]]
    ) -> list[Own]:
        """Return the means of the target of encoded rows for each member, without some labels."""
        given = encoder, data.indices, self.target, self.weight
        columns, means = means_without(*given, held_out)
        return [Own(columns, each) for each in means]

    def fit_transform(self, encoder: Any) -> Any:
        """Fit an encoder to the rows; return their field indices."""
        options = {} if self.weight is None else {"sample_weight": self.weight}
        return encoder.fit_transform(self.X, self.target, **options)

    def weights(self) -> NDArray[np.float64]:
        """Return the weights; rows without weights have weight 1."""
        return np.broadcast_to(1.0, len(self.target)) if self.weight is None else self.weight


def plain_labels(y: Any) -> NDArray[Any]:
    """Return labels as an array; nullable integers and booleans, and objects, as what they are."""
    is_extension = isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype)
    if is_extension and not y.isna().any():
        y = y.to_numpy()
    y = column_or_1d(y, warn=True)
    if y.dtype == object and pd.api.types.infer_dtype(y, skipna=False) in ("boolean", "integer"):
        y = np.array(y.tolist())
    return y


def find_groups(X: Any, groups: Any) -> NDArray[Any] | None:
    """Return groups of rows, given as an array or as the label of a column of `X`."""
    if groups is None:
        return None
    if not (np.isscalar(groups) or isinstance(groups, tuple)):
        check_consistent_length(X, groups)
        return np.asarray(groups)
    if not isinstance(X, pd.DataFrame):
        raise ValueError(f"groups={groups!r} names a column, but X is no frame; pass an array")
    if groups not in X.columns:
        raise ValueError(f"groups={groups!r} is no column of X; its columns are {list(X)}")
    return X[groups].to_numpy()


def check_columns(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check raw columns or encoded data; with `reset`, set number and names of the features."""
    if (rows := as_dicts(X)) is not None:
        if reset:
            raise TypeError(
                "rows as dicts are for predicting; fit takes a table, such as pandas.DataFrame(X)"
            )
        if isinstance(unfrozen(estimator.encoder_), FieldEncoder):
            return rows  # which it checks
        X = to_frame(rows, column_labels(estimator))
    if is_lazy(X):
        if not reset:
            return as_source(X).select(column_labels(estimator))
        check_source(estimator, X)
        return X
    if not isinstance(X, EncodedData):
        return check_frame(estimator, X, reset=reset)
    for name in ("n_features_in_", "feature_names_in_", "_labels_in") if reset else ():
        if hasattr(X.encoder, name):
            setattr(estimator, name, getattr(X.encoder, name))
        elif hasattr(estimator, name):
            delattr(estimator, name)
    return X


def encode(X: Any, encoder: Any) -> EncodedData:
    """Encode raw columns; take encoded data as it is, if the same encoder has made it."""
    if (rows := as_dicts(X)) is not None:  # for a FieldEncoder, see `check_columns`
        return EncodedData(unfrozen(encoder).encode_dicts(rows))
    if not isinstance(X, EncodedData):
        return EncodedData(encoder.transform(X))
    if X.encoder is not encoder and not _are_equal(X.encoder, encoder):
        raise ValueError(
            "X is EncodedData of another encoder than the one that the estimator was fitted with; "
            "use its encoder_, or pass raw columns"
        )
    return X


def _are_equal(encoder: Any, other: Any) -> bool:
    """Whether an encoder is a copy of another one, for example restored from a pickle."""
    other = unfrozen(other)
    return encoder is other or (encoder is not None and encoder.equals(other))


def encoder_for(X: Any, encoder: Any, **options: Any) -> Any:
    """Return the encoder to fit, or the one that has made encoded data.

    Parameters
    ----------
    X : DataFrame, EncodedData or array-like
        What `fit` was given.
    encoder : transformer or None
        The estimator's parameter, which is cloned.
    **options
        What the encoder is to have as its parameters of these names; None leaves them alone.

    Raises
    ------
    ValueError
        If the encoder has no such parameter; if encoded data has no encoder, or the options ask
        for another one.
    """
    options = {name: value for name, value in options.items() if value is not None}
    if not isinstance(X, EncodedData):
        made = FieldEncoder() if encoder is None else clone(encoder)
        for name in options.keys() - made.get_params(deep=False).keys():
            raise ValueError(
                f"{name}={options[name]!r}, but encoder={encoder!r} has no such parameter; tell "
                "the encoder itself"
            )
        return made.set_params(**options) if options else made
    if X.encoder is None:
        raise ValueError("X is EncodedData without an encoder; pass EncodedData(..., encoder=...)")
    for name in options:
        raise ValueError(f"X is encoded already, so that {name} cannot be applied")
    if encoder is not None and getattr(encoder, "estimator", None) is not X.encoder:
        raise ValueError(
            f"X is encoded already, so that encoder={encoder!r} cannot be applied; pass raw "
            "columns, or encoder=None"
        )
    return X.encoder


def table_options(
    encoder: Any, n_knots: int | Sequence[int] | None, popularity: float
) -> dict[str, Any]:
    """Return the options of an embedding table for what a fitted encoder encodes.

    Parameters
    ----------
    encoder : transformer
        Has `cardinalities_`; one of ours can tell what indices have in common, and which columns
        are further elements of lists.
    n_knots, popularity
        As the classifiers are given them.
    """
    slots = getattr(encoder, "slots_", None)
    has_lists = slots is not None and len(slots) > len(encoder.cardinalities_)
    return {
        "cardinalities": encoder.cardinalities_,
        "shared": Shared.of(encoder, n_knots, popularity),
        "slots": slots if has_lists else None,
    }


def check_classes(y: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the classes, if there are two or more and no other label."""
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {classes.tolist()}; it must have two or more")
    if len(unknown := np.setdiff1d(y, classes)):
        raise ValueError(f"y has labels {unknown.tolist()} that are not in {classes.tolist()}")
    return classes
