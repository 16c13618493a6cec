"""Statistics of runs: means, deviations, and differences with confidence intervals."""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import rankdata

from ._runs import load_predictions, predictions_path

SCORES = ("auc", "logloss", "rig")
COMPARED = ("auc", "logloss")

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A difference and the bounds of its confidence interval.

    Attributes
    ----------
    difference, low, high : float
        The bounds are NaN where there is no interval.
    """

    difference: float
    low: float
    high: float


def summarize(
    runs: pd.DataFrame,
    reference: str | None = None,
    *,
    predictions: str | PathLike[str] | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Summarise the runs of :func:`compare`, and compare each model with a reference.

    Parameters
    ----------
    runs : DataFrame
        As :func:`compare` returns them; all on the same data and with the same protocol.
    reference : str, default=None
        The model from which differences are taken; None means no differences.
    predictions : path, default=None
        The folder that was given to :func:`compare`. It is read for models that share only one
        seed with the reference.
    confidence : float, default=0.95
        Confidence of the intervals.

    Returns
    -------
    summary : DataFrame
        A line for each model: n_seeds; auc, logloss and rig, with _sd, the standard deviation over
        seeds (NaN with one seed); the means of n_parameters_embedding, n_parameters_other,
        fit_seconds, train_rows_per_second and predict_rows_per_second. With a reference also
        auc_difference, auc_low, auc_high and the same of logloss: model minus reference.

    Notes
    -----
    *Several seeds.* The interval is that of Student's t for the paired differences of the seeds
    that both models have. Random splits of the same rows overlap, so their differences are not
    quite independent: the interval describes other splits of these rows, and tends to be too narrow
    for other data. After a split by time, all seeds share the test rows, and the interval describes
    the randomness of the training alone.

    *One seed.* The interval describes other test rows: by DeLong's covariance of two AUCs, and by
    the paired differences of the rows' logloss, both with the normal distribution. It needs
    `predictions`; without them the bounds are NaN.

    References
    ----------
    E. DeLong, D. DeLong and D. Clarke-Pearson, *Comparing the areas under two or more correlated
    receiver operating characteristic curves*, Biometrics 44, 1988.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import summarize
    >>> runs = pd.DataFrame(
    ...     {
    ...         "model": ["pin", "da"] * 3,
    ...         "seed": [0, 0, 1, 1, 2, 2],
    ...         "auc": [0.70, 0.72, 0.71, 0.72, 0.69, 0.72],
    ...         "logloss": [0.50, 0.49, 0.51, 0.50, 0.52, 0.50],
    ...     }
    ... )
    >>> summary = summarize(runs, reference="pin")
    >>> summary[["n_seeds", "auc", "auc_difference", "auc_low", "auc_high"]].round(3)
           n_seeds   auc  auc_difference  auc_low  auc_high
    model
    pin          3  0.70            0.00      NaN       NaN
    da           3  0.72            0.02   -0.005     0.045
    """
    _check_runs(runs, reference, confidence)
    groups = runs.groupby("model", sort=False)
    columns: dict[str, Any] = {"n_seeds": groups.size()}
    for name in (*SCORES, *_sizes_and_speeds(runs)):
        if name in runs:
            columns[name] = groups[name].mean()
        if name in runs and name in SCORES:
            columns[f"{name}_sd"] = groups[name].std()
    summary = pd.DataFrame(columns)
    if reference is None:
        return summary
    for score in COMPARED:
        intervals = [
            _compare(runs, score, str(model), reference, predictions, confidence)
            for model in summary.index
        ]
        for part, values in zip(Interval._fields, zip(*intervals, strict=True), strict=True):
            summary[f"{score}_{part}"] = values
    return summary


def _sizes_and_speeds(runs: pd.DataFrame) -> list[str]:
    """Return the columns, other than scores, that have a mean."""
    return [name for name in runs if name.startswith("n_parameters_") or "seconds" in name] + [
        name for name in runs if name.endswith("_per_second")
    ]


def _check_runs(runs: pd.DataFrame, reference: str | None, confidence: float) -> None:
    """Raise if an argument of :func:`summarize` is wrong."""
    if absent := [name for name in ("model", "seed", *COMPARED) if name not in runs]:
        raise ValueError(f"runs has no column {absent[0]!r}; it has {list(runs)}.")
    if "fingerprint" in runs and runs["fingerprint"].nunique() > 1:
        raise ValueError(
            f"runs are of {runs['fingerprint'].nunique()} data sets or splits; summarize one at a "
            "time (column 'fingerprint' tells them apart)."
        )
    if (repeated := runs.duplicated(["model", "seed"])).any():
        model, seed = runs.loc[repeated, ["model", "seed"]].iloc[0]
        raise ValueError(f"runs has more than one line of {model!r} with seed {seed}.")
    if reference is not None and reference not in set(runs["model"]):
        raise ValueError(
            f"reference={reference!r} is not among the models: {list(runs['model'].unique())}."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}.")


