"""compare: models trained and scored on the same splits, by the paper's protocol."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from os import PathLike
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import entr
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, has_fit_parameter
from tqdm.auto import tqdm

from sk_dynint._base import BaseCTRClassifier
from sk_dynint.preprocessing import arrow_to_pandas

from ._fingerprint import fingerprint
from ._models import make_model
from ._runs import (
    ComparedRuns,
    Run,
    make_predictions_folder,
    predictions_path,
    save_predictions,
)
from ._splits import Parts, split_at_random, split_by_time

Models = Sequence[str] | Mapping[str, Any]


def compare(
    X: Any,
    y: Any,
    models: Models = ("pin", "da", "dgp", "dwp"),
    *,
    seeds: int | Sequence[int] = 3,
    categorical_features: Sequence[Any] | str = (),
    time: Any = None,
    out: str | PathLike[str] | None = None,
    predictions: str | PathLike[str] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Train models on 70 % of the rows and score them on 20 %, several times.

    The protocol is the paper's: a random split in 70 % for training, 10 % for validation and 20 %
    for the test, here with each class in proportion. A seed determines the split and the
    `random_state` of each model, so that the models of a seed are compared on the same rows. No
    model sees the test rows. Models whose ``fit`` takes `X_val` and `y_val` get the validation
    rows, to stop early (or choose C) by them; the others train on the same 70 % without them.

    Parameters
    ----------
    X : DataFrame (pandas or polars) or array-like of shape (n_samples, n_features)
        Raw columns.
    y : array-like of shape (n_samples,)
        Labels of two or more classes. The greater one of two counts as positive.
    models : list of str or mapping, default=("pin", "da", "dgp", "dwp")
        Names of models (see :func:`sk_dynint.comparison.make_model`), or a mapping from names of
        your own to estimators or names of models. An estimator is cloned; its `random_state`, and
        those of its parts, are set to the seed.
    seeds : int or sequence of int, default=3
        Number of seeds (0, 1, ...), or the seeds themselves.
    categorical_features : sequence of column names or "all", default=()
        Columns of numbers that are identifiers: all models get them as categories, which strings
        are anyway.
    time : array-like of shape (n_samples,), default=None
        When each row happened: dates, numbers, or strings of ISO 8601 dates. If given, the first
        70 % are for training, the next 10 % for validation and the last 20 % for the test, and a
        seed determines the `random_state` of the models only.
        Rows of one moment stay in one part, so coarse times shift the shares.
    out : path, default=None
        A CSV file, in a folder that is there, to which each run is appended when it is finished.
        Runs that it holds already are not made again, so a call that was interrupted goes on where
        it stopped. A file is refused if it holds runs on other data, of another split, or under the
        same name with other parameters.
    predictions : path, default=None
        A folder for labels and probabilities of the test rows of each run, made if it is not there.
        :func:`summarize` needs them for intervals of a single seed.
    n_jobs : int, default=None
        Number of runs made at a time, in processes that share the cores; -1 means one on each core.
        None means one run at a time, on all cores. With small batches (up to some 250,000 rows),
        several runs at a time are finished sooner, though each of them takes longer.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    runs : DataFrame
        A line for each seed and model:

        - model, seed, n_train, n_valid, n_test
        - auc, logloss, and rig, the relative information gain: 1 - logloss / entropy of the
          classes' shares of the test rows. It is 0 for a model that knows these shares only, and 1
          for one that knows every label. With more than two classes, auc is the mean of the AUCs of
          each class against all others.
        - n_parameters_embedding, n_parameters_other: number of weights of the embedding table (and
          of the first order), and of all others. NaN for models that have no net of this package.
        - fit_seconds, with all epochs and the encoding; train_rows_per_second, n_train divided by
          them; predict_rows_per_second.
        - estimator: class and parameters. fingerprint: identifies data and protocol.

    Raises
    ------
    ValueError
        If the labels are of one class; if a model is unknown, or its parameters are wrong;
        if `time` holds other strings than dates; if `out` does not fit.
    OSError
        If `out` or `predictions` cannot be written to; known before anything is trained.
    ImportError
        If a model's library is not installed.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sk_dynint import DynIntClassifier, compare, summarize
    >>> from sk_dynint.datasets import make_ctr_classification
    >>> X, y = make_ctr_classification(2_000, n_numeric=2, n_categorical=4, random_state=0)
    >>> small = DynIntClassifier(n_layers=1, max_epochs=5, n_members=1)
    >>> runs = compare(X, y, {"da": small, "base rate": DummyClassifier()}, seeds=2)
    >>> runs[["model", "seed", "n_train", "n_valid", "n_test"]]
           model  seed  n_train  n_valid  n_test
    0         da     0     1400      200     400
    1  base rate     0     1400      200     400
    2         da     1     1400      200     400
    3  base rate     1     1400      200     400
    >>> bool((runs["auc"][::2] > 0.5).all())
    True
    """
    estimators = _check_models(models)
    seeds = _check_seeds(seeds)
    X, target = _as_categories(_to_frame(X), categorical_features), _check_labels(y)
    if len(X) != len(target):
        raise ValueError(f"X has {len(X)} rows, but y has {len(target)} labels.")
    fixed = None if time is None else split_by_time(target, time)
    protocol = "70/10/20 " + ("at random" if fixed is None else "by time")
    store = ComparedRuns(out, fingerprint(X, target, protocol, time))
    texts = {name: _describe(estimator) for name, estimator in estimators.items()}
    for name, text in texts.items():
        store.check(name, text)
    if predictions is not None:
        make_predictions_folder(predictions)
    pairs = [(name, seed) for seed in seeds for name in estimators]

    def is_made(pair: tuple[str, int]) -> bool:
        return pair in store.runs and (
            predictions is None or predictions_path(predictions, *pair).exists()
        )

    missing = [pair for pair in pairs if not is_made(pair)]
    done = len(pairs) - len(missing)
    with tqdm(total=len(pairs), initial=done, disable=not verbose, unit="run") as bar:

        def started() -> Iterator[Any]:
            for name, seed in missing:
                bar.set_description(f"{name}, seed {seed}")
                yield delayed(_run)(estimators[name], X, target, fixed, name, seed)

        work = started()
        for run, proba, test_labels in Parallel(n_jobs, return_as="generator_unordered")(work):
            name, seed = run["model"], run["seed"]
            if predictions is not None:
                path = predictions_path(predictions, name, seed)
                save_predictions(path, store.fingerprint, test_labels, proba)
            if (name, seed) not in store.runs:  # else only its predictions were missing
                store.append(run | {"estimator": texts[name], "fingerprint": store.fingerprint})
            bar.set_postfix_str(f"{name}, seed {seed}: AUC {run['auc']:.4f}")
            bar.update()
    return store.to_frame(pairs)


