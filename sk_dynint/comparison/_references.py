"""Reference models that accept any frame: boosted trees and logistic regression.

Those that use validation rows take them as ``fit(X, y, X_val=, y_val=)``, as the classifiers of
this package do. `X` is a DataFrame, `y` holds the numbers of the classes, from 0.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from sk_dynint.preprocessing import FieldEncoder

Floats = NDArray[np.float64]


class Reference(ClassifierMixin, BaseEstimator):
    """Base class with `predict`; a subclass defines `fit` and `predict_proba`."""

    classes_: NDArray[Any]

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Return the probability of each class, (n_samples, n_classes)."""
        raise NotImplementedError

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """Return the most likely class."""
        return self.classes_[self.predict_proba(X).argmax(1)]


class OneHotLogisticRegression(Reference):
    """Logistic regression on one-hot levels.

    Levels that occur twice or more have a column of their own, and numbers are put in 64 bins. C is
    the best of .03, .1 and 1 by the logloss of the validation rows, or .1 without such rows.
    """

    def fit(self, X: pd.DataFrame, y: Any, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit one model for each C and keep the best."""
        self.classes_ = np.unique(y)
        onehot = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist")
        self.encoder_ = make_pipeline(FieldEncoder(n_bins=64), onehot)
        Z = self.encoder_.fit_transform(X)
        choices = (0.1,) if X_val is None else (0.03, 0.1, 1.0)
        fits = [LogisticRegression(C=C, max_iter=500).fit(Z, y) for C in choices]
        if X_val is not None:
            Z_val = self.encoder_.transform(X_val)
            labels = self.classes_
            fits.sort(key=lambda fit: log_loss(y_val, fit.predict_proba(Z_val), labels=labels))
        self.model_ = fits[0]
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        return self.model_.predict_proba(self.encoder_.transform(X))


class HistGradientBoosting(Reference):
    """scikit-learn's boosted trees, default parameters, over cross-fitted target encoding."""

    def __init__(self, *, random_state: int | None = None) -> None:
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Fit encoder and trees."""
        self.classes_ = np.unique(y)
        folds = StratifiedKFold(5, shuffle=True, random_state=self.random_state)
        Z = plain_columns(X)
        encode = make_column_transformer(
            (TargetEncoder(cv=folds), text_columns(Z)), remainder="passthrough"
        )
        trees = HistGradientBoostingClassifier(random_state=self.random_state)
        self.model_ = make_pipeline(encode, trees).fit(Z, y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        return self.model_.predict_proba(plain_columns(X))


class LightGBM(Reference):
    """LightGBM with its own treatment of categories.

    It stops early by the validation rows; without such rows it grows all trees.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 2000,
        learning_rate: float = 0.05,
        patience: int = 50,
        params: dict[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.patience = patience
        self.params = params
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any, X_val: Any = None, y_val: Any = None) -> Self:
        """Grow trees."""
        import lightgbm

        self.classes_ = np.unique(y)
        Z = plain_columns(X)
        text = text_columns(Z)
        self.encoder_ = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), text),
            remainder="passthrough",
        )
        options = {"objective": "binary", "learning_rate": self.learning_rate, "verbosity": -1}
        if (n := len(self.classes_)) > 2:
            options |= {"objective": "multiclass", "num_class": n}
        if self.random_state is not None:
            options["seed"] = self.random_state
        train = lightgbm.Dataset(
            self.encoder_.fit_transform(Z), y, categorical_feature=list(range(len(text)))
        )
        stopping: dict[str, Any] = {}
        if X_val is not None:
            valid = lightgbm.Dataset(self._encode(X_val), y_val, reference=train)
            callbacks = [lightgbm.early_stopping(self.patience, verbose=False)]
            stopping = {"valid_sets": [valid], "callbacks": callbacks}
        options |= self.params or {}
        self.model_ = lightgbm.train(options, train, self.n_estimators, **stopping)
        return self

    def _encode(self, X: pd.DataFrame) -> Floats:
        return self.encoder_.transform(plain_columns(X))

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        p = np.asarray(self.model_.predict(self._encode(X)))
        return np.column_stack([1 - p, p]) if p.ndim == 1 else p


class CatBoost(Reference):
    """CatBoost with its own treatment of categories.

    It stops early by the validation rows; without such rows it grows all trees.
    """

    def __init__(
        self,
        *,
        iterations: int = 2000,
        patience: int = 50,
        params: dict[str, Any] | None = None,
        random_state: int | None = None,
    ) -> None:
        self.iterations = iterations
        self.patience = patience
        self.params = params
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: Any, X_val: Any = None, y_val: Any = None) -> Self:
        """Grow trees."""
        import catboost

        self.classes_ = np.unique(y)
        Z = plain_columns(X)
        options = {"verbose": False, "allow_writing_files": False} | (self.params or {})
        self.model_ = catboost.CatBoostClassifier(
            iterations=self.iterations, random_seed=self.random_state, **options
        )
        stopping = {}
        if X_val is not None:
            eval_set = (plain_columns(X_val), y_val)
            stopping = {"eval_set": eval_set, "early_stopping_rounds": self.patience}
        self.model_.fit(Z, y, cat_features=text_columns(Z), **stopping)
        return self

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        return self.model_.predict_proba(plain_columns(X))


def plain_columns(X: pd.DataFrame) -> pd.DataFrame:
    """Return numbers and dates as float64, all other columns as strings without missing values."""
    return pd.DataFrame({str(name): _plain(column) for name, column in X.items()})


def text_columns(Z: pd.DataFrame) -> list[str]:
    """Return the names of the columns that hold strings."""
    return [name for name, dtype in Z.dtypes.items() if dtype != np.float64]


def _plain(column: pd.Series) -> pd.Series:
    """Return a column as numbers (of seconds, for dates and durations) or as strings."""
    dtype = column.dtype
    if types.is_datetime64_any_dtype(dtype):
        times = column if column.dt.tz is None else column.dt.tz_convert(None)
        return (times - pd.Timestamp(0)).dt.total_seconds()
    if types.is_timedelta64_dtype(dtype):
        return column.dt.total_seconds()
    if types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(numbers, index=column.index)
    return column.astype("string").fillna("missing").astype("object")