def _compare(
    runs: pd.DataFrame,
    score: str,
    model: str,
    reference: str,
    predictions: str | PathLike[str] | None,
    confidence: float,
) -> Interval:
    """Return the difference of a score of a model from that of the reference."""
    if model == reference:
        return Interval(0.0, np.nan, np.nan)
    scores = runs.pivot(index="seed", columns="model", values=score)
    differences = (scores[model] - scores[reference]).dropna()
    if len(differences) != 1 or predictions is None:
        return paired_t(differences, confidence)
    seed = int(differences.index[0])
    fingerprint = runs["fingerprint"].iloc[0]
    (y, p), (y_reference, p_reference) = (
        load_predictions(predictions_path(predictions, name, seed), fingerprint)
        for name in (model, reference)
    )
    assert np.array_equal(y, y_reference)
    compare_rows = {"auc": delong, "logloss": paired_logloss}[score]
    return compare_rows(y, p, p_reference, confidence)


def paired_t(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean of differences, with the interval of Student's t.

    Parameters
    ----------
    differences : array-like of shape (n_seeds,)
        Score of a model minus that of the reference, one for each seed. (Plain scores give the
        interval of their mean.)
    confidence : float, default=0.95
        Probability that the interval covers the expectation.

    Returns
    -------
    interval : Interval
        The bounds are NaN if there are fewer than two differences.

    Examples
    --------
    >>> from sk_dynint.comparison import paired_t
    >>> difference, low, high = paired_t([0.002, 0.001, 0.003])
    >>> print(f"{difference:.4f} ({low:.4f} to {high:.4f})")
    0.0020 (-0.0005 to 0.0045)
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return Interval(float(d.mean()) if len(d) else np.nan, np.nan, np.nan)
    half = stdtrit(len(d) - 1, (1 + confidence) / 2) * d.std(ddof=1) / np.sqrt(len(d))
    return _around(d.mean(), half)


def delong(y: ArrayLike, p: Floats, p_reference: Floats, confidence: float = 0.95) -> Interval:
    r"""Return the difference of two AUCs on the same rows, with DeLong's interval.

    The AUC is the mean over positives of the share of negatives ranked below, and the mean over
    negatives of the share of positives ranked above (ties count half). With these shares
    :math:`V_{10}` and :math:`V_{01}`, each of two models, the variance of the difference is that of
    the difference of the :math:`V_{10}` over the number of positives plus that of the
    :math:`V_{01}` over the number of negatives.

    Of more than two classes, with probabilities (n_samples, n_classes), it is the mean AUC of each
    class against all others: what a row adds to it is the mean of what it adds to each, and the
    variance is summed over the classes in the same way.
    """
    y = np.asarray(y)
    p, p_reference = (np.reshape(each, (len(y), -1)) for each in (p, p_reference))
    classes = range(p.shape[1]) if p.shape[1] > 1 else [1]
    difference, terms = 0.0, np.zeros(len(y))
    for c, *scores in zip(classes, p.T, p_reference.T, strict=True):
        positive = y == c
        shares, shares_reference = (_shares(positive, each) for each in scores)
        gain = (shares - shares_reference) / len(classes)
        difference += gain[positive].mean()
        terms += gain / np.where(positive, positive.sum(), (~positive).sum())
    groups = [terms[y == c] for c in np.unique(y)]
    variance = sum(len(group) * np.var(group, ddof=1) for group in groups)
    return _around(difference, ndtri((1 + confidence) / 2) * np.sqrt(variance))


def _shares(positive: NDArray[np.bool_], scores: Floats) -> Floats:
    """Return for each row the share of the other class on the right side of it in the ranking."""
    ranks = rankdata(scores)
    shares = np.empty(len(scores))
    for rows, right in ((positive, 1), (~positive, -1)):
        below = ranks[rows] - rankdata(scores[rows])
        share = below / (~rows).sum()
        shares[rows] = share if right > 0 else 1 - share
    return shares


def paired_logloss(
    y: ArrayLike, p: Floats, p_reference: Floats, confidence: float = 0.95
) -> Interval:
    """Return the difference of two loglosses on the same rows, with the normal interval."""
    d = row_logloss(y, p) - row_logloss(y, p_reference)
    half = ndtri((1 + confidence) / 2) * d.std(ddof=1) / np.sqrt(len(d))
    return _around(d.mean(), half)


def row_logloss(y: ArrayLike, p: Floats) -> Floats:
    """Return the cross-entropy of each row, clipped as in scikit-learn's `log_loss`."""
    eps = np.finfo(np.float64).eps
    y, p = np.asarray(y), np.clip(p, eps, 1 - eps)
    if p.ndim == 2:
        return -np.log(p[np.arange(len(y)), y])
    return -np.where(y == 1, np.log(p), np.log1p(-p))


def _around(middle: float, half: float) -> Interval:
    """Return an interval by its middle and half its width."""
    return Interval(float(middle), float(middle - half), float(middle + half))
