"""The table that a command learns from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sk_dynint.datasets import read_table


class Table(NamedTuple):
    """Features, labels, and the columns that other arguments name."""

    X: pd.DataFrame
    y: Any
    others: dict[str, pd.Series]


def read_training_table(args: argparse.Namespace, *others: str) -> Table:
    """Read the table of a command.

    Parameters
    ----------
    args : Namespace
        The arguments.
    *others : str
        Names of arguments that name a column which is no feature.
    """
    used = {args.label: "--label"}
    apart = {name: getattr(args, name) for name in others if getattr(args, name)}
    used |= {column: f"--{name.replace('_', '-')}" for name, column in apart.items()}
    for option in ("drop", "categorical", "numeric"):
        for column in getattr(args, option):
            if column in used:
                raise ValueError(f"--{option} names {column!r}, which {used[column]} names already")
    everything = args.categorical == ["all"]
    frame = read_table(
        args.data,
        categorical_features=() if everything else args.categorical,
        numeric_features=args.numeric,
        separator=args.separator,
    )
    named = {"--label": [args.label], "--drop": args.drop}
    named |= {f"--{name.replace('_', '-')}": [column] for name, column in apart.items()}
    for option, columns in named.items():
        if absent := [column for column in columns if column not in frame]:
            raise ValueError(
                f"{option} names {absent[0]!r}, which is no column of {args.data}; "
                f"its columns are {list(frame)}"
            )
    if everything:  # again, now that the columns are known which are features
        features = [c for c in frame if c not in (*used, *args.drop, *args.numeric)]
        texts = read_table(
            args.data,
            categorical_features=features,
            columns=features,
            separator=args.separator,
        )
        frame = frame.assign(**{name: texts[name] for name in features})
    y = frame.pop(args.label)
    series = {name: frame.pop(column) for name, column in apart.items()}
    return Table(frame.drop(columns=args.drop), _labels(y, args.positive), series)


def _labels(y: pd.Series, positive: str | None) -> Any:
    """Return labels; if a positive class is named, whether it is that."""
    if y.isna().any() or positive is None:
        return y.to_numpy() if not y.isna().any() else y
    texts = y.astype(str)
    if not (texts == positive).any():
        raise ValueError(
            f"--positive {positive} is no label; there are {texts.unique()[:5].tolist()}"
        )
    return (texts == positive).to_numpy().astype(int)


def check_writable(option: str, path: str, suffixes: tuple[str, ...] = ()) -> None:
    """Check before the work that a file can be written."""
    found = Path(path)
    if suffixes and not any(suffix in found.suffixes[-2:] for suffix in suffixes):
        raise ValueError(f"{option} {path} must end with one of {', '.join(suffixes)}.")
    if not found.parent.is_dir():
        raise ValueError(f"{option} {path}: there is no folder {found.parent}.")
