"""Draw the first table of docs/benchmarks.md: who is ahead of whom, and by how much.

python examples/benchmarks/plot_accuracy.py --plot docs/accuracy.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
OURS = "dynint"
STYLES = {  # a colour and a shape each: neither alone has to tell them apart
    "CatBoost": {"color": "#d55e00", "marker": "o"},
    "LightGBM": {"color": "#009e73", "marker": "s"},
    "LR": {"color": "#7f7f7f", "marker": "^"},
}


def read_table(text):
    """The AUCs of the first table of the page, a column for each model."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    start = next(i for i, row in enumerate(cells) if row[:3] == ["table", "rows (splits)", OURS])
    names = cells[start]
    rows = []
    for row in cells[start + 1 :]:
        if len(row) != len(names):
            break
        rows.append(row)
    table = pd.DataFrame(rows, columns=names).set_index(["table", "rows (splits)"])
    aucs = table[[OURS, *STYLES]].apply(lambda column: column.str.strip("*").str.split(" /").str[0])
    return aucs.apply(lambda column: column.str.strip("*").astype(float))


def draw(aucs):
    """A line for each table, with the distance of each model from ours."""
    names = [f"{table}, {rows.partition(' (')[0]} rows" for table, rows in aucs.index]
    behind = aucs[list(STYLES)].sub(aucs[OURS], axis=0)
    behind.index = names
    behind = behind.sort_values("CatBoost", ascending=False)
    figure, ax = plt.subplots(figsize=(7, 0.21 * len(behind) + 1), layout="constrained")
    for name, style in STYLES.items():
        ax.plot(behind[name], behind.index, linestyle="none", label=name, **style)
    ax.axvline(0, color="#0072b2", linewidth=2)
    ax.text(
        0,
        1.01,
        "DynIntClassifier",
        transform=ax.get_xaxis_transform(),
        color="#0072b2",
        ha="center",
    )
    ax.set_xlabel("test AUC minus that of DynIntClassifier (left of the line: DynInt is ahead)")
    ax.grid(axis="both", alpha=0.25)
    ax.legend(loc="upper left", framealpha=1)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plot", required=True, help="file for the picture")
    args = parser.parse_args()
    aucs = read_table(PAGE.read_text(encoding="utf-8"))
    draw(aucs).savefig(args.plot, dpi=150, facecolor="white")
    best_of_others = aucs[list(STYLES)].max(axis=1)
    print(f"{(aucs[OURS] >= best_of_others).sum()} of {len(aucs)} lines: no model is ahead of ours")


if __name__ == "__main__":
    main()
