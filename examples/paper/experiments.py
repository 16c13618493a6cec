"""The tables and figures of the paper's section 4, each as a list of cells to fill with runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from published import NAMES, NEWER
from spaces import (
    DGP_RANKS,
    DWP_RANKS,
    DYNAMIC,
    PENALTIES,
    REDUCTION,
    SETTINGS,
    SUBSPACES,
    WITHOUT_DNN,
    Config,
    configurations,
    fixed,
)


class Cell(NamedTuple):
    """One entry of a table or one point of a curve: a model, and configurations to choose from.

    With several configurations, the first seed tries them all, and the one with the lowest
    validation logloss is trained with the other seeds. Scores on the test part play no role in the
    choice.
    """

    panel: str
    group: str
    x: Any
    model: str
    configs: list[Config]


def table1(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """All models, each tuned, and newer ones."""
    names = NAMES | NEWER
    return [Cell("", names[m], None, m, configurations(grid, m, n)) for m in names]


def table2(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Interaction layers without a DNN, each tuned."""
    cells = []
    for model in (*WITHOUT_DNN, "pin", *DYNAMIC):
        # Models that never have a DNN share the runs of Table 1.
        configs = configurations(grid, model, n, deep=model not in WITHOUT_DNN)
        cells.append(Cell("", NAMES[model], None, model, configs))
    return cells


def table3(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Number of layers, with one sub-space."""
    return _vary("", DYNAMIC, "n_layers", range(6), fixed(grid, data) | {"n_subspaces": 1})


def table4(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Number of sub-spaces, with three layers."""
    dim = SETTINGS[grid]["embedding_dim"]
    subspaces = [h for h in SUBSPACES["n_subspaces"] if dim % h == 0]
    return _vary("", DYNAMIC, "n_subspaces", subspaces, fixed(grid, data) | {"n_layers": 3})


def figure4(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Singular values of the mixing matrices of the static model."""
    return [Cell("", NAMES["pin"], None, "pin", [fixed(grid, data)])]


def figure6(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Kernel size of DGP, and rank of DWP."""
    base = fixed(grid, data)
    return [
        *_vary("kernel size", ["dgp"], "rank", DGP_RANKS, base),
        *_vary("latent rank", ["dwp"], "rank", DWP_RANKS, base),
    ]


def figure7(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Reduction ratio, and orthogonal penalty."""
    base = fixed(grid, data)
    return [
        *_vary("reduction ratio", DYNAMIC, "reduction", REDUCTION["reduction"], base),
        *_vary("orthogonal penalty", ["dgp", "dwp"], "orthogonal_penalty", PENALTIES, base),
    ]


def _vary(
    panel: str, models: Iterable[str], name: str, values: Iterable[Any], base: Config
) -> list[Cell]:
    """Return a cell for each model and value of a hyper-parameter; the rest stays as in `base`."""
    return [
        Cell(panel, NAMES[model], value, model, [canonical(base | {name: value})])
        for model in models
        for value in values
    ]


def canonical(config: Config) -> Config:
    """Leave out values that are the default, so that experiments share runs."""
    defaults = {"orthogonal_penalty": 0.0, "reduction": 16}
    return {name: value for name, value in config.items() if defaults.get(name) != value}


EXPERIMENTS: dict[str, Callable[..., list[Cell]]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "figure4": figure4,
    "figure6": figure6,
    "figure7": figure7,
}
"""Name -> function from grid, data set and number of configurations to the cells."""

ON_CRITEO_ALONE = ("table2", "figure4", "figure6", "figure7")
"""Experiments that the paper shows on one data set only."""
