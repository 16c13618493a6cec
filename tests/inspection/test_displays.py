"""Pictures: what is in them, and that they need matplotlib only when they are drawn."""

import sys

import numpy as np
import pandas as pd
import pytest

from sk_dynint import BaselineClassifier
from sk_dynint.inspection import (
    EmbeddingSparsityDisplay,
    ExplanationDisplay,
    InteractionDisplay,
    TrainingDisplay,
    field_importances,
    interaction_strengths,
    sampled_shapley_values,
    shapley_interactions,
    shapley_values,
)
from sk_dynint.inspection._plotting import cell
from tests.conftest import fast

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def texts(labels):
    return [label.get_text() for label in labels]


def widths(display):
    return [bar.get_width() for bar in display.bars_]


def drawn(display):
    """The display, after matplotlib has laid it out without a warning."""
    display.figure_.canvas.draw()
    return display


def test_one_row_has_signed_bars(fitted, clicks):
    X, _ = clicks
    row = X[5:6]
    clf, explanation = fitted(), shapley_values(fitted(), row, background=X)
    display = drawn(ExplanationDisplay.from_estimator(clf, row, background=X))
    order = np.argsort(-abs(explanation.values[0]))
    assert widths(display) == pytest.approx(explanation.values[0][order])
    assert display.ax_.get_xlabel() == "Shapley value (log-odds)"
    names = texts(display.ax_.get_yticklabels())
    assert [name.split(" = ")[0] for name in names] == [list(X)[j] for j in order]
    site = row["site"].iloc[0]
    assert f"site = {'missing' if pd.isna(site) else site}" in names
    assert "mobile = " + str(row["mobile"].iloc[0]) in names
    title = display.ax_.get_title()
    assert f"logit {clf.decision_function(row)[0]:.3f}" in title
    colors = {bar.get_facecolor() for bar in display.bars_}
    assert len(colors) == len({value > 0 for value in display.values})


def test_several_rows_have_importances(fitted, clicks):
    X, _ = clicks
    display = drawn(ExplanationDisplay.from_estimator(fitted(), X[:30]))
    importances = field_importances(fitted(), X[:30]).sort_values(ascending=False)
    assert widths(display) == pytest.approx(importances.tolist())
    assert texts(display.ax_.get_yticklabels()) == importances.index.tolist()
    assert display.ax_.get_xlabel() == "mean |Shapley value| (log-odds)"
    assert display.ax_.get_title() == "logits of 30 rows"


def test_the_rest_is_one_bar(fitted, clicks):
    X, _ = clicks
    for rows, label in ((X[:1], "sum of 4 others"), (X[:9], "sum over 4 others")):
        whole = ExplanationDisplay.from_estimator(fitted(), rows)
        display = ExplanationDisplay.from_estimator(fitted(), rows, max_display=3)
        assert texts(display.ax_.get_yticklabels())[-1] == label
        assert len(display.bars_) == 3
        assert sum(widths(display)) == pytest.approx(sum(widths(whole)))


def test_estimates_have_error_bars(fitted, clicks):
    X, _ = clicks
    sampled = sampled_shapley_values(fitted(), X[:1], n_permutations=8, random_state=0)
    display = drawn(ExplanationDisplay.from_explanation(sampled))
    assert display.bars_.errorbar is not None
    order = np.argsort(-abs(sampled.values[0]), kind="stable")
    assert display.errors == pytest.approx(sampled.errors[0][order])


def test_classes_and_columns(three_classes):
    clf, X, _ = three_classes
    display = ExplanationDisplay.from_estimator(clf, X[:1], output="late", by="column")
    values = shapley_values(clf, X[:1]).values[0, :, 0]
    assert sorted(widths(display)) == pytest.approx(sorted(values))
    assert display.ax_.get_title().startswith("logit of late")
    with pytest.raises(ValueError, match=r"output=None; it must be one of the classes \['late'"):
        ExplanationDisplay.from_estimator(clf, X[:1])


def test_explanations_that_cannot_be_drawn(fitted, clicks):
    X, _ = clicks
    with pytest.raises(ValueError, match="one logit only"):
        ExplanationDisplay.from_estimator(fitted(), X[:1], output=1)
    with pytest.raises(ValueError, match="max_display=1"):
        ExplanationDisplay.from_estimator(fitted(), X[:1], max_display=1)
    with pytest.raises(ValueError, match="by='x'"):
        ExplanationDisplay.from_estimator(fitted(), X[:1], by="x")
    with pytest.raises(ValueError, match="InteractionDisplay plots them"):
        ExplanationDisplay.from_explanation(shapley_interactions(fitted(), X[:1]))


