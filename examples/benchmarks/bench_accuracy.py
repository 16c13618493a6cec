r"""Accuracy out of the box: default parameters against two tuned references.

    python examples/benchmarks/bench_accuracy.py --data FOLDER --seeds 3 --out accuracy.csv

FOLDER holds the data sets named in ``TABLES`` as Parquet files (most of them may not be
redistributed; `flights` ships with the package and needs none).  Every run takes a random
stratified 80/20 split.  The references, on the same split, are

* one-hot logistic regression: levels of count 2 and more, numbers in 64 quantile bins, C chosen
  among .03, .1 and 1 on the test part (a bound from above);
* HistGradientBoostingClassifier with default parameters over cross-fitted target encoding.

The command prints the table of docs/benchmarks.md.  Runs that the CSV file holds already are
skipped, so after an interruption the same command goes on where it stopped.

One change of the defaults, on other splits than those of the main table (use another CSV for each):

    python examples/benchmarks/bench_accuracy.py --data FOLDER --models da --first-seed 10 \
        --params '{"averaging": null}' --out averaging.csv
"""

# %%
import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from sk_dynint import DynIntClassifier, FieldEncoder
from sk_dynint.datasets import load_flights

# name -> file, label, columns to drop, prefix of the columns that are categories ("" = all, None =
# what their dtype says)
TABLES = {
    "criteo": ("criteo_head100k", "label", ["fold", "chunk"], "C"),
    "avazu": ("avazu_union", "click", ["id", "src"], ""),
    "frappe": ("frappe_val_test", "label", ["part"], ""),
    "ml100k": ("ml100k_rating_ge4", "label", ["rating", "timestamp", "movie_title"], ""),
    "flights": (None, "late15", [], None),
    "adult": ("adult", "label", [], None),
}
VARIANTS = ("da", "pin", "dgp", "dwp")


# %%
def load(name, folder):
    """Columns and labels of a data set; categories that are coded as integers become strings."""
    file, label, dropped, prefix = TABLES[name]
    if file is None:
        return load_flights(return_X_y=True)
    frame = pd.read_parquet(Path(folder) / f"{file}.parquet").drop(columns=dropped)
    y = frame.pop(label)
    if prefix is not None:
        categories = [c for c in frame if c.startswith(prefix)]
        frame[categories] = frame[categories].astype("string").astype("str")
    return frame, y


is_text = make_column_selector(dtype_include=["object", "str", "category", "bool"])
is_number = make_column_selector(dtype_include="number")


def as_text(X):
    """Return all values, missing ones included, as strings, which target encoding accepts."""
    return X.astype("string").fillna("missing").astype("object")


def logistic_regression(X, y, X_test, y_test):
    """Return the probabilities of the best C."""
    onehot = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist")
    encode = make_pipeline(FieldEncoder(n_bins=64), onehot)
    Z, Z_test = encode.fit_transform(X), encode.transform(X_test)
    fits = [
        LogisticRegression(C=C, max_iter=200).fit(Z, y).predict_proba(Z_test)[:, 1]
        for C in (0.03, 0.1, 1.0)
    ]
    return max(fits, key=lambda p: roc_auc_score(y_test, p))


def gradient_boosting(X, y, X_test, seed):
    """Return the probabilities of boosted trees over target encoding."""
    text = is_text(X)
    X, X_test = (Z.assign(**as_text(Z[text])) for Z in (X, X_test))
    encode = make_column_transformer(
        (TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=seed)), text),
        remainder="passthrough",
    )
    model = make_pipeline(encode, HistGradientBoostingClassifier(random_state=seed))
    return model.fit(X, y).predict_proba(X_test)[:, 1]


def run(model, X, y, X_test, y_test, seed, params):
    """Return test probabilities; `params` are for the variants."""
    if model == "LR":
        return logistic_regression(X, y, X_test, y_test)
    if model == "HGB":
        return gradient_boosting(X, y, X_test, seed)
    classifier = DynIntClassifier(variant=model, random_state=seed).set_params(**params)
    return classifier.fit(X, y).predict_proba(X_test)[:, 1]


# %%
def main():
    """Run what is missing in the CSV, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default=".", help="folder of the Parquet files")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--models", nargs="+", default=["LR", "HGB", *VARIANTS])
    parser.add_argument("--seeds", type=int, default=3, help="number of splits")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--params", type=json.loads, default={}, help="of the variants, as JSON")
    parser.add_argument("--out", default="accuracy.csv")
    args = parser.parse_args()

    out = Path(args.out)
    columns = ["table", "model", "seed", "auc", "logloss", "seconds"]
    done = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=columns)
    for name in args.tables:
        X, y = load(name, args.data)
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            parts = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
            X_train, X_test, y_train, y_test = parts
            for model in args.models:
                if ((done[columns[:3]] == [name, model, seed]).all(axis=1)).any():
                    continue
                start = time.perf_counter()
                p = run(model, X_train, y_train, X_test, y_test, seed, args.params)
                seconds = time.perf_counter() - start
                scores = roc_auc_score(y_test, p), log_loss(y_test, p)
                row = pd.DataFrame([[name, model, seed, *scores, seconds]], columns=columns)
                row.to_csv(out, mode="a", header=not out.exists(), index=False)
    print_table(pd.read_csv(out), args)


def print_table(runs, args):
    """Mean test AUC and its standard deviation over seeds, a line for each table."""
    runs = runs[runs["seed"].between(args.first_seed, args.first_seed + args.seeds - 1)]
    auc = runs.groupby(["table", "model"])["auc"].agg(["mean", "std"])
    print("| table |", " | ".join(args.models), "|")
    print("|---|" + "---|" * len(args.models))
    for name in args.tables:
        cells = [
            f"{auc.loc[(name, m), 'mean']:.4f} ± {np.nan_to_num(auc.loc[(name, m), 'std']):.4f}"
            for m in args.models
        ]
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
