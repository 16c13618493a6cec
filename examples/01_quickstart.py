"""
Quick start
===========

Two tables, and on each the same three models: logistic regression, gradient boosting, and a
:class:`~sk_dynint.DynIntClassifier` with its default parameters.  The first table has what the
method is made for: identifiers with many levels that matter together.  On the second, flights in
the order of time, it is not ahead.  The plot at the end needs the extra ``plot``, all else the
package alone.
"""

# %%
import time

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder

from sk_dynint import DynIntClassifier, FieldEncoder
from sk_dynint.datasets import load_flights


# %%
# The two references need their columns prepared: logistic regression gets one-hot columns of the
# indices of this package's encoder, and the trees get target encoding of the strings.
# DynIntClassifier takes the table as it is.
def make_models(**params):
    """The three models, by name; parameters are those of DynIntClassifier."""
    strings = make_column_selector(dtype_exclude="number")
    target_encoder = TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=0))
    return {
        "logistic regression": make_pipeline(
            FieldEncoder(),
            OneHotEncoder(handle_unknown="ignore"),
            LogisticRegression(C=0.1, max_iter=200),
        ),
        "HistGradientBoosting": make_pipeline(
            make_column_transformer((target_encoder, strings), remainder="passthrough"),
            HistGradientBoostingClassifier(random_state=0),
        ),
        "DynIntClassifier": DynIntClassifier(random_state=0, **params),
    }


def evaluate(models, X_train, y_train, X_test, y_test):
    """Fit the models; return their scores on the test rows."""
    rows = []
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = round(time.perf_counter() - start, 1)
        p = model.predict_proba(X_test)[:, 1]
        scores = round(roc_auc_score(y_test, p), 4), round(log_loss(y_test, p), 4)
        rows.append((name, *scores, seconds))
    columns = ["model", "test AUC", "test logloss", "fit seconds"]
    return pd.DataFrame(rows, columns=columns).set_index("model")


# %%
# Users and items
# ---------------
# A made-up log.  300 users belong to six groups and 200 items to eight kinds; nobody sees which.
# Whether a user clicks an item depends on group and kind *together*, and on the hour.  A user has
# 80 training rows on average, and most pairs of user and item occur once or never.
rng = np.random.default_rng(0)
n = 30_000
user, item, hour = (rng.integers(0, levels, n) for levels in (300, 200, 24))
group, kind = rng.integers(0, 6, 300)[user], rng.integers(0, 8, 200)[item]
liking, time_of_day = rng.normal(0, 1.5, (6, 8)), rng.normal(0, 0.7, (24, 8))
p_true = expit(-1.3 + liking[group, kind] + time_of_day[hour, kind])
y = rng.binomial(1, p_true)
X = pd.DataFrame(
    {"user": user, "item": item, "hour": hour, "device": rng.choice(["phone", "desk"], n)}
)
X = X.astype({"user": str, "item": str, "hour": str})  # identifiers, not quantities

train, test = slice(0, 24_000), slice(24_000, None)
clicks = evaluate(make_models(), X[train], y[train], X[test], y[test])
print(clicks.to_string())
print(f"The true probabilities have an AUC of {roc_auc_score(y[test], p_true[test]):.4f}.")

# %%
# No sum of what a user does and what an item is like can follow such a log.  The table was made to
# show that; on real ones (films, apps, advertisements) the differences are smaller, see
# ``docs/benchmarks.md``.

# %%
# Flights
# -------
# Will a departure from New York be 15 minutes late?  The package brings those of 2013, with the
# weather and the plane.  We learn from January to September, and predict October to December.  Only
# the month is left out, because no model has seen the months that it is to predict.  Every third
# row of the past is enough here; ``EVERY = 1`` takes all of them.
EVERY = 3
flights = load_flights()
X, y = flights.data.drop(columns="month"), flights.target
past = flights.date < "2013-10-01"
rows = X[past][::EVERY], y[past][::EVERY], X[~past], y[~past]
print(f"{len(rows[0]):,} rows to learn from, {len(rows[2]):,} later rows to predict")

# %%
# The test flights are later than all others.  Random validation rows would be easier: they share
# hours, with their weather and their queues, with the training rows.  So DynInt stops by the last
# tenth of the rows.
later = evaluate(make_models(validation="last"), *rows)
print(later.to_string())

# %%
# The picture has a point for each model, and a panel for each table.
try:
    import matplotlib.pyplot as plt
except ImportError:
    print("The plot needs matplotlib: pip install 'sk-dynint[plot]'")
else:
    figure, axes = plt.subplots(1, 2, figsize=(8, 2), sharey=True, layout="constrained")
    for ax, (title, table) in zip(axes, {"clicks": clicks, "flights": later}.items(), strict=True):
        ax.plot(table["test AUC"], table.index, "o")
        ax.set(title=title, xlabel="test AUC (higher is better)")
        ax.margins(x=0.15, y=0.3)
        ax.grid(axis="x", alpha=0.3)
    plt.show()

# %%
# DynInt is far ahead where identifiers matter together, and between the other two where weather and
# time of day decide.
