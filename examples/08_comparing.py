"""
Comparing models
================

:func:`~sk_dynint.compare` trains models on the same rows, by the paper's protocol: 70 % to train,
10 % to validate, 20 % to test, once for each seed.  :func:`~sk_dynint.summarize` and
:class:`~sk_dynint.ComparisonDisplay` say how far they differ.
"""

# %%
import matplotlib.pyplot as plt

from sk_dynint import ComparisonDisplay, DynIntClassifier, compare, summarize
from sk_dynint.datasets import load_flights

# %%
# Models have names, or are estimators with a name of your own: here a network on the columns alone,
# a mean of three of them, and for comparison logistic regression and scikit-learn's trees.
flights = load_flights()
sample = flights.data.sample(10_000, random_state=0).index
X, y = flights.data.loc[sample], flights.target.loc[sample]
models = {
    "pin": "pin",
    "da": "da",
    "three of da": DynIntClassifier(n_members=3, crosses=None),
    "trees": "hgb",
    "one-hot LR": "onehot-lr",
}
runs = compare(X, y, models, seeds=4)
print(
    summarize(runs)[["auc", "auc_sd", "logloss", "logloss_sd", "fit_seconds"]].round(4).to_string()
)

# %%
# Differences from a reference are taken split by split.  Some splits are harder than others for all
# models; that cancels, so the intervals are narrower than the deviations make believe.
summary = summarize(runs, reference="one-hot LR")
print(summary[["auc_difference", "auc_low", "auc_high"]].round(4).to_string())

# %%
figure, axes = plt.subplots(2, figsize=(6.4, 5), layout="constrained")
ComparisonDisplay.from_runs(runs, ax=axes[0])
ComparisonDisplay.from_runs(runs, reference="one-hot LR", ax=axes[1])
plt.show()

# %%
# Above, the deviations over splits overlap; below, an interval that stays clear of the line is a
# difference from logistic regression that other splits of these rows would show too.
