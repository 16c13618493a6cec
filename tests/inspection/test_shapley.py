"""Explanations of classifiers: efficiency, baselines, what is refused, sampling."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from sk_dynint import BaselineClassifier, DynIntClassifier, EncodedData
from sk_dynint.inspection import (
    field_importances,
    interaction_strengths,
    order_decomposition,
    sampled_shapley_values,
    shapley_interactions,
    shapley_values,
)
from sk_dynint.interactions import InteractionLayer
from tests.conftest import fast
from tests.inspection.references import (
    coalitions,
    frozen_logits,
    masked,
    shapley_by_coalitions,
)
from tests.references import to_numpy


class Square(InteractionLayer):
    def forward(self, x, x0):
        return x + x * x0


def near(values, expected, tolerance=1e-5):
    assert values.shape == expected.shape
    assert np.abs(values - expected).max() <= tolerance


# --- efficiency


@pytest.mark.parametrize("background", ["zero", "vectors", "values"])
@pytest.mark.parametrize("n_members", [1, 2])
def test_values_and_base_sum_to_the_logit(fitted, clicks, variant, n_members, background):
    X, _ = clicks
    clf = fitted(variant, n_members=n_members)
    options = {} if background == "zero" else {"background": X[:7], "average": background}
    explanation = shapley_values(clf, X[:50], **options)
    assert explanation.values.shape == (50, 6)
    assert explanation.values.dtype == float
    logits = clf.decision_function(X[:50])
    near(explanation.base_values + explanation.values.sum(1), logits)
    pairs = shapley_interactions(clf, X[:50], **options)
    near(pairs.values.sum(2), explanation.values)
    near(pairs.values, pairs.values.transpose(0, 2, 1), 0)
    near(pairs.base_values, explanation.base_values)


def test_equal_to_all_coalitions_of_a_fitted_classifier(fitted, clicks, variant):
    X, _ = clicks
    clf = fitted(variant)
    module = clf.net_.module_
    indices = torch.as_tensor(clf.encoder_.transform(X))
    with torch.no_grad():
        table = module.embedding(indices).double().numpy()
    baseline, params = table[:20].mean(0), to_numpy(module.body)
    options = {"rank": 2} if variant == "dwp" else {}
    explanation = shapley_values(clf, X[:3], background=X[:20])
    for i, x in enumerate(table[:3]):
        rows = masked(x, baseline, coalitions(6))
        game = frozen_logits(params, x, rows, variant, 2, 2, **options) + module.bias.item()
        near(explanation.values[i], shapley_by_coalitions(game))
        assert explanation.base_values[i] == pytest.approx(game[0], abs=1e-5)


def test_members_and_backgrounds_are_averaged(fitted, clicks):
    X, _ = clicks
    clf = fitted(n_members=2)
    single = [shapley_values(clf, X[:9], background=X[i : i + 1]) for i in range(3)]
    mean = shapley_values(clf, X[:9], background=X[:3], average="values")
    near(mean.values, np.mean([each.values for each in single], 0))
    near(mean.base_values, np.mean([each.base_values for each in single], 0))
    one = shapley_values(clf, X[:9], background=X[:1])
    near(one.values, shapley_values(clf, X[:9], background=X[:1], average="values").values, 1e-6)
    near(one.values[:1], np.zeros((1, 6)), 1e-6)  # the row is its own baseline
    base = shapley_values(clf, X[:9]).base_values
    bias = np.mean([member.bias.item() for member in clf.net_.module_])
    near(base, np.full(9, bias), 1e-6)


def test_classes_have_an_axis(three_classes):
    clf, X, _ = three_classes
    for options in ({}, {"background": X[:20]}):
        explanation = shapley_values(clf, X[:30], **options)
        assert explanation.values.shape == (30, 6, 3)
        assert explanation.output_names == ["late", "no", "yes"]
        logits = clf.decision_function(X[:30])
        near(explanation.base_values + explanation.values.sum(1), logits)
        pairs = shapley_interactions(clf, X[:30], **options)
        assert pairs.values.shape == (30, 6, 6, 3)
        near(pairs.values.sum(2), explanation.values)
    importances = field_importances(clf, X[:30])
    assert importances.shape == (6, 3)
    assert list(importances.columns) == ["late", "no", "yes"]
    assert interaction_strengths(clf, X[:30]).shape == (6, 6)


@pytest.mark.parametrize("n_layers", [0, 1, 4])
def test_depths(clicks, n_layers):
    X, y = clicks
    clf = fast(n_layers=n_layers).fit(X, y)
    explanation = shapley_values(clf, X[:20])
    near(explanation.base_values + explanation.values.sum(1), clf.decision_function(X[:20]))
    parts = order_decomposition(clf, X[:20])
    assert parts.shape == (20, n_layers + 2)
    near(parts.sum(1), clf.decision_function(X[:20]))
    if n_layers == 0:
        near(parts[:, 1], explanation.values.sum(1))
        pairs = shapley_interactions(clf, X[:20]).values
        assert np.abs(pairs * (1 - np.eye(6))).max() == 0


def test_lists_and_crosses():
    rng = np.random.default_rng(0)
    users, items = rng.choice(list("uvw"), 400), rng.choice(list("ijk"), 400)
    tags = ["|".join(rng.choice(list("abc"), rng.integers(0, 4))) for _ in users]
    X = pd.DataFrame({"user": users, "item": items, "tags": tags})
    y = (users == "u") ^ (items == "i")
    clf = fast(crosses=[("item", "user")], encoder=None).set_params(
        encoder__separators={"tags": "|"}
    )
    clf.fit(X, y)
    explanation = shapley_values(clf, X[:10])
    names = ["user", "item", "tags", "user:item", "target mean of user:item"]
    assert explanation.feature_names == names
    assert explanation.data.shape == (10, 5)
    assert explanation.data[0, 3] == (users[0], items[0])
    near(explanation.base_values + explanation.values.sum(1), clf.decision_function(X[:10]))
    columns = explanation.by_column()
    assert columns.feature_names == ["user", "item", "tags"]
    shared = explanation.values[:, 3:].sum(1) / 2
    near(columns.values[:, 0], explanation.values[:, 0] + shared, 1e-12)
    near(columns.values[:, 2], explanation.values[:, 2], 0)
    assert columns.data.tolist() == X[:10].astype(object).to_numpy().tolist()
    assert field_importances(clf, X, by="column").index.tolist() == ["user", "item", "tags"]
    encoded = EncodedData(clf.encoder_.transform(X[:10]), encoder=clf.encoder_)
    again = shapley_values(clf, encoded)
    near(again.values, explanation.values, 0)
    assert again.data[:, 0].tolist() == explanation.data[:, 0].tolist()
    copy = pickle.loads(pickle.dumps(again[3:5].by_column()))
    assert copy.data[:, :2].tolist() == columns.data[3:5, :2].tolist()
    near(copy.values, columns.values[3:5], 0)
    assert "values of shape (2, 3)" in repr(copy)
    with pytest.raises(ValueError, match="there are no rows"):
        shapley_values(clf, encoded[:0])
    with pytest.raises(ValueError, match="not of interactions"):
        shapley_interactions(clf, X[:2]).by_column()


def test_forms_of_rows(fitted, clicks):
    X, _ = clicks
    clf = fitted()
    explanation = shapley_values(clf, X[:4])
    rows = X[:4].to_dict("records")
    again = shapley_values(clf, rows)
    near(again.values, explanation.values, 0)
    assert again.feature_names == list(X)
    one = explanation[2]
    assert len(one) == 1
    near(one.values, explanation.values[2:3], 0)
    assert one.data.tolist() == explanation.data[2:3].tolist()


def test_blocks_and_threads_make_no_difference(fitted, clicks, variant):
    X, _ = clicks
    clf = fitted(variant)
    many = shapley_values(clf, X).values
    few = np.concatenate([shapley_values(clf, X[i : i + 100]).values for i in range(0, 600, 100)])
    near(many, few, 1e-6)
    torch.set_num_threads(2)
    try:
        near(shapley_values(clf, X).values, many, 0)
    finally:
        torch.set_num_threads(1)


# --- orders


def test_orders_sum_to_the_logit(fitted, clicks, three_classes, variant):
    X, _ = clicks
    clf = fitted(variant, n_members=2)
    parts = order_decomposition(clf, X[:40])
    assert parts.shape == (40, 4)
    near(parts.sum(1), clf.decision_function(X[:40]))
    near(parts[:, 0], shapley_values(clf, X[:40]).base_values)
    clf, X, _ = three_classes
    parts = order_decomposition(clf, X[:40])
    assert parts.shape == (40, 4, 3)
    near(parts.sum(1), clf.decision_function(X[:40]))


def test_an_order_has_its_degree(double_precision, clicks):
    """Embeddings that are t times as long make the part of order k t^k times as great."""
    X, y = clicks
    clf = fast(variant="pin", n_layers=3, n_knots=None, popularity=0).fit(X, y)
    before = order_decomposition(clf, X[:5])
    with torch.no_grad():
        clf.net_.module_.embedding.weight *= 2
    after = order_decomposition(clf, X[:5])
    assert after == pytest.approx(before * 2.0 ** np.arange(5), rel=1e-6)


# --- sampling


def test_sampling_agrees_where_nothing_is_dynamic(fitted, clicks):
    X, _ = clicks
    clf = fitted("pin", n_members=2)
    for options in ({}, {"background": X[:20]}):
        exact = shapley_values(clf, X[:20], **options)
        sampled = sampled_shapley_values(clf, X[:20], n_permutations=200, random_state=0, **options)
        near(sampled.base_values, exact.base_values)
        assert (np.abs(sampled.values - exact.values) <= 5 * sampled.errors + 1e-5).all()
        near(sampled.base_values + sampled.values.sum(1), clf.decision_function(X[:20]))


def test_sampling_shows_what_freezing_does(fitted, clicks):
    X, _ = clicks
    clf = fitted("da")
    exact = shapley_values(clf, X[:20], background=X)
    sampled = sampled_shapley_values(clf, X[:20], background=X, n_permutations=200, random_state=0)
    difference = np.abs(sampled.values - exact.values)
    assert (difference > 5 * sampled.errors + 1e-6).any()
    assert difference.max() < np.abs(exact.values).max()


@pytest.mark.parametrize("name", ["lr", "fm", "deepfm", "dcnv2"])
def test_sampling_takes_competitors(clicks, name):
    X, y = clicks
    clf = BaselineClassifier(name, max_epochs=2, hidden_units=(8,), random_state=0).fit(X, y)
    sampled = sampled_shapley_values(clf, X[:5], n_permutations=4, random_state=0)
    near(sampled.base_values + sampled.values.sum(1), clf.decision_function(X[:5]))
    again = sampled_shapley_values(clf, X[:5], n_permutations=4, random_state=0)
    near(again.values, sampled.values, 0)


def test_sampling_takes_hybrids_own_layers_and_classes(clicks, three_classes):
    X, y = clicks
    models = [
        fast(beside="fm").fit(X, y),
        DynIntClassifier(Square, n_members=2, max_epochs=2, random_state=0).fit(X, y),
        three_classes[0],
        BaselineClassifier("fm", max_epochs=2, random_state=0).fit(X, three_classes[2]),
    ]
    for clf in models:
        sampled = sampled_shapley_values(clf, X[:5], n_permutations=4, random_state=0)
        near(sampled.base_values + sampled.values.sum(1), clf.decision_function(X[:5]))
        assert sampled.errors.shape == sampled.values.shape
        assert len(sampled[:2].errors) == 2


# --- errors


def test_refusals(fitted, clicks):
    X, y = clicks
    hybrid = fast(beside="fm").fit(X, y)
    own = DynIntClassifier(Square, n_members=1, max_epochs=1, random_state=0).fit(X, y)
    competitor = BaselineClassifier("lr", max_epochs=1).fit(X, y)
    needs = "need the interaction layers 'pin', 'da', 'dgp', 'dwp' alone: a DynIntClassifier"
    for clf, got in [
        (hybrid, "a Hybrid; sampled_shapley_values takes any model"),
        (own, "layers of type Square"),
        (competitor, "a LogisticRegression"),
    ]:
        with pytest.raises(ValueError, match=f"exact Shapley values {needs}.*not {got}"):
            shapley_values(clf, X[:2])
        with pytest.raises(ValueError, match="exact Shapley interactions need"):
            shapley_interactions(clf, X[:2])
        with pytest.raises(ValueError, match=f"orders of interaction {needs}"):
            order_decomposition(clf, X[:2])
    deep = fast(n_layers=9, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="n_layers <= 8, got 9; sampled_shapley_values takes"):
        shapley_values(deep, X[:2])
    assert order_decomposition(deep, X[:2]).shape == (2, 11)
    with pytest.raises(TypeError, match="must be a DynIntClassifier or a BaselineClassifier"):
        shapley_values("clf", X)
    with pytest.raises(ValueError, match="not fitted"):
        shapley_values(fast(), X)
    clf = fitted()
    with pytest.raises(ValueError, match="average='mean'; it must be 'vectors' or 'values'"):
        shapley_values(clf, X[:2], average="mean")
    with pytest.raises(ValueError, match="by='columns'; it must be 'field' or 'column'"):
        field_importances(clf, X[:2], by="columns")
    for n in (2, 5, 4.0):
        with pytest.raises(ValueError, match=f"n_permutations={n}; it must be an even number"):
            sampled_shapley_values(clf, X[:2], n_permutations=n)


# --- means over rows, shap


def test_importances_and_strengths_are_means(fitted, clicks):
    X, _ = clicks
    clf = fitted()
    importances = field_importances(clf, X[:30], background=X)
    values = shapley_values(clf, X[:30], background=X).values
    assert importances.index.tolist() == list(X)
    assert importances.index.name == "field"
    near(importances.to_numpy(), np.abs(values).mean(0), 1e-12)
    strengths = interaction_strengths(clf, X[:30], background=X)
    pairs = shapley_interactions(clf, X[:30], background=X).values
    near(strengths.to_numpy(), 2 * np.abs(pairs).mean(0) * (1 - np.eye(6)), 1e-12)
    assert list(strengths.index) == list(strengths.columns) == list(X)


def test_shap_takes_it(fitted, clicks, three_classes):
    shap = pytest.importorskip("shap")
    X, _ = clicks
    explanation = shapley_values(fitted(), X[:5])
    theirs = explanation.to_shap()
    assert isinstance(theirs, shap.Explanation)
    near(theirs.values, explanation.values, 0)
    near(theirs.base_values, explanation.base_values, 0)
    assert list(theirs.feature_names) == list(X)
    clf, X, _ = three_classes
    assert list(shapley_values(clf, X[:5]).to_shap().output_names) == ["late", "no", "yes"]


def test_without_shap(fitted, clicks, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match="pip install shap"):
        shapley_values(fitted(), clicks[0][:2]).to_shap()


def test_corrected_probabilities(clicks):
    """Values and orders sum to the logit that is corrected for negatives left out."""
    X, y = clicks
    model = fast(negative_sampling_rate=0.1).fit(X, y)
    logits = model.decision_function(X)
    for explanation in (shapley_values(model, X), sampled_shapley_values(model, X, background=X)):
        total = explanation.base_values + explanation.values.sum(1)
        np.testing.assert_allclose(total, logits, atol=1e-5)
    np.testing.assert_allclose(order_decomposition(model, X).sum(1), logits, atol=1e-5)
