"""
An interaction layer of your own
================================

A variant is an interaction layer: a module that takes ``x`` and ``x0``, both (B, d, W) with the
fields last, and returns the next ``x``.  Encoder, embedding, sub-spaces, output, optimizer, early
stopping and scikit-learn's protocol come with the classifier.
"""

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification
from sk_dynint.interactions import InteractionLayer


# %%
class FieldGate(InteractionLayer):
    """A static layer in which each field carries one learnt gate, shared by all instances."""

    def __init__(self, width, depth, *, start=0.0):
        super().__init__(width, depth)
        self.mix = nn.Linear(width, width, bias=False)
        self.gate = nn.Parameter(torch.full((width,), start))

    def forward(self, x, x0):
        """Return x + x ∘ (W x0) ∘ 2σ(gate)."""
        return x + x * self.mix(x0) * 2 * torch.sigmoid(self.gate)


# %%
# The class takes the place of the variant's name, and its options go to ``variant_params``.
X, y = make_ctr_classification(
    30_000, n_numeric=3, n_categorical=8, cardinalities=20, random_state=0
)
train, test = slice(0, 24_000), slice(24_000, None)
ax = plt.figure(figsize=(6.4, 3.6), layout="constrained").gca()
for variant, options in [("pin", None), (FieldGate, {"start": 1.0})]:
    model = DynIntClassifier(
        variant, variant_params=options, n_members=1, crosses=None, random_state=0
    ).fit(X[train], y[train])
    name = variant if isinstance(variant, str) else variant.__name__
    print(f"{name:10} test AUC {roc_auc_score(y[test], model.decision_function(X[test])):.4f}")
    ax.plot(model.history_["step"], model.history_["valid_loss"], label=name)
ax.set(xlabel="training step", ylabel="validation logloss (nats)")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %%
# The two curves are close, and one seed decides nothing between them.  What the gates learnt is in
# ``net_.module_``.
layers = model.net_.module_.body.layers
gate = torch.stack([2 * torch.sigmoid(layer.gate.detach()) for layer in layers])
print(f"gates from {gate.min():.3f} to {gate.max():.3f}, from a start of", end=" ")
print(f"{2 * torch.sigmoid(torch.tensor(1.0)):.3f}")
