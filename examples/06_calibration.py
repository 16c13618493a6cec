"""
Probabilities: class weights and downsampled negatives
======================================================

Clicks are rare, and two common ways to deal with that change what the probabilities mean: class
weights, and training with a part of the rows without a click.  Of this log the true probabilities
are known, so we can see which models still tell them.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss, roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification

# %%
X, y, p_true = make_ctr_classification(
    60_000,
    n_numeric=2,
    n_categorical=6,
    cardinalities=30,
    positive_rate=0.05,
    return_proba=True,
    random_state=0,
)
train, held_out, test = slice(0, 35_000), slice(35_000, 40_000), slice(40_000, None)
params = {"n_members": 1, "crosses": None, "random_state": 0}

# %%
# As it is, a model is trained to tell probabilities.
models = {"plain": DynIntClassifier(**params).fit(X[train], y[train])}

# %%
# ``class_weight="balanced"`` weighs clicks as much as the rest, so that the mean prediction is near
# one half.  Isotonic regression on held-out rows puts the scale right again.
balanced = DynIntClassifier(class_weight="balanced", **params).fit(X[train], y[train])
models["balanced"] = balanced
models["balanced, calibrated"] = CalibratedClassifierCV(
    FrozenEstimator(balanced), method="isotonic"
).fit(X[held_out], y[held_out])

# %%
# With a tenth of the rows without a click, a seventh of all rows is left.
# ``negative_sampling_rate`` says what was left out, and the classifier corrects for it: no
# calibration is needed.
rng = np.random.default_rng(1)  # with 0, the numbers that the rows were made of
kept = (y[train] == 1) | (rng.random(35_000) < 0.1)
tenth = DynIntClassifier(**params).fit(X[train][kept], y[train][kept])
corrected = DynIntClassifier(negative_sampling_rate=0.1, **params)
models["a tenth of the negatives"] = tenth
models["a tenth, corrected"] = corrected.fit(X[train][kept], y[train][kept])

# %%
# Calibration and correction bring the mean back to the share of clicks.  What the rows that were
# left out would have taught is lost, as the AUC tells, which looks at the order only.
rows = []
for name, model in models.items():
    p = model.predict_proba(X[test])[:, 1]
    error = np.sqrt(np.mean((p - p_true[test]) ** 2))
    scores = roc_auc_score(y[test], p), log_loss(y[test], p), error
    rows.append((name, p.mean(), *scores))
columns = ["model", "mean prediction", "AUC", "logloss", "RMS error of probabilities"]
print(pd.DataFrame(rows, columns=columns).round(4).to_string(index=False))
print(f"share of clicks {y[test].mean():.4f}, mean of the true probabilities {p_true.mean():.4f}")

# %%
ax = plt.figure(figsize=(6.4, 4.4), layout="constrained").gca()
styles = [
    {"marker": marker, "color": color}
    for marker, color in zip("osD^v", ("C0", "C1", "C9", "0.35", "C6"), strict=True)
]
bins = {"n_bins": 8, "strategy": "quantile"}
for (name, model), style in zip(models.items(), styles, strict=True):
    CalibrationDisplay.from_estimator(model, X[test], y[test], name=name, ax=ax, **bins, **style)
ax.set(xlabel="mean prediction in a bin", ylabel="share of clicks in it")
ax.set(xscale="log", yscale="log", xlim=(0.01, 1), ylim=(0.01, 1))
ax.grid(alpha=0.3)
ax.legend(fontsize="small")
plt.show()

# %%
# Points on the diagonal are probabilities that hold: class weights and downsampling alone promise
# five to fifteen times as many clicks as come, calibration and the correction bring both back.
