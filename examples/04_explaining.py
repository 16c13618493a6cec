"""
Explaining one prediction
=========================

Why does the model expect this flight to be late?  Shapley values divide the log-odds of one
prediction among the columns, exactly.  Means over many flights say which columns matter, and which
act together.
"""

# %%
import matplotlib.pyplot as plt

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights
from sk_dynint.inspection import (
    ExplanationDisplay,
    InteractionDisplay,
    field_importances,
    interaction_strengths,
    order_decomposition,
    sampled_shapley_values,
    shapley_values,
)

# %%
# One network, without crosses, so that fields are columns.
flights = load_flights()
X = flights.data.sample(25_000, random_state=0)
y = flights.target[X.index]
model = DynIntClassifier(n_members=1, crosses=None, random_state=0).fit(X[:20_000], y[:20_000])
background, X_test = X[:2_000], X[20_000:]

# %%
# One flight
# ----------
# The flight that the model is surest of.  Absent fields have the mean vectors of 2,000 flights, so
# that the values say how this flight differs from an average one.
flight = X_test.iloc[[model.decision_function(X_test).argmax()]]
explanation = shapley_values(model, flight, background=background)
total = explanation.base_values[0] + explanation.values.sum()
print(f"log-odds {total:.3f}; of an average flight {explanation.base_values[0]:.3f}")

ExplanationDisplay.from_explanation(explanation, max_display=12)
plt.show()

# %%
# Bars to the right make a delay more likely; together they lead from the log-odds of an average
# flight to those of this one.

# %%
# The gates of ``da`` are those of the whole flight, whatever fields are absent.  Sampling shows
# what is different if they react.
sampled = sampled_shapley_values(
    model, flight, background=background, n_permutations=200, random_state=0
)
difference = abs(sampled.values - explanation.values).max()
print(f"gates that react change a value by {difference:.3f} at most")

# %%
# Many flights
# ------------
# How much of the logit is of which order, and which columns move it most.
parts = order_decomposition(model, X_test)
print("standard deviation of each order:", parts.std(0).round(3))
print(field_importances(model, X_test, background=background).nlargest(5).round(3).to_string())

# %%
strengths = interaction_strengths(model, X_test[:500], background=background)
print("strongest interaction:", " and ".join(strengths.stack().idxmax()))
InteractionDisplay(strengths=strengths).plot()
plt.show()

# %%
# A bright cell is a pair of columns of which one changes what the other one means.
