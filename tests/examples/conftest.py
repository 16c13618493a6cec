"""The scripts of examples/paper are no package: they import from the folder they are in."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "paper"))

import experiments
import results
import runner
from spaces import DYNAMIC

ROOT = Path(__file__).parents[2]


def make_up(names, data="synthetic", grid="quick", seeds=2):
    """Runs with random scores, for tests that need no training."""
    rng = np.random.default_rng(0)
    pairs = runner.plan(runner.Task(data, None, names), grid)
    return pd.DataFrame([_line(rng, data, grid, *pair, s) for pair in pairs for s in range(seeds)])


def _line(rng, data, grid, model, config, seed):
    auc, logloss = 0.7 + 0.05 * rng.random(), 0.4 + 0.05 * rng.random()
    history = [[10 * i, logloss + 0.1 / i, auc - 0.1 / i] for i in range(1, 4 + seed)]
    values = [[1.0, 0.5, 0.1]] * config.get("n_layers", 1) if model == "pin" else []
    return {
        **{"data": data, "grid": grid, "model": model, "seed": seed},
        **{"config": results.text_of(grid, config)},
        **{"n_train": 70, "n_valid": 10, "n_test": 20, "n_parameters": 5.0, "n_steps": 30.0},
        **{"valid_auc": auc, "valid_logloss": logloss, "auc": auc, "logloss": logloss},
        **{
            "seconds": 1.0,
            "cpu_seconds": 2.0,
            "history": json.dumps(history),
            "error": "",
            "fingerprint": "x",
        },
        **{"singular_values": json.dumps(values)},
    }


@pytest.fixture(scope="session")
def runs():
    """Runs of all experiments with two seeds, scores made up."""
    return make_up(tuple(experiments.EXPERIMENTS))


@pytest.fixture
def tiny(monkeypatch):
    """An experiment of two models with two configurations each, on 300 rows."""

    def plan(grid, data, n=None):
        small = {"n_layers": 1, "n_subspaces": 1, "max_epochs": 3}
        return [
            experiments.Cell("", "LR", None, "lr", [{"lr": 0.1}, {"lr": 0.01}]),
            experiments.Cell("", DYNAMIC[0], None, "da", [small, small | {"n_layers": 2}]),
        ]

    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", plan)
    return runner.Task("synthetic", None, ("tiny",))
