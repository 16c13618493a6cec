"""Grid search over the variant, the sub-spaces and the encoder, inside a Pipeline."""

# %%
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights

# %%
flights = load_flights()
sample = flights.data.sample(20_000, random_state=0).index
X, y = flights.data.loc[sample], flights.target.loc[sample]


# %%
# A step before the classifier adds the route as one more field.
def add_route(X):
    """Origin and destination as one string."""
    return X.assign(route=X["origin"].astype("str") + "-" + X["dest"].astype("str"))


# One network is enough to choose by; the chosen parameters serve several.
model = DynIntClassifier(n_members=1, random_state=0)
pipeline = Pipeline([("route", FunctionTransformer(add_route)), ("model", model)])

# %%
grid = {
    "model__variant": ["pin", "da"],
    "model__n_subspaces": [1, 8],
    "model__encoder__min_count": [2, 20],
}
search = GridSearchCV(
    pipeline, grid, cv=2, scoring="roc_auc", refit=False, error_score="raise"
).fit(X, y)

# %%
table = pd.DataFrame(search.cv_results_["params"]).assign(
    auc=search.cv_results_["mean_test_score"], sd=search.cv_results_["std_test_score"]
)
table.columns = table.columns.str.replace("model__", "")
print(table.sort_values("auc", ascending=False).round(4).to_string(index=False))