def _run(
    estimator: BaseEstimator,
    X: pd.DataFrame,
    y: NDArray[np.int64],
    parts: Parts | None,
    name: str,
    seed: int,
) -> tuple[Run, NDArray[np.float64], NDArray[np.int64]]:
    """Train and score a model; return the run, and probabilities and labels of the test rows."""
    parts = parts or split_at_random(y, seed)
    model = _seeded(estimator, seed)
    X_train, X_valid, X_test = (X.iloc[rows] for rows in parts)
    y_train, y_valid, y_test = (y[rows] for rows in parts)
    valid = {"X_val": X_valid, "y_val": y_valid} if has_fit_parameter(model, "X_val") else {}
    start = perf_counter()
    model.fit(X_train, y_train, **valid)
    trained = perf_counter()
    proba = np.asarray(model.predict_proba(X_test), dtype=np.float64)
    predicted = perf_counter()
    proba = proba[:, 1] if proba.shape[1] == 2 else proba
    logloss = float(log_loss(y_test, proba))
    entropy = entr(np.bincount(y_test) / len(y_test)).sum()
    run = {
        **{"model": name, "seed": seed},
        **{f"n_{part}": len(rows) for part, rows in parts._asdict().items()},
        **{"auc": float(roc_auc_score(y_test, proba, multi_class="ovr")), "logloss": logloss},
        "rig": float(1 - logloss / entropy),
        **_count_parameters(model),
        "fit_seconds": trained - start,
        "train_rows_per_second": len(y_train) / (trained - start),
        "predict_rows_per_second": len(y_test) / (predicted - trained),
    }
    return run, proba, y_test


