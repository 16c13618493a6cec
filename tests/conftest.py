"""Data shared by the tests, and quiet threads."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported, or a scikit-learn check is skipped

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from sk_dynint import BaselineClassifier, DynIntClassifier
from sk_dynint.interactions import VARIANTS

NEEDS_ONEDNN = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)


settings.register_profile("shared", deadline=None)  # a slow moment of the machine is no failure
settings.load_profile("shared")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Small matrices gain nothing from a second thread, and test workers share the cores."""
    torch.set_num_threads(1)


@pytest.fixture
def double_precision():
    """Double precision and one seed, for comparisons with plain references."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_default_dtype(before)


def fast(**params):
    """Make a classifier that takes a fraction of a second."""
    small = {"max_epochs": 3, "n_layers": 1, "n_subspaces": 1, "embedding_dim": 4}
    small |= {"n_members": 1, "crosses": None}
    return DynIntClassifier(**(small | {"random_state": 0} | params))


def fast_by_name(name, **params):
    """Make such a classifier of a variant or of a competitor."""
    if name in VARIANTS:
        return fast(variant=name, **params)
    small = {"hidden_units": (8,), "embedding_dim": 4, "max_epochs": 3, "random_state": 0}
    return BaselineClassifier(name, **small | params)


def make_clicks(n_samples=600, seed=0):
    """Small frame of all kinds of columns, with holes, and labels that depend on two of them."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["a", "b", "c", "d", "rare"], n_samples, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    hour = rng.integers(0, 24, n_samples)
    count = np.floor(rng.lognormal(2.0, 1.5, n_samples))
    score = (site == "a") * 1.5 - (hour > 12) * 1.0 + 0.3 * np.log1p(count)
    y = (rng.random(n_samples) < 1 / (1 + np.exp(1.0 - score))).astype(int)
    X = pd.DataFrame(
        {
            "site": pd.Series(site, dtype="str"),
            "hour": hour,
            "count": np.where(rng.random(n_samples) < 0.1, np.nan, count),
            "mobile": rng.random(n_samples) < 0.5,
            "day": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, 60, n_samples), "D"),
            "device": pd.Categorical(rng.choice(["ios", "android"], n_samples)),
        }
    )
    X.loc[rng.random(n_samples) < 0.1, "site"] = None
    return X, y


@pytest.fixture(scope="session")
def clicks():
    """600 rows of :func:`make_clicks`; copy before changing it."""
    return make_clicks()


@pytest.fixture(scope="session")
def many_clicks():
    """4,000 other rows of :func:`make_clicks`; copy before changing them."""
    return make_clicks(4_000, seed=1)
