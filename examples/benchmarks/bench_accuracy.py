r"""Accuracy and time of default parameters beside the libraries that a user would try instead.

    pip install -c constraints.txt -e ".[bench]"
    python examples/benchmarks/bench_accuracy.py --data FOLDER --seeds 5 --out accuracy.csv
    python examples/benchmarks/bench_accuracy.py --data FOLDER --test later --out accuracy.csv
    python examples/benchmarks/bench_accuracy.py --test random later --print --out accuracy.csv

FOLDER holds the data sets named in tables.py as Parquet files (most of them may not be
redistributed; `flights` ships with the package and needs none).  Nobody sees the labels of the test
part; what is chosen, is chosen on a part of the training rows.

`--test random` takes a random, stratified fifth of the rows as test part; the training part is
sampled down to `--sizes`, stratified.  `--test later` takes the last fifth in the order of time, in
whole moments (days of flights, tenths of criteo, seconds of ml100k, hours of avazu), from
the tables that have a time, and samples the rows before at random; a seed draws them and goes to
the models.  Of avazu, only the 20,000 rows that are spread evenly over its ten days are used (most
others are of the first two days, which would make the training part much older than it has to be);
`hour` is no feature there, as all its values in the test part are new.  Sizes that a table
does not have are left out: "all" is another cell.

The models, by `--models`; all get `--threads` threads, and missing values of categories as a level:

* ``LR``: one-hot logistic regression, levels of count 2 and more, numbers in 64 quantile bins; C is
  chosen among .03, .1 and 1 by the logloss of a tenth of the training rows, and refitted on all;
* ``HGB``, ``lightgbm-te``: HistGradientBoostingClassifier and LightGBM with default parameters over
  cross-fitted target encoding; ``lightgbm``: on pandas' categories;
* ``catboost``: default parameters, native categories; ``catboost-es``: stops after 50 trees without
  improvement on a stratified tenth of the training rows;
* ``realmlp``, ``tabm``: RealMLP and TabM with pytabkit's tuned defaults, and what its authors
  recommend for logloss and AUC: validation (on a fifth of the training rows) by cross-entropy, no
  label smoothing.  They refuse missing numbers: medians and indicators take their place;
* ``dynint``: ``DynIntClassifier`` with default parameters but for `--params`; ``dynint-last``:
  ``validation="last"``, for later rows only; ``da``, ``pin``, ``dgp``, ``dwp``: single networks of
  each variant, without crosses and without what bins or levels share.

Models whose library is not installed are skipped.  Small sizes come first, and within a size one
split of all tables after the other.  Runs that the CSV file holds already are skipped, so after an
interruption the same command goes on where it stopped; use another file for other `--params`:

    python examples/benchmarks/bench_accuracy.py --data FOLDER --models da --first-seed 10 \
        --sizes all --params '{"averaging": null}' --out averaging.csv

At the end, or alone with `--print`, the tables of docs/benchmarks.md and a verdict are printed.
"""

# %%
import argparse
import importlib
import json
import logging
import sys
import time
import warnings
from functools import partial

import joblib
import pandas as pd
import torch
from accuracy_report import COLUMNS, KEY, to_markdown
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from tables import TABLES, TESTS, load, part
from threadpoolctl import threadpool_limits

from sk_dynint import FieldEncoder
from sk_dynint.comparison import RunsFile, make_model

# %% The models: functions of training rows, their labels, test rows and a seed, which return the
# probabilities of the test rows.  Torch's number of threads is the one to take.
is_text = make_column_selector(dtype_include=["object", "str", "category", "bool"])
is_number = make_column_selector(dtype_include="number")
threads = torch.get_num_threads


def with_text(*frames):
    """Return frames whose categories are strings, missing ones included, and names of these."""
    text = is_text(frames[0])
    return *(
        X.assign(**X[text].astype("string").fillna("missing").astype("object")) for X in frames
    ), text


def hold_out(X, y, seed):
    """Set a tenth aside; return X, X_valid, y and y_valid."""
    return train_test_split(X, y, test_size=0.1, stratify=y, random_state=seed)


