"""examples/paper: the paper's ranges, and the same number of configurations for every model."""

import itertools

import experiments
import pytest
import spaces
from published import NAMES, NEWER, PUBLISHED
from results import text_of
from runner import make_estimator
from spaces import (
    DYNAMIC,
    LISTED,
    MILLION,
    MIN_COUNT,
    PAPER,
    QUICK,
    SETTINGS,
    WITHOUT_DNN,
    LogRange,
    configurations,
    draw,
)

from sk_dynint.comparison import make_model

BY_FTRL = ("lr", "fm", "pin", *DYNAMIC)
DEEP = [m for m in PAPER if m not in (*BY_FTRL, *NEWER)]


def test_models_are_those_of_the_paper():
    assert {*NAMES, *NEWER} == set(PAPER) == set(QUICK) == set(MILLION)
    assert not set(NAMES) & set(NEWER)
    assert set(NEWER) == set(spaces.NEWER)
    assert list(NAMES.values()) == list(PUBLISHED["table1"]["criteo"])


@pytest.mark.parametrize("model", PAPER)
def test_ranges_of_the_paper(model):
    space = PAPER[model]
    if model not in BY_FTRL:
        assert space["lr"] == LogRange(1e-4, 1e-3)
        assert space["l2"] == LogRange(1e-4, 1e-3)
    if model in DEEP:
        assert space["hidden_layers"] == (1, 2, 3, 4)
        assert (min(space["units"]), max(space["units"])) == (128, 1024)
    if model in BY_FTRL:
        assert space["lr"] == LogRange(1e-2, 1e-1)
    if "n_layers" in space:
        assert space["n_layers"] == (1, 2, 3, 4)
    if model in ("pin", *DYNAMIC):
        assert space["n_subspaces"] == (1, 2, 4, 8, 16)
    if model in DYNAMIC:
        assert (min(space["reduction"]), max(space["reduction"])) == (2, 16)
    if model == "dgp":
        assert (min(space["rank"]), max(space["rank"])) == (16, 128)
    if model == "dwp":
        assert space["rank"] == (1, 2, 3, 4)


def test_settings_of_the_paper():
    paper = SETTINGS["paper"]
    assert (paper["batch_size"], paper["embedding_dim"], paper["eval_every"]) == (4096, 16, 2000)
    assert MIN_COUNT["paper"] == 20


@pytest.mark.parametrize("grid", SETTINGS)
def test_models_are_tuned_equally(grid):
    for table in (experiments.table1, experiments.table2):
        cells = table(grid, "criteo")
        assert len({len(cell.configs) for cell in cells}) == 1
        for cell in cells:
            texts = {text_of(grid, config) for config in cell.configs}
            assert len(texts) == len(cell.configs)


@pytest.mark.parametrize("model", PAPER)
def test_every_model_tries_a_penalty_on_its_table_and_networks_dropout(model):
    """As DynInt does: nothing else stops rare levels from overfitting."""
    assert "table_l2" in PAPER[model]
    assert ("dropout" in PAPER[model]) == (model not in BY_FTRL)
    for grid in LISTED:
        estimators = [make_estimator(model, c, grid, 100) for c in configurations(grid, model)]
        tables = [(e.embedding_optimizer_params or {}).get("l2", 0) for e in estimators]
        assert sum(l2 > 0 for l2 in tables) >= 2
        if model not in BY_FTRL:
            assert max(e.dropout for e in estimators) > 0


def test_the_penalty_of_the_table_is_not_that_of_the_body():
    config = {"lr": 0.01, "l2": 0.3, "table_l2": 0.2}
    deep = make_estimator("dcnv2", config, "quick", 100)
    assert deep.optimizer_params == {"l2": 0.3}
    assert deep.embedding_optimizer_params == {"l2": 0.2}
    dynamic = make_estimator("da", {"lr": 0.01, "table_l2": 5.0}, "quick", 100)
    assert dynamic.embedding_optimizer_params == {"lr": 0.01, "l2": 5.0}


def test_more_configurations_than_there_are_is_an_error():
    """It was sought for ever."""
    with pytest.raises(ValueError, match=r"lr has hardly more than \d+ configurations"):
        draw({"lr": LogRange(1e-2, 1e-1)}, 1000, seed="lr")


@pytest.mark.parametrize("model", PAPER)
def test_more_configurations_extend_fewer(model):
    assert configurations("paper", model, 6)[:4] == configurations("paper", model, 4)
    for config in configurations("paper", model, 50):
        for name, value in config.items():
            allowed = PAPER[model][name]
            if isinstance(allowed, LogRange):
                assert allowed.low <= value <= allowed.high
            else:
                assert value in allowed


@pytest.mark.parametrize("grid", SETTINGS)
@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_configuration_makes_an_estimator(grid, name):
    for cell in experiments.EXPERIMENTS[name](grid, "criteo"):
        for config in cell.configs:
            classifier = make_estimator(cell.model, config, grid, 100)
            assert type(classifier) is type(make_model(cell.model))
            classifier._make_body()


def test_points_of_the_tables_and_figures():
    def points(name, grid="paper"):
        return {
            panel: sorted({cell.x for cell in cells})
            for panel, cells in itertools.groupby(
                experiments.EXPERIMENTS[name](grid, "criteo"), lambda cell: cell.panel
            )
        }

    assert points("table3") == {"": [0, 1, 2, 3, 4, 5]}
    assert points("table4") == {"": [1, 2, 4, 8, 16]}
    assert points("figure6") == {"kernel size": [16, 32, 64, 128], "latent rank": [1, 2, 3, 4]}
    assert points("figure7")["reduction ratio"] == [2, 4, 8, 16]
    assert 0.0 in points("figure7")["orthogonal penalty"]
    models = {cell.model for cell in experiments.table2("paper", "criteo")}
    assert models == {*WITHOUT_DNN, "pin", *DYNAMIC}


def test_table2_has_no_dnn_and_shares_the_other_runs():
    table1 = {cell.model: cell.configs for cell in experiments.table1("quick", "criteo")}
    for cell in experiments.table2("quick", "criteo"):
        if cell.model in WITHOUT_DNN:
            assert all(config["deep"] is False for config in cell.configs)
        else:
            assert cell.configs == table1[cell.model]


def test_short_passes_are_evaluated_once():
    config = configurations("paper", "da", 1)[0]
    assert make_estimator("da", config, "paper", 17).eval_every == 17
    assert make_estimator("da", config, "paper", 7_800).eval_every == 2000
    assert make_estimator("da", config, "paper", 17).embedding_optimizer_params == {
        "lr": config["lr"],
        "l2": config["table_l2"],
    }
