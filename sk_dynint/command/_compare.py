"""``compare``: train models on 70 % of a table and score them on 20 %, for several seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from sk_dynint.comparison import ComparisonDisplay, compare, make_model, summarize

from ._table import check_writable, read_training_table

_COLUMNS = ["n_seeds", "auc", "auc_sd", "logloss", "logloss_sd", "rig", "fit_seconds"]
_DIFFERENCES = ["auc_difference", "auc_low", "auc_high"]


def run(args: argparse.Namespace) -> None:
    """Compare, print a table, draw a plot."""
    if unknown := set(args.params) - set(args.models):
        raise ValueError(f"--params names {sorted(unknown)}, --models are {args.models}.")
    models = {name: make_model(name, args.params.get(name)) for name in args.models}
    reference = args.reference or args.models[0]
    if reference not in models:
        raise ValueError(f"--reference {reference} is not among --models {args.models}.")
    if args.plot:
        _check_plot(args.plot)
    table = read_training_table(args, "time_column")
    runs = compare(
        table.X,
        table.y,
        models,
        seeds=args.seeds,
        time=table.others.get("time_column"),
        out=args.out,
        predictions=args.predictions,
        n_jobs=args.jobs,
        verbose=not args.quiet,
    )
    summary = summarize(runs, reference, predictions=args.predictions)
    shown = _COLUMNS + (_DIFFERENCES if len(models) > 1 else [])
    print(summary[shown].round({"fit_seconds": 1}).to_string(float_format="{:.4f}".format))
    if args.plot:
        ComparisonDisplay.from_runs(runs, reference=args.reference).figure_.savefig(args.plot)


def _check_plot(path: str) -> None:
    """Check before the training that the plot can be written."""
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = sorted(FigureCanvasBase.get_supported_filetypes())
    if Path(path).suffix[1:].lower() not in kinds:
        raise ValueError(f"--plot {path} must end with one of {', '.join(f'.{k}' for k in kinds)}.")
    check_writable("--plot", path)
