"""Click logs whose true click probability is known: the public function and its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from ._truth import PARTS, Truth, draw_fields

_CARDINALITY_RANGE = (3, 10_000_000)  # of the default cardinalities, as in Criteo's logs
_MOST_LEVELS = 2**31 - 1

_CONSTRAINTS: dict[str, list[Any]] = {
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "n_numeric": [Interval(Integral, 0, None, closed="left")],
    "n_categorical": [Interval(Integral, 0, None, closed="left")],
    "cardinalities": [Interval(Integral, 2, _MOST_LEVELS, closed="both"), "array-like", None],
    "zipf_exponent": [Interval(Real, 0, None, closed="left")],
    "missing": [Interval(Real, 0, 0.5, closed="both")],
    **{part: [Interval(Real, 0, None, closed="left")] for part in PARTS},
    "positive_rate": [Interval(Real, 0, 1, closed="neither")],
    "return_proba": ["boolean"],
    "truth_seed": [Interval(Integral, 0, None, closed="left")],
    "random_state": ["random_state"],
}


def make_ctr_classification(
    n_samples: int = 100_000,
    *,
    n_numeric: int = 13,
    n_categorical: int = 26,
    cardinalities: int | Sequence[int] | None = None,
    zipf_exponent: float = 1.15,
    missing: float = 0.1,
    linear: float = 0.8,
    pairwise: float = 0.65,
    third_order: float = 0.45,
    instance_dependent: float = 0.8,
    positive_rate: float = 0.25,
    return_proba: bool = False,
    truth_seed: int = 0,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Any, ...]:
    r"""Make a click log whose true click probability is known.

    Rows look like those of the Criteo logs: count-like numbers with heavy tails, strings whose
    levels follow a Zipf law, holes in both. The label is drawn from

    .. math::

        P(y = 1 \mid x) = \sigma\Big(b + \sum_{\text{parts}} \text{strength} \cdot
            \frac{\text{part}(x) - \text{mean}}{\text{standard deviation}}\Big)

    with four parts, where each score :math:`s` (or vector of two, :math:`v`) is a fixed random
    function of one field's value, missing being a value like any other:

    ====================  ========================================================================
    linear                :math:`\sum_i a_i s_i(x_i)` over all fields
    pairwise              :math:`\langle v_i(x_i), v_j(x_j) \rangle` summed over 4 pairs of fields
    third order           :math:`\sum_d v_{id} v_{jd} v_{kd}` summed over 2 triples of fields
    instance-dependent    :math:`\tanh(1.5\, q(x)) \, \langle v_i(x_i), v_j(x_j) \rangle` summed
                          over 3 pairs: the pair's weight, sign included, is set by
                          :math:`q(x) = \sum_{g \in G} s_g(x_g) / \sqrt{|G|}`, a score of up to 3
                          *other* fields of the same row
    ====================  ========================================================================

    Fields that interact are drawn from the half of the categorical fields (but at least 8) with
    the fewest levels; :math:`q` may also read numeric fields. No static model can follow the
    fourth part in full.

    Parameters
    ----------
    n_samples : int, default=100_000
        Number of rows.
    n_numeric : int, default=13
        Number of numeric columns, named I1, I2, ...: whole numbers from 0 on, log-normal.
    n_categorical : int, default=26
        Number of string columns, named C1, C2, ...: levels are 8 hexadecimal digits.
    cardinalities : int or array-like of shape (n_categorical,), default=None
        Number of levels that each string column can take, at least 2. None spaces them
        geometrically from 3 to 10 million: with 26 columns, 800,000 rows then hold about
        840,000 distinct levels and a million rows 970,000, like a sample of Criteo's logs.
    zipf_exponent : float, default=1.15
        The r-th most frequent level of a column has a probability of about r to the power of
        minus this. 0 makes levels equally frequent.
    missing : float, default=0.1
        Mean share of missing entries, at most 0.5. Shares of single columns lie evenly between 0
        and twice this. Entries are missing at random, but that they are moves the logit.
    linear, pairwise, third_order, instance_dependent : float
        Strength of each part: its standard deviation on the logit's scale. 0 removes the part
        from the truth and leaves the rows as they are, see Notes. Defaults are 0.8, 0.65, 0.45
        and 0.8.
    positive_rate : float, default=0.25
        Expected share of clicks, between 0 and 1.
    return_proba : bool, default=False
        Whether to return the true probabilities too.
    truth_seed : int, default=0
        Seed of the truth: of the laws of the columns and of everything in the formula above.
        Samples of different `random_state` and equal other parameters share one truth, so that
        one call can make the training rows and another the test rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows and of their labels. None takes fresh entropy from the operating
        system; NumPy's global generator is never used.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_numeric + n_categorical)
        float64 and string columns; missing entries are NaN.
    y : ndarray of shape (n_samples,)
        0 or 1, int64.
    proba : ndarray of shape (n_samples,)
        The true probability of 1, which no model can beat; only if `return_proba=True`.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or there are too few fields for a part of positive
        strength.

    Notes
    -----
    Mean, standard deviation and :math:`b` are constants of the truth, found on 50,000 rows that
    `truth_seed` draws. Hidden factors of a row (3, think of user, page and advertisement)
    correlate its fields and do not enter the logit otherwise. :math:`a_i` falls with the number
    of levels, as the power -1/8: rare levels cannot be learnt.

    Rows do not depend on the strengths. The same call with `instance_dependent=0` therefore
    gives the probabilities of an oracle that knows the static parts only, for the same rows.
    With the default parameters the AUC of the true probabilities is about .80, of the static
    oracle .74, and of the linear one .67.

    Examples
    --------
    >>> from sk_dynint.datasets import make_ctr_classification
    >>> X, y, proba = make_ctr_classification(
    ...     1000, n_numeric=1, n_categorical=4, cardinalities=20, return_proba=True, random_state=0
    ... )
    >>> X.columns.to_list()
    ['I1', 'C1', 'C2', 'C3', 'C4']
    >>> bool(abs(y.mean() - proba.mean()) < 0.03)
    True

    The parts that an oracle knows, for the same rows:

    >>> from sklearn.metrics import roc_auc_score
    >>> *_, static = make_ctr_classification(
    ...     1000, n_numeric=1, n_categorical=4, cardinalities=20, return_proba=True, random_state=0,
    ...     instance_dependent=0,
    ... )
    >>> bool(roc_auc_score(y, static) < roc_auc_score(y, proba))
    True
    """
    validate_parameter_constraints(
        _CONSTRAINTS, dict(locals()), caller_name="make_ctr_classification"
    )
    strengths = dict(zip(PARTS, (linear, pairwise, third_order, instance_dependent), strict=True))
    _check_enough_fields(n_numeric, n_categorical, strengths)
    levels = _check_cardinalities(cardinalities, n_categorical)
    fields = draw_fields(n_numeric, levels, zipf_exponent, missing, truth_seed)
    truth = Truth(fields, strengths, positive_rate, truth_seed)

    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    rng = np.random.default_rng(random_state)
    columns = truth.draw(n_samples, rng)
    proba = truth.proba(columns)
    y = (rng.random(n_samples) < proba).astype(np.int64)
    X = pd.DataFrame(
        {f.name: f.render(column) for f, column in zip(fields, columns, strict=True)}, copy=False
    )
    return (X, y, proba) if return_proba else (X, y)


def _check_enough_fields(
    n_numeric: int, n_categorical: int, strengths: Mapping[str, float]
) -> None:
    if n_numeric + n_categorical == 0:
        raise ValueError("n_numeric=0 and n_categorical=0 leave no columns; ask for at least one.")
    for part, least in (("pairwise", 2), ("third_order", 3), ("instance_dependent", 2)):
        if strengths[part] > 0 and n_categorical < least:
            raise ValueError(
                f"{part}={strengths[part]} needs n_categorical >= {least}, got {n_categorical}; "
                f"add columns or set {part}=0."
            )
    if strengths["instance_dependent"] > 0 and n_numeric + n_categorical < 3:
        raise ValueError(
            "instance_dependent > 0 needs a third column that sets the weight of a pair, got "
            f"{n_numeric=} and {n_categorical=}; add columns or set instance_dependent=0."
        )


def _check_cardinalities(cardinalities: int | Sequence[int] | None, n: int) -> list[int]:
    """Return the number of levels of each of n columns."""
    if cardinalities is None:
        return [int(k) for k in np.geomspace(*_CARDINALITY_RANGE, n).round()]
    if isinstance(cardinalities, Integral):
        return [int(cardinalities)] * n
    given = np.asarray(cardinalities)
    if given.shape != (n,):
        raise ValueError(
            f"cardinalities must be an int or have shape ({n},), as n_categorical={n}; "
            f"got shape {given.shape}."
        )
    if n and (given.dtype.kind not in "iu" or given.min() < 2 or given.max() > _MOST_LEVELS):
        raise ValueError(
            f"cardinalities must be whole numbers from 2 to {_MOST_LEVELS}, got {cardinalities}."
        )
    return [int(k) for k in given]
