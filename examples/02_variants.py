"""
The four variants
=================

``pin`` has fixed interactions; in ``da``, ``dgp`` and ``dwp`` they depend on the row.  This log has
pairs of fields whose weight, sign included, is set by other fields of the same row: a fixed model
cannot represent that.  The true probabilities are known, so the scores have a scale.
"""

# %%
import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification

# %%
# The same call without the instance-dependent part gives the same rows, and the probabilities of an
# oracle that knows everything but this part.
params = {"n_numeric": 3, "n_categorical": 8, "cardinalities": 20, "return_proba": True}
X, y, p_true = make_ctr_classification(50_000, **params, random_state=0)
_, _, p_static = make_ctr_classification(50_000, **params, instance_dependent=0, random_state=0)
train, test = slice(0, 40_000), slice(40_000, None)

# %%
# One network each, on the columns alone, so that the layers are all that differs.
rows = []
for variant in ("pin", "da", "dgp", "dwp"):
    start = time.perf_counter()
    model = DynIntClassifier(variant, n_members=1, crosses=None, random_state=0)
    model.fit(X[train], y[train])
    seconds = time.perf_counter() - start
    rows.append((variant, model.predict_proba(X[test])[:, 1], seconds))
rows += [("oracle of the fixed part", p_static[test], 0), ("true probabilities", p_true[test], 0)]

table = pd.DataFrame(
    [(name, roc_auc_score(y[test], p), log_loss(y[test], p), s) for name, p, s in rows],
    columns=["", "test AUC", "test logloss", "fit seconds"],
).set_index("")
print(table.round(4).to_string())

# %%
ax = plt.figure(figsize=(6.4, 2.4), layout="constrained").gca()
ax.plot(table["test AUC"][:4], table.index[:4], "o")
ax.plot(table["test AUC"][4:], table.index[4:], "D", color="0.5")
ax.set(xlabel="test AUC (higher is better)", ylim=(5.5, -0.5))
ax.grid(axis="x", alpha=0.3)
plt.show()

# %%
# All four are between chance (0.5) and the oracle of the fixed part, and closer to each other than
# to either.  40,000 rows are too few for the part that only ``da``, ``dgp`` and ``dwp`` can
# represent: the fixed ``pin`` is level with them.
