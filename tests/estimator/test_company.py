"""The estimator inside other estimators: every container, every output, weights routed."""

import functools
import importlib
from contextlib import suppress

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    TunedThresholdClassifierCV,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sk_dynint import EncodedData, FieldEncoder
from tests.conftest import fast

CONFIGURATIONS = {
    "default": {},
    "pandas output": {"transform_output": "pandas"},
    "polars output": {"transform_output": "polars"},
    "routing": {"enable_metadata_routing": True},
}


def make_table(n_samples=400):
    """Two columns that decide, a number that hardly matters, and one click for every other row."""
    rng = np.random.default_rng(0)
    site = rng.choice(["a", "b", "c"], n_samples)
    hour = rng.integers(0, 24, n_samples)
    noise = rng.normal(size=n_samples)
    y = (rng.random(n_samples) < 1 / (1 + np.exp(2 * (hour > 11) - 3 * (site == "a")))).astype(int)
    return pd.DataFrame({"site": site, "hour": hour, "noise": noise}), y


X, Y = make_table()
TABLES = {"pandas": X, "polars": pl.from_pandas(X)}
WEIGHT = np.where(Y == 1, 4.0, 1.0)


def routed(consumer):
    """Let a scorer or a classifier ask for weights, for when metadata routing is enabled."""
    with config_context(enable_metadata_routing=True):
        for method in ("set_fit_request", "set_score_request"):
            if hasattr(consumer, method):
                getattr(consumer, method)(sample_weight=True)
    return consumer


def make_model(**params):
    """Make a fast classifier that asks for weights."""
    return routed(fast(max_epochs=2, **params))


def resampled(module, sampler):
    """Return a function that puts one of imbalanced-learn's samplers before an estimator."""

    def make(model):
        pipeline = pytest.importorskip("imblearn.pipeline")
        sampling = importlib.import_module(f"imblearn.{module}")
        return pipeline.make_pipeline(getattr(sampling, sampler)(random_state=0), model)

    return make


GRID = {"variant": ["pin", "da"]}
TOOLS = {
    "GridSearchCV": lambda model: GridSearchCV(
        model, GRID, cv=2, scoring=routed(get_scorer("roc_auc"))
    ),
    "HalvingGridSearchCV": lambda model: HalvingGridSearchCV(
        model, GRID, cv=2, min_resources=200, random_state=0
    ),
    "BaggingClassifier": lambda model: BaggingClassifier(model, 2, random_state=0),
    "CalibratedClassifierCV": lambda model: CalibratedClassifierCV(model, cv=2),
    "TunedThresholdClassifierCV": lambda model: TunedThresholdClassifierCV(
        model, cv=2, scoring=routed(get_scorer("balanced_accuracy"))
    ),
    "StackingClassifier": lambda model: StackingClassifier(
        [("model", model)], routed(LogisticRegression()), cv=2
    ),
}
SAMPLERS = {
    "RandomOverSampler": resampled("over_sampling", "RandomOverSampler"),
    "RandomUnderSampler": resampled("under_sampling", "RandomUnderSampler"),
}


INSIDE = {
    "CalibratedClassifierCV": lambda tool: tool.calibrated_classifiers_[0].estimator,
    "StackingClassifier": lambda tool: tool.estimators_[0],
}


def probability(name, table):
    """Fit a tool; return its probabilities of a click."""
    return (TOOLS | SAMPLERS)[name](make_model()).fit(table, Y).predict_proba(table)[:, 1]


@functools.cache
def expected(name):
    """Return what the tool predicts from pandas under scikit-learn's default configuration."""
    return probability(name, X)


