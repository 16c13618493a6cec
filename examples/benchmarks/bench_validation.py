"""Which rows to stop by, and how often to look at them, measured on a table of your own.

    python examples/benchmarks/bench_validation.py order --data flights.parquet --label late15 \
        --order date --drop date
    python examples/benchmarks/bench_validation.py period --data adult.parquet --label label

`order` trains on the first 80 % of the rows in the order of a column, with random validation rows
and with the last ones, and scores the last 20 %. `period` trains on few random rows, with different
least distances of evaluations, and scores 8,000 others.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import read_table

N_TEST = 8000
BATCH_SIZE = 128  # the default for so few rows


def score(X: pd.DataFrame, y: np.ndarray, train: Any, test: Any, **params: Any) -> dict[str, float]:
    """Fit on some rows and score others."""
    model = DynIntClassifier(**params).fit(X.iloc[train], y[train])
    p = model.predict_proba(X.iloc[test])[:, 1]
    scores = {"auc": roc_auc_score(y[test], p), "logloss": log_loss(y[test], p)}
    return scores | {"best step": model.best_step_}


def orders(X: pd.DataFrame, y: np.ndarray, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score random validation rows and the last ones."""
    cut = round(0.8 * len(X))
    for seed in range(args.seeds):
        for validation in ("random", "last"):
            found = score(
                X, y, slice(cut), slice(cut, None), validation=validation, random_state=seed
            )
            yield {"validation": validation, "seed": seed} | found


def periods(X: pd.DataFrame, y: np.ndarray, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Score least distances of two evaluations."""
    for n in args.rows:
        for seed in range(args.seeds):
            rows = np.random.default_rng(seed).permutation(len(X))
            for period in (8, 4, 2, 1):
                steps = -(-9 * n // 10 // BATCH_SIZE)
                params = {"eval_every": max(-(-steps // 4), period), "batch_size": BATCH_SIZE}
                found = score(X, y, rows[:n], rows[n : n + N_TEST], random_state=seed, **params)
                yield {"rows": n, "period": period, "seed": seed} | found


def main() -> None:
    """Measure, and print means and standard errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=["order", "period"])
    add("--data", required=True)
    add("--label", required=True)
    add("--order", help="column of the order of rows; default: as they stand")
    add("--drop", nargs="+", default=[])
    add("--categorical", nargs="+", default=[])
    add("--rows", nargs="+", type=int, default=[400, 800, 1600, 3200])
    add("--seeds", type=int, default=4)
    args = parser.parse_args()
    frame = read_table(args.data, categorical_features=args.categorical)
    if args.order:
        frame = frame.sort_values(args.order, kind="stable")
    y = frame.pop(args.label).to_numpy()
    measure, keys = (
        (orders, ["validation"]) if args.what == "order" else (periods, ["rows", "period"])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of identifiers, of what was not learnt
        runs = pd.DataFrame(measure(frame.drop(columns=args.drop), y, args))
    print(runs.drop(columns="seed").groupby(keys).agg(["mean", "sem"]).round(4).to_string())


if __name__ == "__main__":
    main()
