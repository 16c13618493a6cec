"""The estimator among scikit-learn's tools."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import VarianceThreshold
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sk_dynint import DynIntClassifier, FieldEncoder
from tests.conftest import fast


@pytest.fixture(scope="module")
def fitted(clicks):
    X, y = clicks
    return fast().fit(X, y)


@pytest.mark.parametrize(
    "labels",
    [["no", "yes"], [False, True], [-1, 1], [3, 7], pd.Categorical(["no", "yes"])],
    ids=["str", "bool", "signed", "int", "category"],
)
def test_labels_of_any_kind(clicks, fitted, labels):
    X, y = clicks
    named = pd.Series(labels).take(y).to_numpy()
    model = fast().fit(X, named)
    assert list(model.classes_) == sorted(labels)
    assert set(model.predict(X)) <= set(labels)
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))


def test_outputs_agree(clicks, fitted):
    X, _ = clicks
    logit, probability = fitted.decision_function(X), fitted.predict_proba(X)
    assert probability.shape == (len(X), 2)
    np.testing.assert_allclose(probability[:, 1], expit(logit))
    np.testing.assert_allclose(probability.sum(1), 1)
    np.testing.assert_array_equal(fitted.predict(X), (logit > 0).astype(int))


def test_clone_and_params(fitted):
    again = clone(fitted)
    assert not hasattr(again, "net_")
    assert again.get_params() == fitted.get_params()


def test_pickle(clicks, fitted):
    X, _ = clicks
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_pickle_holds_no_training_rows():
    """The file grows with levels, not with rows."""
    rng = np.random.default_rng(0)
    sizes = []
    for n_samples in (2_000, 20_000):
        X = pd.DataFrame({"a": rng.integers(0, 9, n_samples).astype(str)})
        model = fast(early_stopping=False, max_epochs=1).fit(X, rng.integers(0, 2, n_samples))
        sizes.append(len(pickle.dumps(model)))
    assert sizes[1] < sizes[0] + 2_000


def test_joblib_across_processes(clicks, fitted, tmp_path):
    X, _ = clicks
    joblib.dump((fitted, X), tmp_path / "model.joblib")
    code = (
        "import joblib, numpy as np; "
        "model, X = joblib.load('model.joblib'); "
        "np.save('p.npy', model.predict_proba(X))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), fitted.predict_proba(X))


def test_pipeline(clicks):
    X, y = clicks
    drop = FunctionTransformer(lambda X: X.drop(columns="day"))
    model = make_pipeline(drop, fast()).fit(X, y)
    assert model.predict_proba(X).shape == (len(X), 2)


def test_encoder_alone_in_a_pipeline(clicks):
    X, y = clicks
    model = make_pipeline(FieldEncoder(), VarianceThreshold(), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.6


def test_grid_search_reaches_the_encoder(clicks):
    X, y = clicks
    grid = {"variant": ["pin", "da"], "encoder__min_count": [1, 50]}
    search = GridSearchCV(fast(), grid, cv=2, scoring="roc_auc").fit(X, y)
    assert search.best_params_.keys() == grid.keys()
    assert search.best_estimator_.encoder_.min_count == search.best_params_["encoder__min_count"]


def test_grid_search_in_processes_gives_the_same(clicks):
    X, y = clicks
    grid = {"n_subspaces": [1, 2]}
    scores = [
        GridSearchCV(fast(), grid, cv=2, scoring="neg_log_loss", n_jobs=n_jobs)
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for n_jobs in (1, 2)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)


def test_randomized_and_halving_search(clicks):
    X, y = clicks
    for search in (
        RandomizedSearchCV(fast(), {"variant": ["pin", "dgp"]}, n_iter=2, cv=2, random_state=0),
        HalvingGridSearchCV(fast(), {"variant": ["pin", "dwp"]}, cv=2, random_state=0),
    ):
        assert hasattr(search.fit(X, y), "best_estimator_")


def test_cross_validation(clicks):
    X, y = clicks
    assert cross_val_predict(fast(), X, y, cv=2, method="predict_proba").shape == (len(X), 2)
    assert cross_val_score(fast(max_epochs=30), X, y, cv=2, scoring="roc_auc").mean() > 0.6


def test_calibrated_and_voting(clicks):
    X, y = clicks
    calibrated = CalibratedClassifierCV(fast(), cv=2).fit(X, y)
    voting = VotingClassifier([("a", fast()), ("b", fast(variant="pin"))], voting="soft").fit(X, y)
    for model in (calibrated, voting):
        assert model.predict_proba(X).shape == (len(X), 2)


def test_one_vs_rest_for_more_classes(clicks):
    X, _ = clicks
    y = np.arange(len(X)) % 3
    model = OneVsRestClassifier(fast()).fit(X, y)
    assert model.predict_proba(X).shape == (len(X), 3)


def test_permutation_importance(clicks, fitted):
    X, y = clicks
    result = permutation_importance(fitted, X, y, n_repeats=1, random_state=0)
    assert result.importances_mean.shape == (X.shape[1],)


def test_sample_weight_is_routed(clicks):
    X, y = clicks
    weight = np.where(y == 1, 3.0, 1.0)
    with config_context(enable_metadata_routing=True):
        model = fast().set_fit_request(sample_weight=True)
        routed = make_pipeline(FunctionTransformer(), model).fit(X, y, sample_weight=weight)
    direct = fast().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.predict_proba(X), direct.predict_proba(X))


def test_html_repr(fitted):
    assert "DynIntClassifier" in fitted._repr_html_()
    assert "DynIntClassifier" in DynIntClassifier()._repr_html_()


def test_feature_names(clicks, fitted):
    X, _ = clicks
    assert list(fitted.feature_names_in_) == list(X.columns)
    assert fitted.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_the_output_that_transformers_are_set_to_makes_no_difference(clicks, container):
    X, y = clicks
    expected = fast().fit(X, y).predict_proba(X)
    with config_context(transform_output=container):
        np.testing.assert_array_equal(fast().fit(X, y).predict_proba(X), expected)
