"""scikit-learn's own checks, over every public classifier."""

import os

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_dynint import BaselineClassifier, DynIntClassifier
from sk_dynint._baseline import MODELS


@pytest.fixture(scope="module", autouse=True)
def _array_api():
    """Without this SciPy refuses the array-API check, which would be skipped."""
    assert os.environ["SCIPY_ARRAY_API"] == "1"


SINGLE = {"n_members": 1, "crosses": None}


@parametrize_with_checks(
    [DynIntClassifier(), *(DynIntClassifier(v, **SINGLE) for v in ("pin", "dgp", "dwp"))]
)
def test_sklearn_check(estimator, check):
    """No expected failures."""
    check(estimator)


QUICK = ("lr", "dcnv2")


@parametrize_with_checks([BaselineClassifier(model) for model in QUICK])
def test_sklearn_check_of_two_baselines(estimator, check):
    """No expected failures."""
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([BaselineClassifier(model) for model in MODELS if model not in QUICK])
def test_sklearn_check_of_the_other_baselines(estimator, check):
    """No expected failures."""
    check(estimator)
