"""Our figures beside the paper's, as Markdown, and a command that writes them into a page.

    python examples/paper/report.py paper_runs.csv --page docs/reproduction.md

fills every block ``<!-- begin table1 -->`` ... ``<!-- end table1 -->`` of the page.  Without CSV
files the blocks get the paper's figures and places for ours.  A block ``ranking DATA GRID`` gets
the models of Table 1 from the best down, with intervals of their means.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from experiments import EXPERIMENTS
from published import CAVEATS, NAMES, PUBLISHED
from results import PaperRuns, averaged, chosen, made, summary
from spaces import N_CONFIGURATIONS

from sk_dynint import summarize
from sk_dynint.comparison import paired_t

TITLES = {
    "table1": "Table 1: all models",
    "table2": "Table 2: interaction layers without a DNN",
    "table3": "Table 3: number of layers, one sub-space, mean of DA, DGP and DWP",
    "table4": "Table 4: number of sub-spaces, three layers, mean of DA, DGP and DWP",
    "figure4": "Figure 4: singular values of the static mixing matrices",
    "figure6": "Figure 6: kernel size of DGP and rank of DWP",
    "figure7": "Figure 7: reduction ratio and orthogonal penalty",
}
REFERENCE = NAMES["pin"]
"""The static model, from which the differences of Tables 1 and 2 are taken."""
BY_MODEL, AVERAGED = ("table1", "table2"), ("table3", "table4", "figure7")
LABELS = {"table1": "model", "table2": "model", "table3": "layers", "table4": "sub-spaces"}
NONE = "—"
EMPTY = PaperRuns().to_frame()


def scores_of(
    name: str, runs: pd.DataFrame, data: str, grid: str, n_configurations: int | None = None
) -> pd.DataFrame:
    """Return mean, deviation and number of seeds of each line of an experiment."""
    counting = chosen(runs, name, data, grid, n_configurations)
    if name in AVERAGED:
        return summary(averaged(counting))
    scores = summary(counting)
    if name in BY_MODEL and REFERENCE in set(scores["group"]):
        by_model = summarize(counting.assign(model=counting["group"]), REFERENCE)
        scores = scores.join(by_model[["auc_difference", "auc_low", "auc_high"]], on="group")
    return scores


def to_markdown(
    name: str,
    runs: pd.DataFrame,
    data: str,
    grid: str,
    n_configurations: int | None = None,
    caveats: bool = True,
) -> str:
    """Return an experiment on a data set as Markdown."""
    scores = scores_of(name, runs, data, grid, n_configurations)
    title = f"**{TITLES[name]} — {data}, grid `{grid}`**{_size(runs, data, grid)}"
    body = _table(name, scores, data) if name in PUBLISHED else _points(name, scores)
    if name == "figure4":
        body = _singular_values(chosen(runs, name, data, grid))
    if name in BY_MODEL:
        n = n_configurations or N_CONFIGURATIONS[grid]
        best = f"the best of {n} configurations by validation logloss of the first seed"
        title += f"  Each model: {best if n > 1 else 'one configuration'}."
    notes = "\n".join(f"* {text}" for text in CAVEATS[name]) if caveats else ""
    return "\n\n".join(filter(None, [title, body, notes]))


def ranking(runs: pd.DataFrame, data: str, grid: str, n_configurations: int | None = None) -> str:
    """Return Table 1 from the best model down, with 95 % intervals; nothing without `pin`."""
    counting = chosen(runs, "table1", data, grid, n_configurations)
    counting = counting.assign(model=counting["group"])
    if REFERENCE not in set(counting["model"]):
        return ""
    means = counting.groupby("model")["auc"].agg(paired_t)
    half = means.map(lambda interval: interval.high - interval.difference)
    scores = summarize(counting, REFERENCE).assign(auc_sd=half).sort_values("auc", ascending=False)
    header = ["model", "AUC", "seeds", f"AUC − {REFERENCE}, same seeds"]
    rows = [
        [str(model), _mean_sd(line, "auc"), f"{line['n_seeds']:.0f}", _difference(str(model), line)]
        for model, line in scores.iterrows()
    ]
    return _markdown(header, rows)


def _size(runs: pd.DataFrame, data: str, grid: str) -> str:
    """Return a sentence about the sizes of the parts, and one about runs that failed."""
    mine = runs[(runs["data"] == data) & (runs["grid"] == grid)]
    if mine.empty:
        return ""
    n_train, n_valid, n_test = (int(mine[f"n_{part}"].iloc[0]) for part in _PARTS)
    failed = int((mine["error"].fillna("") != "").sum())
    text = f"; {n_train:,} rows to train, {n_valid:,} to validate, {n_test:,} to test."
    return text + (f"  {failed} runs of this data set diverged." if failed else "")


_PARTS = ("train", "valid", "test")


def _table(name: str, scores: pd.DataFrame, data: str) -> str:
    """Return a table of the paper beside our figures."""
    published = PUBLISHED[name].get(data, {})
    key = scores["group"] if name in BY_MODEL else scores["x"].astype(str)
    ours = scores.set_index(key.astype(str))
    lines = list(dict.fromkeys([*PUBLISHED[name]["criteo"], *ours.index]))
    lines = [line for line in lines if line in published or line in ours.index or ours.empty]
    header = [LABELS[name], "AUC, paper", "AUC, ours", "logloss, paper", "logloss, ours", "seeds"]
    compared = "auc_difference" in ours
    if compared:
        header.append(f"AUC − {REFERENCE} (95 %)")
    rows = []
    for line in lines:
        auc, logloss = published.get(line, (np.nan, np.nan))
        mine = ours.loc[line] if line in ours.index else None
        row = [
            line,
            _number(auc),
            _mean_sd(mine, "auc"),
            _number(logloss),
            _mean_sd(mine, "logloss"),
            NONE if mine is None else str(int(mine["n_seeds"])),
        ]
        rows.append([*row, _difference(line, mine)] if compared else row)
    return _markdown(header, rows)


def _difference(line: str, scores: pd.Series | None) -> str:
    """Return the paired difference from the reference, with its interval if there is one."""
    if scores is None or line == REFERENCE:
        return ""
    difference, low, high = (
        _signed(scores[f"auc_{part}"]) for part in ("difference", "low", "high")
    )
    return difference if np.isnan(scores["auc_low"]) else f"{difference} ({low} to {high})"


def _signed(number: float) -> str:
    return f"{number:+.4f}".replace("0.", ".").replace("-", "−")


def _points(name: str, scores: pd.DataFrame) -> str:
    """Return the points of a figure, whose numbers the paper does not print."""
    if scores.empty:
        return "(no runs yet)"
    rows = [
        [
            f"{line['panel']}, {line['group']}",
            f"{line['x']:g}",
            _mean_sd(line, "auc"),
            _mean_sd(line, "logloss"),
            str(int(line["n_seeds"])),
        ]
        for _, line in scores.iterrows()
    ]
    return _markdown(["", "value", "AUC", "logloss", "seeds"], rows)


def _singular_values(runs: pd.DataFrame) -> str:
    """Return for each layer the share of singular values with 90 % of the sum of squares."""
    by_layer: dict[int, list[float]] = {}
    for text in runs["singular_values"]:
        for layer, values in enumerate(json.loads(text), 1):
            by_layer.setdefault(layer, []).append(_share(np.array(values)))
    if not by_layer:
        return "(no runs yet)"
    rows = [
        [str(layer), f"{np.mean(shares):.2f}", str(len(shares))]
        for layer, shares in by_layer.items()
    ]
    rows.append(["random start", f"{_share(random_spectrum(len(values))):.2f}", NONE])
    return _markdown(["layer", "share of values with 90 % of the squares", "seeds"], rows)


def _share(values: np.ndarray) -> float:
    """Return the share of values, the greatest first, that make 90 % of the sum of squares."""
    energy = np.cumsum(values**2) / (values**2).sum()
    return float((np.searchsorted(energy, 0.9) + 1) / len(values))


def random_spectrum(width: int) -> np.ndarray:
    """Return the singular values of a random matrix, divided by the first."""
    values = np.linalg.svd(np.random.default_rng(0).uniform(-1, 1, (width, width)))[1]
    return values / values[0]


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(score: float) -> str:
    """Return a score with four digits, or six for the small loglosses of iPinYou."""
    if np.isnan(score):
        return NONE
    return (f"{score:.6f}" if score < 0.05 else f"{score:.4f}").replace("0.", ".", 1)


def _mean_sd(line: Any, score: str) -> str:
    if line is None:
        return NONE
    sd = line[f"{score}_sd"]
    return _number(line[score]) + ("" if np.isnan(sd) else f" ± {_number_like(sd, line[score])}")


def _number_like(sd: float, score: float) -> str:
    return (f"{sd:.6f}" if score < 0.05 else f"{sd:.4f}").replace("0.", ".", 1)


# --------------------------------------------------------------------------- the page
def read_runs(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Return the runs of CSV files."""
    frames = [PaperRuns(path).to_frame() for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else EMPTY


def fill(page: str, runs: pd.DataFrame, n_configurations: int | None = None) -> str:
    """Return the page with the text between all markers replaced."""
    texts: dict[str, list[str]] = {name: [] for name in EXPERIMENTS}
    for name, data, grid, _ in made(runs, n_configurations):
        texts[name].append(to_markdown(name, runs, data, grid, n_configurations, caveats=False))
    for name, parts in texts.items():
        block = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        notes = "\n".join(f"* {text}" for text in CAVEATS[name])
        text = "\n\n".join([*(parts or _unfilled(name)), notes])
        page = block.sub(lambda match, text=text: f"{match[1]}{text}\n\n{match[2]}", page)
    block = re.compile(
        r"(<!-- begin ranking (\w+) (\w+) -->\n).*?(<!-- end ranking \2 \3 -->)", re.DOTALL
    )

    def ranked(match: re.Match[str]) -> str:
        begin, data, grid, end = match.groups()
        text = ranking(runs, data, grid, n_configurations)
        return f"{begin}{text}\n{end}" if text else match[0]

    return block.sub(ranked, page)


def _unfilled(name: str) -> list[str]:
    """Return the paper's figures with places for ours."""
    no_runs = summary(chosen(EMPTY, name, "criteo", "quick"))
    return [
        "*To be filled by the command above: no runs yet.*",
        *(f"{data}\n\n{_table(name, no_runs, data)}" for data in PUBLISHED.get(name, {})),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Fill the page with files of runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("csv", nargs="*", help="files of runs")
    parser.add_argument("--page", default="docs/reproduction.md")
    parser.add_argument("--configurations", type=int, help="as in the runs, if it was given there")
    args = parser.parse_args(argv)
    page = Path(args.page)
    text = page.read_text(encoding="utf-8")
    page.write_text(fill(text, read_runs(args.csv), args.configurations), encoding="utf-8")


if __name__ == "__main__":
    main()
