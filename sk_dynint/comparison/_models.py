"""The models that can be given by name, and how to make them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator

from sk_dynint._baseline import MODELS as BASELINES
from sk_dynint._baseline import BaselineClassifier
from sk_dynint._dynint import DynIntClassifier
from sk_dynint.interactions import VARIANTS

from ._references import CatBoost, HistGradientBoosting, LightGBM, OneHotLogisticRegression

_LIBRARIES = ("lightgbm", "catboost")
"""Models that need the library of the same name; the extra `bench` installs them."""

_ALONE: dict[str, Any] = {"n_members": 1, "crosses": None, "n_knots": None, "popularity": 0.0}

MODELS: dict[str, Callable[..., BaseEstimator]] = {
    "dynint": DynIntClassifier,
    # One network on the columns alone, nothing shared by levels or bins, as the competitors are.
    **{name: partial(DynIntClassifier, name, **_ALONE) for name in VARIANTS},
    **{name: partial(BaselineClassifier, model=name) for name in BASELINES},
    "lightgbm": LightGBM,
    "catboost": CatBoost,
    "hgb": HistGradientBoosting,
    "onehot-lr": OneHotLogisticRegression,
}
"""Name -> function without arguments that makes the estimator."""


def make_model(name: str, params: Mapping[str, Any] | None = None) -> BaseEstimator:
    """Return a new estimator of a model that has a name.

    Parameters
    ----------
    name : str
        One of the keys of ``MODELS``: "dynint", which is ``DynIntClassifier()``; single networks
        without crosses and shared vectors, namely the variants of DynInt ("pin", "da", "dgp",
        "dwp") and its competitors (those of ``BaselineClassifier``), "hgb" and
        "onehot-lr" of scikit-learn, "lightgbm", "catboost".
    params : mapping, default=None
        Parameters to set.

    Returns
    -------
    estimator : object

    Raises
    ------
    ValueError
        If there is no such model, or no such parameter.
    ImportError
        If its library is not installed.

    Examples
    --------
    >>> from sk_dynint.comparison import make_model
    >>> make_model("dwp", {"n_layers": 2})
    DynIntClassifier(crosses=None, n_knots=None, n_layers=2, n_members=1,
                     popularity=0.0, variant='dwp')
    """
    if name not in MODELS:
        raise ValueError(f"There is no model {name!r}; there are {', '.join(MODELS)}.")
    if name in _LIBRARIES and importlib.util.find_spec(name) is None:
        raise ImportError(
            f"Model {name!r} needs {name}: pip install {name}, or 'sk-dynint[bench]', which has "
            "all that the benchmarks compare with."
        )
    return MODELS[name]().set_params(**params or {})
