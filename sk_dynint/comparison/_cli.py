"""The command ``python -m sk_dynint compare``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ._compare import compare
from ._display import ComparisonDisplay
from ._models import MODELS, make_model
from ._summary import summarize

_READERS = {".parquet": None, ".csv": ",", ".tsv": "\t"}
_COLUMNS = ["n_seeds", "auc", "auc_sd", "logloss", "logloss_sd", "rig", "fit_seconds"]
_DIFFERENCES = ["auc_difference", "auc_low", "auc_high"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None means those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m sk_dynint")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "compare", help="train and score models on a table", description=run_compare.__doc__
    )
    _add_arguments(command)
    args = parser.parse_args(argv)
    try:
        run_compare(args)
    except (ValueError, ImportError, OSError) as error:
        raise SystemExit(f"python -m sk_dynint compare: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("python -m sk_dynint compare: interrupted") from None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, help="the table: .parquet, .csv or .tsv (also .csv.gz, ...)")
    add("--label", required=True, help="column of the label; two classes")
    add("--models", nargs="+", required=True, help=f"among {', '.join(MODELS)}")
    add("--drop", nargs="+", default=[], help="columns that are not features")
    add("--categorical", nargs="+", default=[], help="columns of numbers that are identifiers")
    add("--time-column", help="split by this column, which is not a feature then")
    add("--seeds", type=int, default=3, help="number of seeds; default: 3")
    add("--jobs", type=int, help="number of runs at a time, in processes that share the cores")
    add("--reference", help="model to take differences from; default: the first")
    add("--params", type=_json, default={}, help='as JSON: {"da": {"n_layers": 2}}')
    add("--out", help="CSV file of the runs; runs that it holds are not made again")
    add("--predictions", help="folder for test predictions, which intervals of a single seed need")
    add("--plot", help="file for a plot of the test AUC")
    add("--quiet", action="store_true", help="no progress bar")


def run_compare(args: argparse.Namespace) -> None:
    """Train models on 70 % of a table and score them on 20 %, for several seeds."""
    if unknown := set(args.params) - set(args.models):
        raise ValueError(f"--params names {sorted(unknown)}, --models are {args.models}.")
    models = {name: make_model(name, args.params.get(name)) for name in args.models}
    reference = args.reference or args.models[0]
    if reference not in models:
        raise ValueError(f"--reference {reference} is not among --models {args.models}.")
    if args.plot:
        _check_plot(Path(args.plot))
    X, y, time = _read(args)
    runs = compare(
        X,
        y,
        models,
        seeds=args.seeds,
        time=time,
        out=args.out,
        predictions=args.predictions,
        n_jobs=args.jobs,
        verbose=not args.quiet,
    )
    summary = summarize(runs, reference, predictions=args.predictions)
    shown = _COLUMNS + (_DIFFERENCES if len(models) > 1 else [])
    print(summary[shown].round({"fit_seconds": 1}).to_string(float_format="{:.4f}".format))
    if args.plot:
        ComparisonDisplay.from_runs(runs).figure_.savefig(args.plot)


def _check_plot(path: Path) -> None:
    """Check before the training that the plot can be written."""
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise ValueError(f"--plot {path} must end with one of {', '.join(f'.{k}' for k in kinds)}.")
    if not path.parent.is_dir():
        raise ValueError(f"--plot {path}: there is no folder {path.parent}.")


def _read(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series, pd.Series | None]:
    """Read the file; return features, labels and, if a column of them is named, times."""
    frame = _read_frame(Path(args.data))
    named = {"--label": [args.label], "--drop": args.drop, "--categorical": args.categorical}
    named["--time-column"] = [args.time_column] if args.time_column else []
    for option, names in named.items():
        if absent := [name for name in names if name not in frame]:
            raise ValueError(
                f"{option} names {absent[0]!r}, which is no column of {args.data}; "
                f"its columns are {list(frame)}."
            )
    targets = {args.label: "--label", args.time_column: "--time-column"}
    for option in ("--drop", "--categorical"):
        for name in named[option]:
            if name in targets:
                raise ValueError(f"{option} names {name!r}, which {targets[name]} names already.")
    frame = frame.astype(dict.fromkeys(args.categorical, "category"))
    y = frame.pop(args.label)
    time = frame.pop(args.time_column) if args.time_column else None
    return frame.drop(columns=args.drop), y, time


def _read_frame(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or a text file whose suffix tells the separator."""
    kind = next((suffix for suffix in path.suffixes[-2:] if suffix in _READERS), None)
    if kind is None:
        raise ValueError(f"{path} must end with one of {', '.join(_READERS)}.")
    if kind == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, sep=_READERS[kind])


def _json(text: str) -> dict[str, Any]:
    """Parse the value of ``--params``: parameters by the name of the model."""
    params = json.loads(text)
    if not isinstance(params, dict) or not all(isinstance(v, dict) for v in params.values()):
        raise argparse.ArgumentTypeError(f"must be an object of objects, got {text}")
    return params
