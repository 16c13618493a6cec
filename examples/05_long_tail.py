"""
Rare levels and gates
=====================

Most levels of an identifier are rare, and little is known of a rare one.  The gates of ``da``
multiply the interactions of each field, row by row: 0 turns them off, 1 leaves them as they are in
``pin``, 2 is the most.  Does the network learn to turn off what it knows little of?
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from sk_dynint import DynIntClassifier
from sk_dynint.inspection import gates

# %%
# A made-up log with a long tail: 2,000 users of six hidden groups, and 1,000 items of eight hidden
# kinds; what counts is how the group likes the kind.  A few users and items have thousands of rows.
rng = np.random.default_rng(0)
n = 40_000


def draw(n_levels):
    """Levels of all rows, the r-th about as often as 1 / r."""
    weights = 1 / np.arange(5, n_levels + 5)
    return rng.choice(n_levels, n, p=weights / weights.sum())


user, item = draw(2_000), draw(1_000)
group, kind = rng.integers(0, 6, 2_000)[user], rng.integers(0, 8, 1_000)[item]
p_true = expit(-1.3 + rng.normal(0, 1.5, (6, 8))[group, kind])
y = rng.binomial(1, p_true)
X = pd.DataFrame({"user": user, "item": item, "device": rng.choice(["phone", "desk"], n)})
X = X.astype({"user": str, "item": str})
train, test = slice(0, 32_000), slice(32_000, None)

# %%
model = DynIntClassifier("da", n_members=1, crosses=None, random_state=0)
p = model.fit(X[train], y[train]).predict_proba(X[test])[:, 1]
auc, best = roc_auc_score(y[test], p), roc_auc_score(y[test], p_true[test])
print(f"test AUC {auc:.4f}; of the true probabilities {best:.4f}")

# %%
# There is a gate for each row, layer, field and sub-space.  We look at the mean over layers and
# sub-spaces, and at how wrong the probabilities are, by how often training saw the user and item.
gate = gates(model, X[test])
edges, names = [-1, 2, 9, 29, 99, 999, n], ["0-2", "3-9", "10-29", "30-99", "100-999", "1,000+"]
table = {}
for j, column in enumerate(["user", "item"]):
    seen = X[test][column].map(X[train][column].value_counts()).fillna(0)
    rows = pd.DataFrame(
        {
            "seen": pd.cut(seen, edges, labels=names).to_numpy(),
            "gate": gate[:, :, j].mean((1, 2)),
            "error": (p - p_true[test]) ** 2,
        }
    ).groupby("seen")
    quartiles = rows["gate"].quantile([0.25, 0.5, 0.75]).unstack().add_prefix("gate ")
    errors = np.sqrt(rows["error"].mean()).rename("RMS error")
    table[column] = quartiles.join(errors).join(rows.size().rename("rows")).reindex(names)
print(pd.concat(table).round(3).to_string())

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for shift, marker, (column, part) in zip((-0.1, 0.1), "os", table.items(), strict=True):
    x = np.arange(len(names)) + shift
    low, middle, high = part.iloc[:, :3].to_numpy().T
    axes[0].plot(x, part["RMS error"], marker, label=column)
    axes[1].errorbar(x, middle, yerr=[middle - low, high - middle], fmt=marker, capsize=3)
axes[0].set(ylabel="RMS error of the probabilities", ylim=(0, None))
axes[1].set(ylabel="gate (median and quartiles)", ylim=(0, 2))
for ax in axes:
    ax.set_xlabel("training rows with the level")
    ax.set_xticks(range(len(names)), names, fontsize="small")
    ax.grid(axis="y", alpha=0.3)
axes[0].legend()
plt.show()

# %%
# The rarer a user or an item, the more the probabilities miss, but the gates do not follow: they
# stay within a few percent of 1, for rare and for frequent levels.  What the package does for rare
# levels is elsewhere: the levels of a column share vectors by how frequent they are, see the
# parameter ``popularity`` of :class:`~sk_dynint.DynIntClassifier`.
