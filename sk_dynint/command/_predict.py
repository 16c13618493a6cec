"""``predict``: write the probabilities that a model gives to rows."""

from __future__ import annotations

import argparse
from typing import Any

from sk_dynint._base import BaseCTRClassifier
from sk_dynint._lazy import probability_columns
from sk_dynint._loading import load
from sk_dynint.datasets import read_table, write_table

from ._table import check_writable


def run(args: argparse.Namespace) -> None:
    """Read the columns of the model, and write the probabilities of its classes."""
    check_writable("--out", args.out, (".parquet", ".csv", ".tsv"))
    model = load(args.model)
    if not isinstance(model, BaseCTRClassifier):
        raise ValueError(f"{args.model} holds a {type(model).__name__}, which predicts nothing")
    columns = list(model.feature_names_in_)
    kept = [name for name in args.keep if name not in columns]
    frame = read_table(
        args.data,
        columns=[*columns, *kept],
        separator=args.separator,
        **_kinds(model, kept),
    )
    proba = model.predict_proba(frame[columns])
    found = frame[args.keep].assign(**probability_columns(model.classes_, proba))
    write_table(found, args.out)


def _kinds(model: Any, kept: list[str]) -> dict[str, list[str]]:
    """Return which columns hold text and which numbers, as they did in `fit`."""
    fields = dict(zip(model.feature_names_in_, model.encoder_.value_kinds_, strict=True))
    text = [name for name, kind in fields.items() if kind in ("strings", "lists of strings")]
    return {
        "categorical_features": [*text, *kept],
        "numeric_features": [name for name, kind in fields.items() if kind == "numbers"],
    }