def one_hot_encoder():
    """Return the encoder of logistic regression."""
    one_hot = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist")
    return make_pipeline(FieldEncoder(n_bins=64), one_hot)


def logistic_regression(X, y, X_test, seed):
    """One-hot logistic regression."""
    X_fit, X_valid, y_fit, y_valid = hold_out(X, y, seed)
    encode = one_hot_encoder()
    Z, Z_valid = encode.fit_transform(X_fit), encode.transform(X_valid)

    def loss(C):
        model = LogisticRegression(C=C, max_iter=200).fit(Z, y_fit)
        return log_loss(y_valid, model.predict_proba(Z_valid)[:, 1])

    best = LogisticRegression(C=min((0.03, 0.1, 1.0), key=loss), max_iter=200)
    return make_pipeline(one_hot_encoder(), best).fit(X, y).predict_proba(X_test)[:, 1]


def over_target_encoding(make, X, y, X_test, seed):
    """Boosted trees over target encoding."""
    X, X_test, text = with_text(X, X_test)
    encode = make_column_transformer(
        (TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=seed)), text),
        remainder="passthrough",
    )
    return make_pipeline(encode, make(seed)).fit(X, y).predict_proba(X_test)[:, 1]


def boosting(seed):
    return HistGradientBoostingClassifier(random_state=seed)


def lightgbm(seed):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=seed, n_jobs=threads(), verbosity=-1)


def lightgbm_on_categories(X, y, X_test, seed):
    """LightGBM; levels that training has not seen are missing."""
    X, X_test, text = with_text(X, X_test)
    levels = {name: pd.CategoricalDtype(X[name].unique()) for name in text}
    model = lightgbm(seed).fit(X.astype(levels), y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of new levels, by pandas
        return model.predict_proba(X_test.astype(levels))[:, 1]


def catboost(X, y, X_test, seed, stop=False):
    """CatBoost on native categories."""
    from catboost import CatBoostClassifier

    X, X_test, text = with_text(X, X_test)
    model = CatBoostClassifier(
        random_seed=seed, thread_count=threads(), verbose=False, allow_writing_files=False
    )
    if stop:
        X, X_valid, y, y_valid = hold_out(X, y, seed)
        stopping = {"eval_set": (X_valid, y_valid), "early_stopping_rounds": 50}
    model.fit(X, y, cat_features=text, **stopping if stop else {})
    return model.predict_proba(X_test)[:, 1]


def pytabkit(name, X, y, X_test, seed, **params):
    """One of pytabkit's nets."""
    import pytabkit

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)  # it tells what it found
    X, X_test, text = with_text(X, X_test)
    if numbers := is_number(X):
        impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
        impute.set_output(transform="pandas").fit(X[numbers])
        X, X_test = (Z[text].join(impute.transform(Z[numbers])) for Z in (X, X_test))
    params |= {"device": "cpu", "n_threads": threads(), "val_metric_name": "cross_entropy"}
    model = getattr(pytabkit, name)(random_state=seed, **params)
    return model.fit(X, y, cat_col_names=text).predict_proba(X_test)[:, 1]


def ours(model, X, y, X_test, seed, **params):
    """Our classifier, or one of its variants alone."""
    classifier = make_model(model, {"random_state": seed, **params})
    return classifier.fit(X, y).predict_proba(X_test)[:, 1]


def register(params=None):
    """Return the models by name; `params` are for ours."""
    params = params or {}
    return {
        "LR": logistic_regression,
        "HGB": partial(over_target_encoding, boosting),
        "lightgbm": lightgbm_on_categories,
        "lightgbm-te": partial(over_target_encoding, lightgbm),
        **{name: partial(ours, name, **params) for name in ("dynint", "da", "pin", "dgp", "dwp")},
        "dynint-last": partial(ours, "dynint", **{"validation": "last"} | params),
        "catboost-es": partial(catboost, stop=True),
        "catboost": catboost,
        "realmlp": partial(pytabkit, "RealMLP_TD_Classifier", use_ls=False),
        "tabm": partial(pytabkit, "TabM_D_Classifier"),
    }


