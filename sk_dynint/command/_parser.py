"""The arguments of the commands; imports nothing that takes time."""

from __future__ import annotations

import argparse
import json
from typing import Any

from sk_dynint._version import __version__

PROGRAM = "python -m sk_dynint"

NETWORKS = (
    *("dynint", "pin", "da", "dgp", "dwp"),
    *("lr", "fm", "dnn", "widedeep", "deepcrossing", "dcn", "dcnv2", "pnn", "deepfm", "xdeepfm"),
    *("autoint", "fibinet", "ecn", "fcn", "qnn", "xdeepint"),
)
MODELS = (*NETWORKS, "lightgbm", "catboost", "hgb", "onehot-lr")
"""The keys of ``sk_dynint.comparison.MODELS``, which cannot be imported in a moment."""

COMPARE = f"""\
example:
  {PROGRAM} compare --data clicks.csv --label click --categorical user_id item_id \\
      --models da dcnv2 hgb --out runs.csv --plot runs.png"""
FIT = f"""\
example:
  {PROGRAM} fit --data clicks.csv --label click --categorical user_id item_id --out clicks.model
  {PROGRAM} predict --model clicks.model --data tomorrow.csv --keep id --out clicks.parquet"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and examples as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if not isinstance(default, int | str | list) or default in (False, argparse.SUPPRESS, []):
            return text
        words = " ".join(default) if isinstance(default, list) else default
        return f"{text} (default: {words})"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; ``args.command`` says which one was given."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Dynamic feature-interaction models for click-through-rate prediction.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sk_dynint {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command", dest="command")
    for name, about, epilog, add in (
        (
            "compare",
            "train models on one part of a table and score them on another",
            COMPARE,
            _add_compare,
        ),
        ("fit", "train a model on a table and write it to a file", FIT, _add_fit),
        ("predict", "write the probabilities that a model gives to rows", FIT, _add_predict),
    ):
        add(
            commands.add_parser(
                name,
                help=about,
                description=about.capitalize() + ".",
                epilog=epilog,
                formatter_class=_Formatter,
                allow_abbrev=False,
            )
        )
    return parser


def _add_table(command: argparse.ArgumentParser) -> None:
    """Arguments about the table that is learnt from."""
    add = command.add_argument
    add("--data", required=True, help="the table: .parquet, .csv or .tsv (also .csv.gz, ...)")
    add("--label", required=True, help="column of the label; two classes or more")
    add("--positive", help="the class to tell from all others; without it the greater of two")
    add("--drop", nargs="+", default=[], metavar="COLUMN", help="columns that are not features")
    add(
        *("--categorical",),
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="columns of identifiers, read as they are written, or 'all'; strings always are",
    )
    add("--numeric", nargs="+", default=[], metavar="COLUMN", help="columns of numbers")
    add("--separator", help="what separates cells; without it ',' of .csv and a tab of .tsv")


def _add_compare(command: argparse.ArgumentParser) -> None:
    _add_table(command)
    add = command.add_argument
    add(
        *("--models",),
        nargs="+",
        default=["pin", "da", "dgp", "dwp"],
        metavar="MODEL",
        help=f"among {', '.join(MODELS)}",
    )
    add("--time-column", metavar="COLUMN", help="split by this column, which is no feature then")
    add("--seeds", type=int, default=3, help="number of seeds")
    add("--jobs", type=int, help="number of runs at a time, in processes that share the cores")
    add("--reference", help="model to take differences from; without it the first")
    add("--params", type=_objects, default={}, help='as JSON: {"da": {"n_layers": 2}}')
    add("--out", help="CSV file of the runs; runs that it holds are not made again")
    add("--predictions", help="folder for test predictions, which intervals of a single seed need")
    add("--plot", help="file for a plot of the test AUC")
    add("--quiet", action="store_true", help="no progress bar")


def _add_fit(command: argparse.ArgumentParser) -> None:
    _add_table(command)
    add = command.add_argument
    add("--out", required=True, help="file for the model; predict reads it")
    add("--model", default="dynint", help=f"one of {', '.join(NETWORKS)}")
    add("--params", type=_object, default={}, help='as JSON: {"n_layers": 2}')
    add("--weight", metavar="COLUMN", help="column of the weights of rows, which is no feature")
    add(
        *("--validation",),
        choices=["random", "last", "groups"],
        default="random",
        help="rows to stop by: random ones, the last ones, or whole groups",
    )
    add(
        *("--validation-column",),
        metavar="COLUMN",
        help="column of moments or groups for --validation, which is no feature then",
    )
    add("--seed", type=int, default=1, help="seed of split, initial weights and order of rows")
    add("--quiet", action="store_true", help="no progress bar")


def _add_predict(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model", required=True, help="file that fit wrote, or the method save")
    add("--data", required=True, help="the table: .parquet, .csv or .tsv, with the model's columns")
    add("--out", required=True, help="file for the probabilities: .parquet, .csv or .tsv")
    add("--keep", nargs="+", default=[], metavar="COLUMN", help="columns to write beside them")
    add("--separator", help="what separates cells; without it ',' of .csv and a tab of .tsv")


def _object(text: str) -> dict[str, Any]:
    """Parse parameters of a model."""
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"must be JSON, got {text}: {error}") from error
    if not isinstance(params, dict):
        raise argparse.ArgumentTypeError(f"must be an object, got {text}")
    return params


def _objects(text: str) -> dict[str, Any]:
    """Parse parameters by the name of the model."""
    params = _object(text)
    if not all(isinstance(each, dict) for each in params.values()):
        raise argparse.ArgumentTypeError(f"must be an object of objects, got {text}")
    return params
