"""The four variants, on clicks whose interactions depend on the instance.

The synthetic log has pairs of fields whose weight, sign included, is set by other fields of the
same row.  A static model cannot represent that.  The true probabilities are known, so the table
shows how close to them each variant comes.
"""

# %%
import time

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification

# %%
X, y, p_true = make_ctr_classification(
    60_000, n_numeric=3, n_categorical=8, cardinalities=20, return_proba=True, random_state=0
)
train, test = slice(0, 48_000), slice(48_000, None)

# %%
# One network each, on the columns alone, so that the layers are all that differs.
rows = [("(true probabilities)", p_true[test], 0.0)]
for variant in ("pin", "da", "dgp", "dwp"):
    start = time.perf_counter()
    model = DynIntClassifier(variant, n_members=1, crosses=None, random_state=0)
    model.fit(X[train], y[train])
    seconds = time.perf_counter() - start
    rows.append((variant, model.predict_proba(X[test])[:, 1], seconds))

table = pd.DataFrame(
    [(name, roc_auc_score(y[test], p), log_loss(y[test], p), s) for name, p, s in rows],
    columns=["variant", "test AUC", "test logloss", "fit seconds"],
)
print(table.round(4).to_string(index=False))

# %%
# The scores that early stopping decided by, one line for each evaluation period.
print(model.history_.round(4).to_string(index=False))
