"""Finished runs: the file that holds them, and the runs and means that an experiment shows.

A run is a model with one configuration on one data set and seed. The file does not say for which
experiment a run was made, so that tables and figures that need the same run share it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from experiments import EXPERIMENTS, Cell
from spaces import SETTINGS, Config

from sk_dynint.comparison import RunsFile

COLUMNS: dict[str, type] = {
    **{"data": str, "grid": str, "model": str, "config": str, "seed": int},
    **{"n_train": int, "n_valid": int, "n_test": int},
    **{"valid_auc": float, "valid_logloss": float, "auc": float, "logloss": float},
    **{"n_parameters": float, "n_steps": float, "seconds": float, "cpu_seconds": float},
    **{"history": str, "singular_values": str, "error": str, "fingerprint": str},
}
"""`history` is a JSON list of [step, validation logloss, validation AUC]; `singular_values` has
a list for each layer of the static model; `error` says why there are no scores."""

KEY = ("data", "grid", "model", "config", "seed")
"""The columns that identify a run."""

Run = dict[str, Any]
Key = tuple[str, str, str, str, int]


class PaperRuns(RunsFile):
    """The CSV file of runs; without a path, a list of runs in memory."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__(path, COLUMNS, KEY)

    def holds(self, data: str, grid: str) -> bool:
        """Whether there are runs of a data set."""
        return any((run["data"], run["grid"]) == (data, grid) for run in self.runs.values())

    def check(self, data: str, grid: str, fingerprint: str) -> None:
        """Refuse a file that has runs of the same data set on other rows."""
        for run in self.runs.values():
            if (run["data"], run["grid"]) == (data, grid) and run["fingerprint"] != fingerprint:
                n_rows = run["n_train"] + run["n_valid"] + run["n_test"]
                raise ValueError(
                    f"{self.path} holds runs of {data!r} on other rows ({n_rows} of them), or with "
                    f"another encoding (fingerprint {run['fingerprint']}, not {fingerprint}); "
                    "choose another file."
                )


def text_of(grid: str, config: Config) -> str:
    """Return the whole configuration, with the settings of the grid, as JSON."""
    return json.dumps(SETTINGS[grid] | config, sort_keys=True)


def tuned(cell: Cell, data: str, grid: str, runs: Mapping[Key, Run]) -> Config | None:
    """Return the configuration with the lowest validation logloss.

    The first seed that tried all configurations of the cell decides. None if no seed has, or if
    there are several and all of them diverged.
    """
    keys = [(data, grid, cell.model, text_of(grid, config)) for config in cell.configs]
    for seed in sorted({seed for *_, seed in runs}):
        if all((*key, seed) in runs for key in keys):
            if len(keys) == 1:
                return cell.configs[0]
            losses = [runs[(*key, seed)]["valid_logloss"] for key in keys]
            return None if np.isnan(losses).all() else cell.configs[int(np.nanargmin(losses))]
    return None


def chosen(
    runs: pd.DataFrame, name: str, data: str, grid: str, n_configurations: int | None = None
) -> pd.DataFrame:
    """Return the runs that an experiment shows: one for each cell and seed.

    A cell that is not :func:`tuned` yet has none.
    """
    by_key = {tuple(run[name] for name in KEY): run for run in runs.to_dict("records")}
    seeds = sorted(set(runs["seed"]))
    cells = EXPERIMENTS[name](grid, data, n_configurations)
    groups = {cell.panel: len({c.group for c in cells if c.panel == cell.panel}) for cell in cells}
    lines = []
    for cell in cells:
        if (best := tuned(cell, data, grid, by_key)) is None:
            continue
        about = {"panel": cell.panel, "group": cell.group, "x": cell.x}
        about |= {"n_groups": groups[cell.panel]}
        of_seeds = (by_key.get((data, grid, cell.model, text_of(grid, best), s)) for s in seeds)
        lines += [about | run for run in of_seeds if run and not np.isnan(run["valid_logloss"])]
    columns = dict.fromkeys(["panel", "group", "x", "n_groups", *COLUMNS])
    return pd.DataFrame(lines, columns=list(columns))


def made(
    runs: pd.DataFrame, n_configurations: int | None = None
) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Yield name, data set, grid and runs of each experiment that is at least half made.

    An experiment with fewer runs was not asked for: its runs were made for another one.
    """
    for (data, grid), mine in runs.groupby(["data", "grid"]):
        for name, cells_of in EXPERIMENTS.items():
            counting = chosen(mine, name, data, grid, n_configurations)
            n_cells = len(cells_of(grid, data, n_configurations))
            if 2 * len(counting) >= n_cells * mine["seed"].nunique():
                yield name, data, grid, counting


def averaged(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the variants of each seed, as the paper does; seeds that lack one are left out."""
    points = runs.groupby(["panel", "x", "seed"], sort=False)
    means = points[["auc", "logloss", "n_groups"]].mean().assign(n=points.size()).reset_index()
    return means[means["n"] == means["n_groups"]].assign(group="mean")


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and number of seeds of each cell, in the order of cells."""
    cells = runs.groupby(["panel", "group", "x"], sort=False, dropna=False)
    scores = {}
    for score in ("auc", "logloss"):
        scores |= {score: cells[score].mean(), f"{score}_sd": cells[score].std()}
    return pd.DataFrame({"n_seeds": cells.size()} | scores).reset_index()
