"""
Tuning
======

Parameters of the model and of its encoder are searched like those of any estimator: by a grid, by
successive halving, or by Optuna.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights

flights = load_flights()
sample = flights.data.sample(12_000, random_state=0).index
X, y = flights.data.loc[sample], flights.target.loc[sample]


# %%
# A grid
# ------
# A step before the classifier adds the route as one more field.  One network is enough to choose
# by: the chosen parameters serve several.
def add_route(X):
    """Origin and destination as one string."""
    return X.assign(route=X["origin"].astype("str") + "-" + X["dest"].astype("str"))


model = DynIntClassifier(n_members=1, crosses=None, random_state=0)
pipeline = Pipeline([("route", FunctionTransformer(add_route)), ("model", model)])
grid = {"model__variant": ["pin", "da"], "model__n_subspaces": [1, 8]}
options = {"cv": 2, "scoring": "roc_auc", "refit": False, "error_score": "raise"}
search = GridSearchCV(pipeline, grid, **options).fit(X, y)

columns = ["param_model__variant", "param_model__n_subspaces", "mean_test_score", "std_test_score"]
print(pd.DataFrame(search.cv_results_)[columns].round(4).to_string(index=False))

# %%
# Successive halving
# ------------------
# With a parameter of the encoder there are eight candidates.  All start with a quarter of the rows,
# and only the better half gets twice as many.
larger = grid | {"model__encoder__min_count": [2, 20]}
halving = HalvingGridSearchCV(
    pipeline, larger, factor=2, min_resources=3_000, random_state=0, **options
).fit(X, y)
print("best:", halving.best_params_)

# %%
runs = pd.DataFrame(halving.cv_results_)
ax = plt.figure(figsize=(7, 3.6), layout="constrained").gca()
for _, part in runs.groupby(runs["params"].astype(str), sort=False):
    min_count, n_subspaces, variant = part["params"].iloc[0].values()
    ax.plot(
        part["n_resources"],
        part["mean_test_score"],
        color={"pin": "C0", "da": "C1"}[variant],
        linestyle={1: "--", 8: "-"}[n_subspaces],
        marker={2: "o", 20: "s"}[min_count],
        label=f"{variant}, {n_subspaces}, {min_count}",
    )
rows = runs["n_resources"].unique()
ax.set(xlabel="rows", ylabel="mean AUC on held-out rows", xscale="log")
ax.set_xticks(rows, [f"{n:,}" for n in rows])
ax.set_xticks([], minor=True)
ax.grid(alpha=0.3)
ax.figure.legend(title="variant, sub-spaces, min_count", loc="outside right upper")
plt.show()

# %%
# Each line ends where its candidate was dropped.  With few rows the order is partly chance, so a
# good candidate may be dropped early: that is the price of the time saved.

# %%
# Optuna
# ------
# Optuna is no dependency of this package; install it to run this part.  It draws the learning rate
# on a logarithmic scale, which a grid can only cut into steps.
try:
    import optuna
except ImportError:
    print("This part needs Optuna: pip install optuna")
else:

    def objective(trial):
        """Mean AUC of a model with the parameters of a trial."""
        candidate = DynIntClassifier(
            trial.suggest_categorical("variant", ["pin", "da"]),
            lr=trial.suggest_float("lr", 0.01, 0.2, log=True),
            n_members=1,
            crosses=None,
            random_state=0,
        )
        return cross_val_score(candidate, X[:4_000], y[:4_000], cv=2, scoring="roc_auc").mean()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=6)
    print(f"AUC {study.best_value:.4f} with", study.best_params)
