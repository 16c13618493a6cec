"""Why does the model expect this flight to be late?

Shapley values divide the log-odds of one prediction among the columns, exactly.  Means over many
flights say which columns matter, and which act together.  Half a minute on two cores; with the
name of a folder it saves plots there, which needs Matplotlib.
"""

# %%
import sys
import time
from pathlib import Path

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights
from sk_dynint.inspection import (
    ExplanationDisplay,
    InteractionDisplay,
    TrainingDisplay,
    field_importances,
    interaction_strengths,
    order_decomposition,
    sampled_shapley_values,
    shapley_values,
)

# %%
# One network, without crosses, so that fields are columns.
flights = load_flights()
sample = flights.data.sample(30_000, random_state=0)
X, y = sample, flights.target[sample.index]
model = DynIntClassifier(n_members=1, crosses=None, random_state=0).fit(X[:24_000], y[:24_000])
background, X_test = X[:2_000], X[24_000:]

# %%
# The flight that the model is surest of.  Absent fields have the mean vectors of 2,000 flights, so
# that the values say how this flight differs from an average one.
flight = X_test.iloc[[model.decision_function(X_test).argmax()]]
explanation = shapley_values(model, flight, background=background)
total = explanation.base_values[0] + explanation.values.sum()
print(f"log-odds {total:.3f}; of an average flight {explanation.base_values[0]:.3f}")
for j in abs(explanation.values[0]).argsort()[:-6:-1]:
    name, cell = explanation.feature_names[j], explanation.data[0, j]
    print(f"{explanation.values[0, j]:+.3f}  {name} = {cell}")

# %%
# The gates of "da" are those of the whole flight, whatever fields are absent.  Sampling shows what
# is different if they react.
sampled = sampled_shapley_values(
    model, flight, background=background, n_permutations=200, random_state=0
)
difference = abs(sampled.values - explanation.values).max()
print(f"gates that react change a value by {difference:.3f} at most")

# %%
# The logit by order of interaction, and means over flights.
parts = order_decomposition(model, X_test)
print("standard deviation of each order:", parts.std(0).round(3))
start = time.perf_counter()
print(field_importances(model, X_test, background=background).nlargest(5).round(3).to_string())
print(f"{len(X_test) / (time.perf_counter() - start):,.0f} flights a second")
strengths = interaction_strengths(model, X_test[:500], background=background)
print("strongest interaction:", " and ".join(strengths.stack().idxmax()))

# %%
if sys.argv[1:]:
    displays = {
        "flight": ExplanationDisplay.from_explanation(explanation, max_display=12),
        "interactions": InteractionDisplay(strengths=strengths).plot(),
        "training": TrainingDisplay.from_estimator(model),
    }
    for name, display in displays.items():
        display.figure_.savefig(Path(sys.argv[1]) / f"explaining_{name}.png")
