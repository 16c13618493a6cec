"""The pictures of docs/benchmarks.md and docs/performance.md, from the figures beside them.

    python examples/benchmarks/draw.py docs/speed.csv docs/profile.csv

draws docs/speed.png and docs/profile.png again.  The benchmarks write both files, figures and
picture, where their ``--plot`` says.  The lines of docs/speed.csv were computed from the tables of
docs/benchmarks.md (4,096 rows over the rows trained a second, and that over each ratio); those of
docs/profile.csv were read off the first picture of that run, to half a percent of a step.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart.
"""

# %%
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

BLUE, ORANGE = "#0072B2", "#E69F00"
COLORS = (BLUE, ORANGE, "#56B4E9", "#595959", "#F0E442", "#CFCFCF")
PEERS = ("plain ", "DeepCTR", "FuxiCTR", "torch-rechub", "LightGBM", "CatBoost")
FLOORS = ["floor_ms", "strict_floor_ms"]
N_LEVELS = 288_786  # the vocabulary that is shown, if it was measured
COMPETITORS = ("dcnv2", "deepfm")  # those of BaselineClassifier that peers have too


# %%
def chosen(figures):
    """Lines to show, shortest step first: one vocabulary, single precision, what peers have too."""
    levels = N_LEVELS if N_LEVELS in set(figures["levels"]) else figures["levels"].iloc[0]
    figures = figures[figures["levels"] == levels]
    theirs = figures["model"].str.startswith(PEERS)
    variants = figures["model"].str.contains(" h=") & ~figures["model"].str.endswith("bf16")
    shown = theirs | variants | figures["model"].isin(COMPETITORS)
    return figures.assign(theirs=theirs)[shown].sort_values("step_ms", ignore_index=True)


def speed(figures):
    """Draw a bar for each model, with the time of a step beside it and its floor in it."""
    figures = chosen(figures)
    axes = new_axes(1.4 + 0.26 * len(figures))
    for theirs, label in ((False, "sk_dynint"), (True, "other libraries, and plain PyTorch")):
        part = figures[figures["theirs"] == theirs]
        bars = axes.barh(part.index, part["step_ms"], color=ORANGE if theirs else BLUE, label=label)
        axes.bar_label(bars, fmt="%.0f", padding=3)
    places = np.repeat(figures.index, 3) + np.tile([-0.4, 0.4, np.nan], len(figures))
    floor = np.repeat(figures["strict_floor_ms"], 3)
    axes.plot(floor, places, "w-", linewidth=4, solid_capstyle="butt")
    axes.plot(floor, places, "k-", linewidth=2, solid_capstyle="butt", label="floor of the step")
    axes.set_yticks(figures.index, figures["model"])
    axes.set_xlabel(f"ms a training step of 4,096 rows ({figures['levels'].iloc[0]:,} levels)")
    return with_legend(axes)


def profile(percent):
    """Draw what a step consists of as a stacked bar for each model."""
    axes = new_axes(1.2 + 0.3 * len(percent))
    start = np.zeros(len(percent))
    for color, (part, width) in zip(COLORS, percent.items(), strict=True):
        axes.barh(percent.index, width, left=start, color=color, edgecolor="white", label=part)
        start += width
    axes.set(xlabel="percent of a training step, one thread", xlim=(0, 100))
    return with_legend(axes)


def new_axes(height):
    """Axes as wide as a page, as high as asked for in inches."""
    return plt.figure(figsize=(8, height), layout="constrained").gca()


def with_legend(axes):
    """Put the first line on top, and the legend above it."""
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return axes


# %%
def save(figures, path):
    """Write the figures to a CSV file beside the picture's path, and the picture."""
    path = Path(path)
    if "levels" in figures:
        figures = figures[["model", "levels", "step_ms", *FLOORS]]
        figures.round(2).to_csv(path.with_suffix(".csv"), index=False)
    else:
        figures.round(1).to_csv(path.with_suffix(".csv"), index_label="model")
    draw(path.with_suffix(".csv"))


def draw(path):
    """Draw the picture beside a CSV file of figures."""
    figures = pd.read_csv(path)
    axes = speed(figures) if "levels" in figures else profile(figures.set_index("model"))
    axes.figure.savefig(Path(path).with_suffix(".png"), dpi=110)
    plt.close(axes.figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv", nargs="+", help="speed.csv, profile.csv")
    for path in parser.parse_args().csv:
        draw(path)
