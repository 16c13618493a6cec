"""The tables and the verdict of bench_accuracy.py, in Markdown."""

from typing import NamedTuple

import numpy as np

KEY = {"table": str, "size": str, "test": str, "model": str, "seed": int}
COLUMNS = KEY | {"auc": float, "logloss": float, "seconds": float, "n_train": int}
"""Of the file of runs."""

SIGNS = {"auc": 1, "logloss": -1}
"""Metrics, and whether higher or lower is better."""

RIVAL, FAST = "catboost-es", "lightgbm"
NEAR, MAX_TIMES_FAST = 0.002, 4


def number(value, sign=""):
    """Format a score without the zero in front."""
    return "–" if np.isnan(value) else f"{value:{sign}.4f}".replace("0.", ".", 1)


def label(size):
    """Return how a size is written."""
    return size if size == "all" else f"{int(size):,}"


def grid(heads, lines):
    """Return a table of Markdown."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def by_cell(runs):
    """Yield table, label of the size, and runs of each cell in the order of the file."""
    for (table, size), cell in runs.groupby(["table", "size"], sort=False):
        yield table, label(size), cell


def scores(runs, metric):
    """Return the table of means and standard deviations over splits; the best are bold."""
    models, lines = list(runs["model"].unique()), []
    for table, size, cell in by_cell(runs):
        found = cell.groupby("model")[metric].agg(["mean", "std"]).reindex(models)
        best = (SIGNS[metric] * found["mean"]).max()
        texts = []
        for mean, std in found.itertuples(index=False):
            text = number(mean)
            text = f"**{text}**" if SIGNS[metric] * mean == best else text
            texts.append(text if np.isnan(std) else f"{text} ± {number(std)}")
        lines.append([table, size, *texts])
    return grid(["table", "rows", *models], lines)


def seconds(runs):
    """Return the table of median seconds of training and predicting."""
    models, lines = list(runs["model"].unique()), []
    for table, size, cell in by_cell(runs):
        medians = cell.groupby("model")["seconds"].median().reindex(models)
        lines.append([table, size, *("–" if np.isnan(s) else f"{s:.1f}" for s in medians)])
    return grid(["table", "rows", *models], lines)


class Comparison(NamedTuple):
    """Ours beside the others in a cell, on the splits that ours shares with each."""

    best: str
    from_best: float
    from_rival: float


def compare(cell, ours, metric):
    """Return a comparison by mean differences, ours minus another, or None without ours."""
    found = cell.pivot(index="seed", columns="model", values=metric)
    if ours not in found:
        return None
    differences = (-found).add(found[ours], axis=0).mean().dropna()
    best = (SIGNS[metric] * differences).idxmin()
    return Comparison(best, differences[best], differences.get(RIVAL, np.nan))


def share(flags):
    """Return how many are true of how many."""
    flags = list(flags)
    return f"{sum(map(bool, flags))} of {len(flags)} cells"


def verdict(runs, ours, metric):
    """Return the comparison of each cell, and in how many cells ours holds its own."""
    found = [(*names, compare(cell, ours, metric)) for *names, cell in by_cell(runs)]
    found = [line for line in found if line[-1] is not None]
    lines = [
        [table, size, c.best, number(c.from_rival, "+"), number(c.from_best, "+")]
        for table, size, c in found
    ]
    sign, relation = SIGNS[metric], "≥" if SIGNS[metric] > 0 else "≤"
    rival = [sign * c.from_rival >= 0 for *_, c in found if not np.isnan(c.from_rival)]
    near = [abs(c.from_best) <= NEAR + 1e-12 for *_, c in found]
    return (
        grid(["table", "rows", "best", f"{ours} − {RIVAL}", f"{ours} − best"], lines)
        + f"\n\n{ours} {relation} {RIVAL} in {share(rival)}, within {number(NEAR)} of the best in "
        f"{share(near)}."
    )


def time_verdict(runs, ours):
    """Return in how many cells ours is fast enough."""
    medians = runs.groupby(["table", "size", "model"])["seconds"].median().unstack()
    medians = medians.reindex(columns=sorted({ours, RIVAL, FAST}))
    shares = []
    for other, factor in ((RIVAL, 1), (FAST, MAX_TIMES_FAST)):
        both = medians[medians[other].notna() & medians[ours].notna()]
        times = f"{factor} × " if factor > 1 else ""
        shares.append(f"≤ {times}{other} in {share(both[ours] <= factor * both[other])}")
    return f"Median time of {ours} {' and '.join(shares)}."


def to_markdown(runs, ours):
    """Return all tables and verdicts, one kind of test after the other."""
    texts = []
    for test, own in runs.groupby("test", sort=False):
        for metric in SIGNS:
            texts += [f"### {test}: {metric}", scores(own, metric), verdict(own, ours, metric)]
        texts += [f"### {test}: seconds", seconds(own), time_verdict(own, ours)]
    return "\n\n".join(texts) if texts else "No runs yet."
