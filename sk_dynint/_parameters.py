"""What the parameters that all classifiers share may be, and which may change between fits."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sk_dynint._validation import VALIDATIONS
from sk_dynint.optim import OPTIMIZERS

CONSTRAINTS: dict[str, Any] = {
    "n_members": [Interval(Integral, 1, 1024, closed="both"), StrOptions({"auto"})],
    "embedding_dim": [Interval(Integral, 1, 4096, closed="both")],
    "embedding_init_std": [Interval(Real, 0, None, closed="left"), None],
    "n_knots": [Interval(Integral, 2, 1024, closed="both"), list, tuple, None],
    "popularity": [Interval(Real, 0, None, closed="left")],
    "oov": [StrOptions({"train", "zero"})],
    "categorical_features": [StrOptions({"from_dtype", "all"}), "array-like", None],
    "crosses": [StrOptions({"auto"}), list, tuple, None],
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
    "validation": [StrOptions(set(VALIDATIONS))],
    "validation_column": [str, Integral, tuple, None],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "patience": [Interval(Integral, 1, None, closed="left")],
    "callbacks": [list, None],
    "checkpoint": [str, os.PathLike, None],
    "cache": [str, os.PathLike, None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "negative_sampling_rate": [Interval(Real, 0, 1, closed="right")],
    "warm_start": ["boolean"],
    "precision": [StrOptions({"fp32", "bf16"})],
    "device": [str, torch.device],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}
"""Name of a parameter -> what scikit-learn's validation allows."""

FREE_PARAMETERS = {
    *("lr", "optimizer_params", "embedding_optimizer_params", "orthogonal_penalty", "precision"),
    *("max_epochs", "batch_size", "averaging", "eval_every", "early_stopping", "scoring"),
    *("validation", "validation_column", "validation_fraction", "patience", "callbacks"),
    *("checkpoint", "cache"),
    *("class_weight", "negative_sampling_rate", "warm_start", "device", "random_state", "verbose"),
}
"""Parameters that may change between calls of `fit` with warm start, and of `partial_fit`."""
