"""Going on with a fitted estimator: what may change, and how a failure leaves it as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from sk_dynint._parameters import FREE_PARAMETERS
from sk_dynint._process import safe_threads

OF_ANY_RUN = ("cache", "callbacks", "checkpoint", "device", "negative_sampling_rate", "verbose")
"""Parameters that may differ where a run goes on from its checkpoint."""


@contextmanager
def unchanged_on_failure(estimator: Any, continues: bool) -> Iterator[None]:
    """Context that restores a fitted estimator if anything is raised in it.

    Parameters
    ----------
    estimator : BaseCTRClassifier
        The estimator; a new fit replaces its fitted attributes.
    continues : bool
        Whether its net is trained further, so that the net has to be copied too.
    """
    attributes = dict(vars(estimator))
    with safe_threads():
        snapshot = estimator.net_.snapshot() if continues else None
    try:
        with safe_threads():
            yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(attributes)
        if snapshot is not None:
            with safe_threads():
                estimator.net_.restore(snapshot)
        raise


@contextmanager
def timed(estimator: Any) -> Iterator[None]:
    """Context that notes how long it lasted as `fit_seconds_`."""
    start = perf_counter()
    yield
    estimator.fit_seconds_ = perf_counter() - start


def fixed_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Copy the parameters that may not change, for :func:`check_unchanged`."""
    return {
        name: clone(value, safe=False)
        for name, value in estimator.get_params().items()
        if name not in FREE_PARAMETERS
    }


def check_unchanged(estimator: BaseEstimator, before: dict[str, Any]) -> None:
    """Refuse to go on with a net that was built with other parameters."""
    for name, value in estimator.get_params().items():
        if name not in FREE_PARAMETERS and not _same(value, before.get(name)):
            raise ValueError(
                f"{name}={value!r}, but this estimator was first fitted with "
                f"{before.get(name)!r}, and warm_start and partial_fit go on with its levels "
                "and weights; fit a clone, or with warm_start=False"
            )


def described_parameters(estimator: BaseEstimator) -> dict[str, str]:
    """Describe the parameters on which a run depends, to tell one run from another."""
    params = estimator.get_params(deep=False)
    described = {name: _described(params[name]) for name in params if name not in OF_ANY_RUN}
    if not isinstance(params["random_state"], Integral):
        described["random_state"] = "a state"
    return {"class": type(estimator).__name__, **described}


def _described(value: Any) -> str:
    """Describe the value of a parameter, the same in every process."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, BaseEstimator):  # what it says of itself is shortened
        params = {name: _described(each) for name, each in value.get_params(deep=False).items()}
        return f"{type(value).__name__}({params})"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _same(value: Any, other: Any) -> bool:
    """Whether two values of a parameter mean the same.

    Objects without a comparison of their own, such as estimators, are equal if they have one type;
    the parameters of an estimator are compared by themselves.
    """
    if isinstance(value, torch.device | str) and isinstance(other, torch.device | str):
        return str(value) == str(other)
    if value is other or isinstance(value, type):
        return value is other
    if type(value).__eq__ is object.__eq__:  # type: ignore[comparison-overlap]
        return type(value) is type(other)
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):  # maybe ragged
        return len(value) == len(other) and all(map(_same, value, other))
    return bool(np.array_equal(value, other))