# If an output is set, StackingClassifier fits its last estimator on an array and predicts from a
# frame, whatever it stacks.
@pytest.mark.filterwarnings("ignore:X has feature names, but LogisticRegression:UserWarning")
@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("name", TOOLS)
def test_tools_predict_the_same_from_every_container(name, container, configuration):
    table = TABLES[container]
    with config_context(**configuration):
        found = probability(name, table)
    np.testing.assert_allclose(found, expected(name), rtol=1e-6)
    assert roc_auc_score(Y, found) > 0.8


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_predict_the_same_under_every_configuration(name, configuration):
    with config_context(**configuration):
        found = probability(name, X)
    np.testing.assert_array_equal(found, expected(name))
    assert roc_auc_score(Y, found) > 0.8


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_refuse_polars(name):
    """Said in README.md: imbalanced-learn knows pandas only."""
    table = TABLES["polars"]
    sampler = SAMPLERS[name](make_model())
    with pytest.raises((TypeError, ValueError)):
        sampler.fit(table, Y)
    found = sampler.fit(table.to_pandas(), Y).predict_proba(table)[:, 1]
    np.testing.assert_array_equal(found, expected(name))


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_cross_validation_returns_estimators(container, configuration):
    table = TABLES[container]
    options = {"cv": 2, "scoring": "roc_auc", "return_estimator": True}
    reference = cross_validate(make_model(), X, Y, **options)
    with config_context(**configuration):
        found = cross_validate(make_model(), table, Y, **options)
    assert found["test_score"].min() > 0.7
    np.testing.assert_array_equal(found["test_score"], reference["test_score"])
    for one, other in zip(found["estimator"], reference["estimator"], strict=True):
        np.testing.assert_array_equal(one.predict_proba(table), other.predict_proba(X))


# Said in README.md: permutation_importance makes an array of a polars frame.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_permutation_importance_finds_the_columns_that_matter(container, configuration):
    table = TABLES[container]
    options = {"n_repeats": 2, "random_state": 0, "scoring": "roc_auc"}
    with config_context(**configuration):
        model = make_model().fit(table, Y)
        found = permutation_importance(model, table, Y, **options).importances
    reference = permutation_importance(make_model().fit(X, Y), X, Y, **options).importances
    np.testing.assert_array_equal(found, reference)
    site, hour, noise = found.mean(1)
    assert min(site, hour) > noise + 0.05


# ---------------------------------------------------------------- metadata routing


@pytest.mark.parametrize("name", TOOLS)
def test_weights_reach_the_estimator(name):
    """A click weighs four rows, so that probabilities rise, also those inside of the tool."""
    plain = TOOLS[name](make_model()).fit(X, Y)
    with config_context(enable_metadata_routing=True):
        weighted = TOOLS[name](make_model()).fit(X, Y, sample_weight=WEIGHT)
    for part in (lambda tool: tool, INSIDE.get(name, lambda tool: tool)):
        found, reference = (part(tool).predict_proba(X)[:, 1] for tool in (weighted, plain))
        assert found.mean() > reference.mean() + 0.05
        assert roc_auc_score(Y, found) > 0.8


def test_weights_reach_the_estimator_of_a_search_and_its_score():
    with config_context(enable_metadata_routing=True):
        model = make_model(early_stopping=False)
        search = GridSearchCV(
            model, {"variant": ["pin"]}, cv=[(np.arange(200), np.arange(200, 400))]
        )
        search.fit(X, Y, sample_weight=WEIGHT)
    direct = fast(variant="pin", max_epochs=2, early_stopping=False)
    score = direct.fit(X[:200], Y[:200], WEIGHT[:200]).score(X[200:], Y[200:], WEIGHT[200:])
    assert search.best_score_ == score
    direct.fit(X, Y, WEIGHT)
    np.testing.assert_array_equal(search.predict_proba(X), direct.predict_proba(X))