def _count_parameters(model: Any) -> dict[str, float]:
    """Count the weights that belong to single levels, and all others, if there is a net."""
    counts = {"n_parameters_embedding": np.nan, "n_parameters_other": np.nan}
    module = getattr(getattr(model, "net_", None), "module_", None)
    if module is not None:
        counts = dict.fromkeys(counts, 0.0)
        for name, weights in module.named_parameters():
            is_table = any(fnmatch(name, pattern) for pattern in module.table_names)
            counts[f"n_parameters_{'embedding' if is_table else 'other'}"] += weights.numel()
    return counts


def _seeded(estimator: BaseEstimator, seed: int) -> Any:
    """Return a clone whose `random_state`, and those of its parts, are the seed."""
    model = clone(estimator)
    names = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(names, seed))


def _describe(estimator: BaseEstimator) -> str:
    """Return class and parameters in one line, without addresses in memory."""
    whole = {"N_CHAR_MAX": 10**6} if isinstance(estimator, BaseEstimator) else {}
    with config_context(print_changed_only=True):
        text = estimator.__repr__(**whole)
    return re.sub(r"\s+", " ", re.sub(r" at 0x[0-9a-fA-F]+", "", text))


def _to_frame(X: Any) -> pd.DataFrame:
    X = arrow_to_pandas(X)
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(X).infer_objects()


def _as_categories(X: pd.DataFrame, chosen: Sequence[Any] | str) -> pd.DataFrame:
    """Return the frame with columns of numbers, those chosen, as categories."""
    names = list(X) if isinstance(chosen, str) and chosen == "all" else list(chosen)
    if isinstance(chosen, str) and chosen != "all":
        raise ValueError(f"categorical_features must be a list of names or 'all', got {chosen!r}.")
    for name in names:
        if name not in X.columns:
            raise ValueError(
                f"categorical_features names {name!r}, which is no column of X; its columns are "
                f"{list(X)}."
            )
    numbers = [name for name in names if X[name].dtype.kind in "iufM"]
    return X.astype(dict.fromkeys(numbers, "category"))


def _check_models(models: Models) -> dict[str, BaseEstimator]:
    """Return an estimator for each name."""
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise ValueError(f"models must be a list of names or a mapping, got {models!r}.")
    pairs = models.items() if isinstance(models, Mapping) else [(name, name) for name in models]
    estimators = {
        str(name): make_model(given) if isinstance(given, str) else given for name, given in pairs
    }
    if not estimators:
        raise ValueError("models is empty; name at least one.")
    for name, estimator in estimators.items():
        if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
            raise ValueError(
                f"models[{name!r}] must be an estimator or the name of a model, got {estimator!r}."
            )
        if not any(hasattr(it, "predict_proba") for it in (estimator, type(estimator))):
            raise ValueError(f"models[{name!r}] must have predict_proba, got {estimator!r}.")
        for part in (estimator, *estimator.get_params().values()):
            try:
                if isinstance(part, BaseCTRClassifier):
                    part.check_params()
            except (TypeError, ValueError) as error:
                raise ValueError(f"models[{name!r}]: {error}") from error
    return estimators


def _check_seeds(seeds: int | Sequence[int]) -> list[int]:
    given = [int(seed) for seed in (range(seeds) if isinstance(seeds, int) else seeds)]
    if not given or len(set(given)) < len(given) or min(given) < 0:
        raise ValueError(
            f"seeds must be a number above 0 or different numbers from 0, got {seeds!r}."
        )
    return given


def _check_labels(y: Any) -> NDArray[np.int64]:
    """Return the position of each label among the sorted classes."""
    labels = column_or_1d(y)
    if n_missing := int(pd.isna(labels).sum()):
        raise ValueError(f"y has {n_missing} missing labels of {len(labels)}.")
    check_classification_targets(labels)
    classes, positions = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must have two or more classes, got one: {classes.tolist()}.")
    return positions.astype(np.int64)
