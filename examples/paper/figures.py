"""Draw all figures again from files of runs.

    python examples/paper/figures.py paper_runs.csv --out figures

writes a PNG for each experiment, data set and grid in the files: differences from the static model
with intervals that are paired by seed (Tables 1 and 2), curves of Tables 3 and 4, singular values
(Figure 4), kernel size and rank (Figure 6), reduction ratio and orthogonal penalty with its
convergence (Figure 7).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from report import AVERAGED, REFERENCE, TITLES, random_spectrum, read_runs
from results import averaged, made, summary

from sk_dynint import ComparisonDisplay

STYLES = {
    "DynInt-DA": {"color": "#0072B2", "marker": "o"},
    "DynInt-DGP": {"color": "#E69F00", "marker": "s"},
    "DynInt-DWP": {"color": "#009E73", "marker": "D"},
    "mean": {"color": "black", "marker": "v", "linewidth": 2},
}
DODGE = 0.08  # how far apart points of one value are, in distances of two values
SCORES = {"auc": "test AUC", "logloss": "test logloss"}


def new_figure(n_rows: int, n_columns: int, width: float, height: float) -> tuple[Figure, Any]:
    """Return a figure that needs no screen, and its axes as an array of two dimensions."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def differences(runs: pd.DataFrame) -> Figure:
    """Draw how far each model is from the static one, the best AUC on top, with 95 % intervals.

    The scores of a split are compared with each other: splits differ more than models do, so the
    deviations of the scores themselves tell little.
    """
    runs = runs.assign(model=runs["group"])
    means = runs.groupby("model", sort=False)["auc"].mean().sort_values(ascending=False)
    runs = runs.set_index("model").loc[means.index].reset_index()
    reference = REFERENCE if REFERENCE in means else means.index[0]
    figure, axes = new_figure(1, 2, 10, 1 + 0.3 * len(means))
    for ax, score in zip(axes[0], SCORES, strict=True):
        ComparisonDisplay.from_runs(runs, metric=score, reference=reference, ax=ax)
        ax.set_xlabel(f"{SCORES[score]} minus that of {reference} (paired 95 % interval)")
        ax.locator_params(axis="x", nbins=6)
    axes[0, 1].set_yticklabels([])
    return figure


def curves(runs: pd.DataFrame, xlabel: str, mean_of_groups: bool) -> Figure:
    """Draw scores over a hyper-parameter: a line for each variant, and their mean."""
    figure, axes = new_figure(1, 2, 9, 3.5)
    _draw_curves(axes[0], runs, xlabel, mean_of_groups)
    return figure


def _draw_curves(axes: Any, runs: pd.DataFrame, xlabel: str, mean_of_groups: bool) -> None:
    parts = dict(iter(runs.groupby("group", sort=False)))
    if mean_of_groups and len(mean := averaged(runs)):
        parts["mean"] = mean
    values = pd.Series(sorted(runs["x"].unique()))
    distance = np.diff(_positions(values)).min() if len(values) > 1 else 1.0
    for ax, (score, label) in zip(axes, SCORES.items(), strict=True):
        for i, (group, part) in enumerate(parts.items()):
            scores = summary(part).sort_values("x")
            sd = scores[f"{score}_sd"] if scores[f"{score}_sd"].notna().all() else None
            x = _positions(scores["x"]) + DODGE * distance * (i - (len(parts) - 1) / 2)
            ax.errorbar(x, scores[score], yerr=sd, capsize=3, label=group, **STYLES[group])
        ax.set_xticks(_positions(values), [f"{value:g}" for value in values])
        ax.set(xlabel=xlabel, ylabel=f"{label}, mean ± sd of seeds")
        ax.grid(axis="y", alpha=0.3)
    axes[0].legend(fontsize="small")


def _positions(values: pd.Series) -> np.ndarray:
    """Return log2 for powers of two, the exponents of ten (0 one below), else the values."""
    x = values.to_numpy(dtype=float)
    if x.max() >= 16 or set(x) == {1, 2, 4, 8}:
        return np.log2(x)
    if x.max() <= 0.1:
        least = x[x > 0].min() if (x > 0).any() else 1.0
        return np.log10(np.where(x > 0, x, least / 10))
    return x