PACKAGES = {"lightgbm": "lightgbm", "catboost": "catboost", "realmlp": "pytabkit"}
PACKAGES |= {"lightgbm-te": "lightgbm", "catboost-es": "catboost", "tabm": "pytabkit"}
IMPORTED_BY_FIT = {
    "pytabkit": ["pytorch_lightning", "pytabkit.models.alg_interfaces.nn_interfaces"]
}
FOR_LATER_ROWS = ("dynint-last",)


# %% Measuring
def say(text):
    """Print to stderr: stdout is for the tables."""
    print(text, file=sys.stderr, flush=True)


def installed(names):
    """Return the models whose library there is; it is imported, so that no run has to wait."""
    found = []
    for name in names:
        package = PACKAGES.get(name, "sk_dynint")
        try:
            for module in (package, *IMPORTED_BY_FIT.get(package, [])):
                importlib.import_module(module)
            found.append(name)
        except ModuleNotFoundError as error:
            say(f"{name} is skipped: {error}; pip install {package}")
    return found


def missing(args, runs, models):
    """Yield table, size and test, seed, and models of which the runs are missing."""
    for size in args.sizes:
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for test in args.test:
                for table in args.tables:
                    if test == "later" and TABLES[table].time is None:
                        continue
                    names = [m for m in models if test == "later" or m not in FOR_LATER_ROWS]
                    key = (table, size, test)
                    if names := [m for m in names if (*key, m, seed) not in runs.runs]:
                        yield key, seed, names


def measure(args, runs):
    """Make the runs that are missing; return how many failed."""
    models, failed = register(args.params), 0
    for (table, size, test), seed, names in missing(args, runs, installed(args.models)):
        parts = part(load(table, args.data, test), None if size == "all" else int(size), seed)
        for name in names if parts is not None else ():
            torch.set_num_threads(args.threads)
            start = time.perf_counter()
            try:
                p = models[name](*parts[:3], seed)
            except Exception as error:  # hours of other runs should not depend on it
                failed += 1
                say(f"{test} {size} {table} seed {seed} {name} failed: {error!r}")
                continue
            seconds = time.perf_counter() - start
            auc, logloss = roc_auc_score(parts.y_test, p), log_loss(parts.y_test, p)
            values = table, size, test, name, seed, float(auc), float(logloss), seconds
            runs.append(dict(zip(COLUMNS, (*values, len(parts.X)), strict=True)))
            say(
                f"{test} {size} {table} seed {seed} {name}: "
                f"AUC {auc:.4f}, logloss {logloss:.4f}, {seconds:.1f} s"
            )
    return failed


def size_of(text):
    """Check a size."""
    if text != "all" and not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of rows nor 'all'")
    return text


def main(argv=None):
    """Run what is missing in the CSV, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add, names = parser.add_argument, list(register())
    add("--data", default=".", help="folder of the Parquet files")
    add("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    add("--sizes", nargs="+", default=["5000", "20000", "all"], type=size_of, help="training rows")
    add("--test", nargs="+", default=["random"], choices=TESTS)
    add("--models", nargs="+", default=names, choices=names)
    add("--seeds", type=int, default=5, help="number of splits")
    add("--first-seed", type=int, default=0)
    add("--params", type=json.loads, default={}, help="of the package's models, as JSON")
    add("--threads", type=int, default=joblib.cpu_count(), help="of every model; default: cores")
    add("--ours", default="dynint", choices=names, help="the model of which the verdict is")
    add("--print", action="store_true", help="run nothing, print what is there")
    add("--out", default="accuracy.csv")
    args = parser.parse_args(argv)

    runs, failed = RunsFile(args.out, COLUMNS, list(KEY)), 0
    if not args.print:
        with warnings.catch_warnings(), threadpool_limits(args.threads):
            warnings.simplefilter("ignore")  # of identifiers, of what was not learnt
            failed = measure(args, runs)
    found = runs.to_frame()
    for column, allowed in {"table": args.tables, "size": args.sizes, "test": args.test}.items():
        found = found[found[column].isin(allowed)]
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    print(
        to_markdown(found[found["model"].isin(args.models) & found["seed"].isin(seeds)], args.ours)
    )
    if failed:
        sys.exit(f"{failed} runs failed; the same command tries them again")


if __name__ == "__main__":
    main()
