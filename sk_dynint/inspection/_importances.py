"""Means over rows: the importance of fields, and the strength of their interactions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from sk_dynint.inspection._explanation import Explanation
from sk_dynint.inspection._shapley import Average, shapley_interactions, shapley_values

By = Literal["field", "column"]


def explain(clf: Any, X: Any, background: Any, average: Average, by: By) -> Explanation:
    """Return Shapley values by field, or with the shares of crosses given to their columns."""
    if by not in ("field", "column"):
        raise ValueError(f"{by=!r}; it must be 'field' or 'column'")
    explanation = shapley_values(clf, X, background=background, average=average)
    return explanation.by_column() if by == "column" else explanation


def field_importances(
    clf: Any,
    X: Any,
    *,
    background: Any = None,
    average: Average = "vectors",
    by: By = "field",
) -> pd.Series | pd.DataFrame:
    """Return the mean absolute Shapley value of each field over some rows.

    It tells how much the model uses a field for these rows, not how much better it is for it.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, see :func:`shapley_values`, also for the errors.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        The rows; a few hundred do.
    background : DataFrame, EncodedData or array-like, default=None
        Rows that say what absent fields are; None: the zero vector.
    average : {"vectors", "values"}, default="vectors"
        What is averaged over the background.
    by : {"field", "column"}, default="field"
        "column" first gives the share of a cross to its columns, in equal parts.

    Returns
    -------
    importances : Series of shape (n_fields,)
        In log-odds, by name; of more than two classes a DataFrame with a column for each.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import field_importances
    >>> X = pd.DataFrame({"site": ["a", "b"] * 200, "noise": ["x"] * 200 + ["y"] * 200})
    >>> model = DynIntClassifier(n_members=1, random_state=0).fit(X, [0, 1] * 200)
    >>> field_importances(model, X, background=X).idxmax()
    'site'
    """
    explanation = explain(clf, X, background, average, by)
    means = np.abs(explanation.values).mean(0)
    index = pd.Index(explanation.feature_names, name=by)
    if explanation.output_names is None:
        return pd.Series(means, index, name="importance")
    return pd.DataFrame(means, index, columns=explanation.output_names)


def interaction_strengths(
    clf: Any, X: Any, *, background: Any = None, average: Average = "vectors"
) -> pd.DataFrame:
    """Return the mean absolute interaction of each pair of fields over some rows.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, see :func:`shapley_values`, also for the errors.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        The rows; a few hundred do.
    background : DataFrame, EncodedData or array-like, default=None
        Rows that say what absent fields are; None: the zero vector.  With a background that is
        typical of the rows, what two fields have on average is left to the fields themselves, and
        what remains is how they act together.
    average : {"vectors", "values"}, default="vectors"
        What is averaged over the background.

    Returns
    -------
    strengths : DataFrame of shape (n_fields, n_fields)
        Mean of the absolute interaction indices in log-odds, symmetric, zero on the diagonal; of
        more than two classes the mean over these.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import interaction_strengths
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.integers(0, 2, (500, 3)), columns=["a", "b", "c"])
    >>> model = DynIntClassifier(n_members=1, crosses=None, random_state=0)
    >>> model = model.fit(X, X["a"] ^ X["c"])
    >>> strengths = interaction_strengths(model, X, background=X)
    >>> strengths.stack().idxmax()
    ('a', 'c')
    """
    explanation = shapley_interactions(clf, X, background=background, average=average)
    strengths = 2 * np.abs(explanation.values).mean(0)
    if strengths.ndim == 3:
        strengths = strengths.mean(2)
    np.fill_diagonal(strengths, 0)
    names = explanation.feature_names
    return pd.DataFrame(strengths, names, names)