def test_heat_map(fitted, clicks):
    X, _ = clicks
    figure, ax = plt.subplots()
    display = drawn(InteractionDisplay.from_estimator(fitted(), X[:20], background=X, ax=ax))
    assert display.ax_ is ax
    assert display.figure_ is figure
    strengths = interaction_strengths(fitted(), X[:20], background=X)
    cells = display.image_.get_array()
    assert cells.mask.tolist() == np.eye(6, dtype=bool).tolist()
    assert cells.filled(0) == pytest.approx(strengths.to_numpy())
    assert texts(ax.get_xticklabels()) == texts(ax.get_yticklabels()) == list(X)
    assert display.colorbar_.ax.get_ylabel() == "mean |interaction| (log-odds)"


def test_course_of_training(fitted):
    clf = fitted()
    display = drawn(TrainingDisplay.from_estimator(clf))
    history = clf.history_
    for column, line in display.lines_.items():
        assert line.get_ydata() == pytest.approx(history[column].to_numpy(), nan_ok=True)
        assert line.get_xdata() == pytest.approx(history["step"].to_numpy())
    assert set(display.lines_) == {"train_loss", "valid_loss", "valid_auc"}
    assert display.ax_.get_xlabel() == "training step"
    assert display.ax_.get_ylabel() == "mean cross-entropy (nats)"
    assert display.auc_ax_.get_ylabel() == "AUC"
    (legend,) = display.figure_.legends
    assert f"best: step {clf.best_step_:,}" in texts(legend.get_texts())


def test_course_without_validation_rows(clicks):
    clf = fast(early_stopping=False).fit(*clicks)
    _, ax = plt.subplots()
    display = drawn(TrainingDisplay.from_estimator(clf, ax=ax))
    assert display.auc_ax_ is None
    assert texts(ax.get_legend().get_texts()) == ["training loss"]


def test_sparsity(clicks):
    X, y = clicks
    options = {"embedding_optimizer_params": {"l1": 30.0}}
    clf = fast(n_members=2, **options).fit(X, y)
    display = drawn(EmbeddingSparsityDisplay.from_estimator(clf))
    sizes = clf.encoder_.cardinalities_
    assert clf.n_pruned_rows_ == pytest.approx(2 * np.sum(display.n_zero))
    assert clf.n_pruned_rows_ > 0
    assert widths(display) == pytest.approx(100 * np.asarray(display.n_zero) / sizes)
    assert texts(display.ax_.get_yticklabels()) == list(X)
    assert "(%)" in display.ax_.get_xlabel()
    clf = BaselineClassifier("fm", max_epochs=1).fit(X, y)
    assert len(EmbeddingSparsityDisplay.from_estimator(clf).bars_) == 6


def test_cells_as_texts():
    cells = [None, np.nan, pd.NaT, 2.5, np.float32(1 / 3), ("u", None), ["a", 1.0], True, "x"]
    expected = ["missing"] * 3 + ["2.5", "0.333333", "u & missing", "a, 1", "True", "x"]
    assert [cell(value) for value in cells] == expected


def test_names_that_would_break_a_plot(fitted, clicks):
    X, y = clicks
    X = X[["site", "hour"]].rename(columns={"site": "cost in $ per $", "hour": "h" * 80})
    display = drawn(ExplanationDisplay.from_estimator(fast().fit(X, y), X[:50]))
    names = texts(display.ax_.get_yticklabels())
    assert max(map(len, names)) <= 44
    assert any(name.startswith(r"cost in \$") for name in names)


def test_without_matplotlib(fitted, clicks, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for display in (ExplanationDisplay, InteractionDisplay):
        with pytest.raises(ImportError, match=r"pip install 'sk-dynint\[plot\]'"):
            display.from_estimator(fitted(), clicks[0][:2])
    for display in (TrainingDisplay, EmbeddingSparsityDisplay):
        with pytest.raises(ImportError, match=r"pip install 'sk-dynint\[plot\]'"):
            display.from_estimator(fitted())
