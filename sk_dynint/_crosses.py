"""Which crosses a classifier has: those it is told, or those that its rows ask for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from sk_dynint._rows import Rows, encoder_for
from sk_dynint._sources import Source
from sk_dynint._warnings import warnings_ignored
from sk_dynint.preprocessing import FieldEncoder, find_crosses, unfrozen
from sk_dynint.training import EncodedData, stage

MIN_ROWS = 1000
"""With fewer rows, ``crosses="auto"`` chooses none."""

MAX_ROWS = 100_000
"""Rows that the networks learn from which have the last word about crosses, at most."""

MAX_SAMPLE = 1_000_000
"""Rows of a table that is read in parts by which crosses are chosen, at most."""


def encoder_with_crosses(
    estimator: Any, rows: Rows, valid: Rows | None
) -> tuple[Any, pd.DataFrame]:
    """Return the encoder to fit, and its crosses.

    Parameters
    ----------
    estimator : BaseCTRClassifier
        Has the parameters `encoder`, `crosses` and `categorical_features`.
    rows, valid : Rows
        Rows to learn from and validation rows, if there are any.
    """
    is_told = not isinstance(estimator.crosses, str)
    encoder = encoder_for(
        rows.X,
        estimator.encoder,
        categorical_features=estimator.categorical_features,
        crosses=estimator.crosses if is_told else None,
    )
    if is_told or getattr(encoder, "crosses", None) is not None:
        return encoder, _given(encoder)
    if isinstance(rows.X, Source):
        rows, valid = _sampled(rows), valid and _sampled(valid)
    tells = estimator.verbose and len(rows.target) >= MIN_ROWS
    with stage("fit: looking for crosses", tells):
        chosen = _chosen(rows, valid, encoder)
    if chosen["kept"].any():
        crosses = chosen.loc[chosen["kept"].astype(bool), "columns"].tolist()
        with stage(f"fit: confirming {len(crosses)} crosses", tells):
            losses = _losses(estimator, rows, valid, crosses)
        chosen.attrs["logloss"] = losses
        if losses["with"] < losses["without"]:
            encoder.set_params(crosses=crosses)
        else:
            chosen["kept"] = False
    return encoder, chosen


def makes_target_means(encoder: Any) -> bool:
    """Whether an encoder makes means of the target, which tell of the labels of its rows."""
    encoder = unfrozen(encoder)
    return bool(getattr(encoder, "crosses", None)) and bool(encoder.target_statistics)


def _sampled(rows: Rows) -> Rows:
    """Return at most `MAX_SAMPLE` rows of a table that is read in parts, to be kept in memory."""
    if (n := len(rows.target)) > MAX_SAMPLE:
        rows = rows.take(np.random.RandomState(0).choice(n, MAX_SAMPLE, replace=False))
    return rows._replace(X=rows.X.in_folder(None))


def _losses(
    estimator: Any, rows: Rows, valid: Rows | None, crosses: list[tuple[Hashable, ...]]
) -> dict[str, float]:
    """Return the logloss of one network without crosses and with them, on rows of neither.

    These rows tell what those that chose crosses cannot: a network that knows the levels of a cross
    by heart can make out from a mean of the target, though that is out of fold, what is missing in
    it, and so the labels of its own rows; and it may know the cross from its columns already.

    Parameters
    ----------
    estimator : BaseCTRClassifier
        What the network is to be like.
    rows, valid : Rows
        Rows to learn from and validation rows; without any of these, a part of the rows is held
        out.
    crosses : list of tuple
        Columns of each.
    """
    if valid is None:
        lacks_groups = estimator.validation == "groups" and rows.groups is None
        how = "random" if lacks_groups else estimator.validation
        rows, valid = rows.split(how, estimator.validation_fraction, np.random.RandomState(0))
    if (n := len(rows.target)) > MAX_ROWS:
        rows = rows.take(np.random.RandomState(0).permutation(n)[:MAX_ROWS])
    valid = valid.take(np.flatnonzero(np.isin(valid.target, rows.target)))  # rare classes
    if np.ptp(rows.target) == 0 or not len(valid.target):
        return {"without": np.nan, "with": np.nan}
    given = {
        "sample_weight": rows.weight,
        **{"X_val": valid.X, "y_val": valid.target.astype(int), "sample_weight_val": valid.weight},
    }
    options = estimator.get_params(deep=False) | {"n_members": 1, "callbacks": None, "verbose": 0}
    options |= {"early_stopping": True, "scoring": "logloss", "class_weight": None}
    options |= {"warm_start": False, "random_state": 0, "checkpoint": None, "cache": None}
    losses = {}
    with warnings_ignored():
        for name, each in (("without", None), ("with", crosses)):
            network = type(estimator)(**options | {"crosses": each})
            losses[name] = network.fit(rows.X, rows.target.astype(int), **given).best_score_
    return losses


def _chosen(rows: Rows, valid: Rows | None, encoder: Any) -> pd.DataFrame:
    """Choose crosses by training rows, and confirm them by validation rows.

    Parameters
    ----------
    rows, valid : Rows
        Rows to learn from and validation rows; without any of these, a part of the rows confirms.
    encoder : transformer
        Not fitted yet.  One that is frozen or knows no crosses gets none.

    Returns
    -------
    DataFrame
        A line for each cross that was considered: see `crosses_` of the classifiers.
    """
    columns = ["columns", "gain", "confirmed", "error", "kept"]
    if (
        isinstance(rows.X, EncodedData)
        or not isinstance(encoder, FieldEncoder)
        or len(rows.target) < MIN_ROWS
    ):
        return pd.DataFrame(columns=columns)
    alone, confirming = clone(encoder), None
    with warnings_ignored():  # the encoder that is kept will warn
        indices = rows.fit_transform(alone)
        single = [j for j, kind in enumerate(alone.field_kinds_) if kind != "list"]
        if len(single) < 2:
            return pd.DataFrame(columns=columns)
        if valid is not None:
            confirming = alone.transform(valid.X)[:, single], valid.target, valid.weights()
    found = find_crosses(indices[:, single], rows.target, rows.weight, confirming=confirming)
    labels = [alone._labels()[j] for j in single]
    return pd.DataFrame(
        [(tuple(labels[j] for j in each.columns), *each[1:], each.is_kept) for each in found],
        columns=columns,
    )


def _given(encoder: Any) -> pd.DataFrame:
    """Return the same table of the crosses that an encoder was told to have."""
    crosses = getattr(unfrozen(encoder), "crosses", None) or []
    return pd.DataFrame({"columns": [tuple(cross) for cross in crosses], "kept": True})
