"""
Rows in the order of time
=========================

A model that predicts later rows should be stopped by later rows.  Random validation rows share
their hours with the training rows, so that they flatter a model that has learnt the hours by heart.
``validation="last"`` sets the last rows aside instead.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights

# %%
# Departures from New York in 2013, which stand in the order of their schedule.  We learn from every
# fifth one up to September, and predict October to December.
flights = load_flights()
past = flights.date < "2013-10-01"
X_train, y_train = flights.data[past][::5], flights.target[past][::5]
X_test, y_test = flights.data[~past], flights.target[~past]

# %%
# The column ``month`` only grows: all test rows have months that no training row has, as a warning
# of `predict_proba` says.  Without it a model has less to learn by heart.
rows, histories = [], {}
for columns in ("with month", "without month"):
    dropped = ["month"] if columns == "without month" else []
    A, B = X_train.drop(columns=dropped), X_test.drop(columns=dropped)
    for validation in ("random", "last"):
        model = DynIntClassifier(
            validation=validation, n_members=1, crosses=None, random_state=0
        ).fit(A, y_train)
        p = model.predict_proba(B)[:, 1]
        scores = model.best_score_, log_loss(y_test, p), roc_auc_score(y_test, p)
        rows.append((columns, validation, model.best_step_, *scores))
        histories[columns, validation] = model.history_
names = ["column", "validation", "best step", "validation logloss", "test logloss", "test AUC"]
print(pd.DataFrame(rows, columns=names).round(4).to_string(index=False))

# %%
# The validation loglosses of the two ways are of different rows (September has few delays), so that
# only those of the later rows compare: the last rows chose better weights, with the month and
# without.  One seed moves such figures by .005 and more.
ax = plt.figure(figsize=(6.4, 3.4), layout="constrained").gca()
for (columns, validation), history in histories.items():
    color = {"random": "C1", "last": "C0"}[validation]
    style = {"with month": "-", "without month": "--"}[columns]
    loss = history["valid_loss"]
    label = f"{validation}, {columns}"
    ax.plot(history["step"], loss - loss.min(), style, color=color, label=label)
ax.set(xlabel="training step", ylabel="validation logloss above its least (nats)")
ax.grid(alpha=0.3)
ax.legend(title="validation rows")
plt.show()

# %%
# Random validation rows ask for 500 steps, whatever the columns; the last rows, which are more like
# those to come, are content with fewer, and without the month with the first evaluation.
