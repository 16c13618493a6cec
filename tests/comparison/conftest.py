"""Estimators that keep a record, and a small table."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin


class Recorder(ClassifierMixin, BaseEstimator):
    """Predicts from the column `signal`, and notes which rows it was given."""

    log: ClassVar = []  # clones share it

    def __init__(self, noise=0.0, fails_at=None, random_state=None):
        self.noise = noise
        self.fails_at = fails_at
        self.random_state = random_state

    def fit(self, X, y):
        return self._fit(X, y)

    def _fit(self, X, y, X_val=None, y_val=None):
        if self.random_state == self.fails_at and self.fails_at is not None:
            raise RuntimeError("killed")
        self.classes_ = np.unique(y)
        self.rows_ = {"train": X["row"].to_numpy(), "valid": None, "seed": self.random_state}
        if X_val is not None:
            self.rows_["valid"] = X_val["row"].to_numpy()
            assert len(X_val) == len(y_val)
        Recorder.log.append(self.rows_)
        return self

    def predict_proba(self, X):
        self.rows_["test"] = X["row"].to_numpy()
        rng = np.random.default_rng(self.random_state)
        logit = X["signal"].to_numpy() + self.noise * rng.standard_normal(len(X))
        p = 1 / (1 + np.exp(-logit))
        return np.column_stack([1 - p, p])


class Validating(Recorder):
    """The same, with validation rows."""

    def fit(self, X, y, X_val=None, y_val=None):
        return self._fit(X, y, X_val, y_val)


@pytest.fixture
def log():
    """Rows given to the estimators, in the order of fits."""
    Recorder.log.clear()
    return Recorder.log


@pytest.fixture(scope="session")
def table():
    """Columns and labels of 500 rows; `row` counts them, `signal` is the logit."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(500) - 1
    X = pd.DataFrame({"row": np.arange(500), "signal": signal})
    X["site"] = rng.choice(["a", "b", "c"], 500)
    y = np.where(rng.random(500) < 1 / (1 + np.exp(-signal)), "yes", "no")
    return X, y
