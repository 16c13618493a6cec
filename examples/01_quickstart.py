"""Quickstart: will this flight be late?

Learns from the departures of January to September, predicts those of October to December, and
compares with logistic regression and with gradient boosting.  About a minute on two cores.
"""

# %%
import time

import pandas as pd
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
# 327,346 departures with the weather and the plane: strings with thousands of levels, numbers,
# missing values.  Nothing has to be prepared; only the month goes, because no model has seen the
# months that it is to predict.
flights = load_flights()
X, y = flights.data.drop(columns="month"), flights.target
past = flights.date < "2013-10-01"
X_train, y_train, X_test, y_test = X[past], y[past], X[~past], y[~past]
print(f"{len(X_train):,} rows to learn from, {len(X_test):,} later rows to predict")

# %%
# Two references.  Both need their columns prepared: logistic regression gets one-hot columns of the
# indices of this package's encoder, and the trees get target encoding of the strings.
text = make_column_selector(dtype_exclude="number")
target_encoder = TargetEncoder(cv=StratifiedKFold(5, shuffle=True, random_state=0))
models = {
    "logistic regression": make_pipeline(
        FieldEncoder(),
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(C=0.1, max_iter=200),
    ),
    "HistGradientBoosting": make_pipeline(
        make_column_transformer((target_encoder, text), remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=0),
    ),
    "DynIntClassifier": DynIntClassifier(validation="last", random_state=0),
}

# %%
# The test flights are later than all others.  Random validation rows would be easier: they share
# hours, with their weather and their queues, with the training rows.  So DynInt stops by the last
# tenth of the rows.
rows = []
for name, model in models.items():
    start = time.perf_counter()
    model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    p = model.predict_proba(X_test)[:, 1]
    rows.append((name, roc_auc_score(y_test, p), log_loss(y_test, p), seconds))

table = pd.DataFrame(rows, columns=["model", "test AUC", "test logloss", "fit seconds"])
print(table.round({"test AUC": 4, "test logloss": 4, "fit seconds": 1}).to_string(index=False))