def test_weights_reach_the_estimators_of_a_cross_validation():
    scoring = routed(get_scorer("neg_log_loss"))
    options = {"cv": 2, "scoring": scoring, "return_estimator": True}
    with config_context(enable_metadata_routing=True):
        found = cross_validate(make_model(), X, Y, params={"sample_weight": WEIGHT}, **options)
    plain = cross_validate(make_model(), X, Y, **options)
    for weighted, other in zip(found["estimator"], plain["estimator"], strict=True):
        p, q = (model.predict_proba(X) for model in (weighted, other))
        assert log_loss(Y, p, sample_weight=WEIGHT) < log_loss(Y, q, sample_weight=WEIGHT)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_validation_rows_are_routed_and_transformed(container):
    """`transform_input` lets a pipeline's steps see X_val too."""
    table = TABLES[container]
    val = {"X_val": table[:150], "y_val": Y[:150]}
    with config_context(enable_metadata_routing=True):
        model = make_model().set_fit_request(X_val=True, y_val=True)
        select = FunctionTransformer(lambda X: X[["site", "hour"]])
        steps = [("select", select), ("model", model)]
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(table, Y, **val)
        search = GridSearchCV(model, GRID, cv=2).fit(table, Y, **val)
    found = pipeline.predict_proba(table)
    part = X[["site", "hour"]]
    direct = fast(max_epochs=2).fit(part, Y, X_val=part[:150], y_val=Y[:150])
    np.testing.assert_array_equal(found, direct.predict_proba(part))
    direct = fast(max_epochs=2, **search.best_params_).fit(X, Y, X_val=X[:150], y_val=Y[:150])
    np.testing.assert_array_equal(search.predict_proba(table), direct.predict_proba(X))


# ---------------------------------------------------------------- what README.md says to mind


def test_bagging_hands_on_an_array():
    """Integer categories become quantities in it, unless their positions are named."""
    table = X.astype({"hour": "category"})

    def kinds(encoder=None):
        bag = BaggingClassifier(make_model(encoder=encoder), 1, random_state=0).fit(table, Y)
        return list(bag.estimators_[0].encoder_.field_kinds_)

    categories = ["categorical", "categorical", "numeric"]
    assert list(make_model().fit(table, Y).encoder_.field_kinds_) == categories
    assert kinds() == ["categorical", "numeric", "numeric"]
    assert kinds(FieldEncoder(categorical_features=[0, 1])) == categories


def test_adaboost_passes_weights_that_sum_to_one():
    """All rows together count like one row, from which nothing is learnt; warnings say so."""
    boosted = AdaBoostClassifier(make_model(), n_estimators=1)
    with (
        pytest.warns(UserWarning, match="keep no level"),
        pytest.warns(UserWarning, match="the weights of the rows have the mean 0.0025"),
        suppress(ValueError),  # "worse than random", which half of such models are
    ):
        boosted.fit(X, Y)


def test_partial_dependence_wants_floats_and_the_names_of_categories():
    model = make_model().fit(X, Y)
    with pytest.raises(ValueError, match="contains integer data"):
        partial_dependence(model, X, ["hour"])
    late = partial_dependence(model, X.astype({"hour": float}), ["hour"], grid_resolution=5)
    assert late["average"][0, 0] > late["average"][0, -1] + 0.2
    sites = partial_dependence(model, X, ["site"], categorical_features=["site"])
    a, b, c = sites["average"][0]
    assert a > max(b, c) + 0.2


def of_indices(model):
    """Return a function from field indices to the probability of a click, as in README.md."""
    return lambda indices: model.predict_proba(
        EncodedData(np.asarray(indices).astype(int), encoder=model.encoder_)
    )[:, 1]


def test_probabilities_as_a_function_of_indices():
    """Explainers pass indices as floats."""
    model = make_model().fit(X, Y)
    indices = model.encoder_.transform(X).astype(float)
    np.testing.assert_array_equal(of_indices(model)(indices), model.predict_proba(X)[:, 1])


@pytest.mark.filterwarnings("ignore")  # SHAP's own
def test_shap_computes_with_indices():
    shap = pytest.importorskip("shap")
    model = make_model().fit(X, Y)
    with pytest.raises(TypeError):
        shap.Explainer(lambda X: model.predict_proba(X)[:, 1], X[:50])(X[:5])
    indices = model.encoder_.transform(X)
    found = shap.Explainer(of_indices(model), indices[:50])(indices[:5])
    total = found.values.sum(1) + found.base_values
    np.testing.assert_allclose(total, model.predict_proba(X[:5])[:, 1], atol=1e-6)