def spectrum(runs: pd.DataFrame) -> Figure:
    """Draw the singular values of W of each layer, divided by the first; mean and range over seeds.

    A dashed line shows those of a random matrix, as training starts with, for comparison.
    """
    figure, axes = new_figure(1, 1, 5, 3.5)
    ax = axes[0, 0]
    by_seed = [np.array(json.loads(text)) for text in runs["singular_values"]]
    for layer in range(len(by_seed[0])):
        values = np.stack([seed[layer] for seed in by_seed])
        x = np.arange(1, values.shape[1] + 1)
        ax.plot(x, values.mean(0), label=f"layer {layer + 1}")
        ax.fill_between(x, values.min(0), values.max(0), alpha=0.2)
    start = random_spectrum(values.shape[1])
    ax.plot(np.arange(1, len(start) + 1), start, "k--", label="random start")
    ax.set(xlabel="index", ylabel="singular value / greatest", ylim=(0, None))
    ax.legend()
    ax.grid(alpha=0.3)
    return figure


def two_panels(runs: pd.DataFrame, mean_of_groups: bool) -> Figure:
    """Draw a row of axes for each panel."""
    panels = list(runs.groupby("panel", sort=False))
    figure, axes = new_figure(len(panels), 2, 9, 3.2 * len(panels))
    for row, (panel, part) in zip(axes, panels, strict=True):
        _draw_curves(row, part, str(panel), mean_of_groups)
    return figure


def figure7(runs: pd.DataFrame) -> Figure:
    """Draw panels, and below them validation scores over training steps by penalty."""
    panels = list(runs.groupby("panel", sort=False))
    figure, axes = new_figure(len(panels) + 1, 2, 9, 3.2 * (len(panels) + 1))
    for row, (panel, part) in zip(axes, panels, strict=False):
        _draw_curves(row, part, str(panel), mean_of_groups=True)
    penalty = runs[runs["panel"] == "orthogonal penalty"]
    values = sorted(penalty["x"].unique())
    for ax, (column, label) in zip(axes[-1], ((2, "AUC"), (1, "logloss")), strict=True):
        for value, shade in zip(values, np.linspace(0, 0.9, len(values)), strict=True):
            steps, mean = convergence(penalty[penalty["x"] == value]["history"], column)
            ax.plot(steps, mean, color=colormaps["viridis"](shade), label=f"λ = {value:g}")
        ax.set(xlabel="training steps", ylabel=f"validation {label}, mean")
        ax.grid(alpha=0.3)
    if len(penalty):
        axes[-1, 0].legend(fontsize="small")
    return figure


def convergence(histories: pd.Series, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and the mean score of several runs, up to the end of the shortest."""
    curves = [np.array(json.loads(text)) for text in histories]
    length = min(len(curve) for curve in curves)
    return curves[0][:length, 0], np.mean([curve[:length, column] for curve in curves], axis=0)


def draw(name: str, runs: pd.DataFrame) -> Figure:
    """Draw an experiment from the runs that count for it."""
    if name in ("table1", "table2"):
        return differences(runs)
    if name == "figure4":
        return spectrum(runs)
    if name == "figure6":
        return two_panels(runs, mean_of_groups=False)
    if name == "figure7":
        return figure7(runs)
    label = {"table3": "number of layers", "table4": "number of sub-spaces"}[name]
    return curves(runs, label, name in AVERAGED)


def draw_all(
    runs: pd.DataFrame, folder: str | Path, n_configurations: int | None = None
) -> list[Path]:
    """Write a picture for each experiment, data set and grid of which half has been made."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = []
    for name, data, grid, counting in made(runs, n_configurations):
        figure = draw(name, counting)
        figure.suptitle(f"{TITLES[name]} ({data}, {grid})", fontsize="medium")
        paths.append(Path(folder) / f"{name}_{data}_{grid}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the figures of files of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="+", help="files of runs")
    parser.add_argument("--out", default="figures", help="folder")
    parser.add_argument("--configurations", type=int, help="as in the runs, if it was given there")
    args = parser.parse_args(argv)
    for path in draw_all(read_runs(args.csv), args.out, args.configurations):
        print(path)


if __name__ == "__main__":
    main()
