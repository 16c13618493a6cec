"""Fitted classifiers of all kinds, in a fraction of a second each."""

import pandas as pd
import pytest

from sk_dynint.interactions import VARIANTS
from tests.conftest import fast, make_clicks


@pytest.fixture(scope="session")
def fitted():
    """Function that fits a classifier to `clicks`, or returns the one with these parameters."""
    known, (X, y) = {}, make_clicks()

    def fit(variant="da", **params):
        key = repr((variant, sorted(params.items())))
        if key not in known:
            defaults = {"n_layers": 2, "n_subspaces": 2}
            known[key] = fast(variant=variant, **defaults | params).fit(X, y)
        return known[key]

    return fit


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="session")
def three_classes():
    """Classifier of three classes, and its rows."""
    X, y = make_clicks()
    y = y + 2 * (X["hour"] > 18).to_numpy()
    y = pd.Series(y).map({0: "no", 1: "yes", 2: "late", 3: "late"}).to_numpy()
    return fast(variant="da", n_layers=2).fit(X, y), X, y
