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
sample = flights.data.sample(8_000, random_state=0).index
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
grid = {
    "model__variant": ["pin", "da"],
    "model__n_subspaces": [1, 8],
    "model__encoder__min_count": [2, 20],
}


def best_first(search):
    """The candidates of a search, with mean and deviation of their scores."""
    columns = ["mean_test_score", "std_test_score"]
    table = pd.DataFrame(search.cv_results_["params"]).join(
        pd.DataFrame(search.cv_results_)[columns]
    )
    table.columns = table.columns.str.replace("model__", "")
    return table.sort_values("mean_test_score", ascending=False).round(4).to_string(index=False)


search = GridSearchCV(pipeline, grid, cv=2, scoring="roc_auc", refit=False, error_score="raise")
print(best_first(search.fit(X, y)))

# %%
# Successive halving
# ------------------
# All candidates start with few rows, and only the better half gets twice as many.
halving = HalvingGridSearchCV(
    pipeline, grid, cv=2, factor=2, min_resources=2_000, scoring="roc_auc", refit=False,
    error_score="raise", random_state=0,
)  # fmt: skip
halving.fit(X, y)
print("best:", halving.best_params_)

# %%
runs = pd.DataFrame(halving.cv_results_)
runs["candidate"] = [" ".join(map(str, params.values())) for params in runs["params"]]
ax = plt.figure(figsize=(6.4, 3.6), layout="constrained").gca()
for name, part in runs.groupby("candidate", sort=False):
    ax.plot(part["n_resources"], part["mean_test_score"], "o-", label=name)
ax.set(xlabel="rows", ylabel="mean AUC on held-out rows")
ax.set_xscale("log", base=2)
ax.set_xticks(runs["n_resources"].unique(), [f"{n:,}" for n in runs["n_resources"].unique()])
ax.grid(alpha=0.3)
ax.figure.legend(
    title="min_count, sub-spaces, variant", loc="outside right upper", fontsize="small"
)
plt.show()

# %%
# Each line ends where its candidate was dropped: with few rows the candidates are hard to tell
# apart, and what is lost by an early end is small.

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
