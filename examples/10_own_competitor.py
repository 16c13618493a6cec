r"""
A competitor of your own
========================

A competitor is a body: a module from embeddings (B, F, D) to one logit (B,).  This one is the
field-weighted factorization machine (Pan et al., WWW 2018), which the package does not have:

.. math:: \sum_{i < j} r_{ij} \langle v_i, v_j \rangle

with one learnt number for each pair of fields.
"""

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.metrics import roc_auc_score

from sk_dynint import BaselineClassifier
from sk_dynint.baselines import Body
from sk_dynint.datasets import make_ctr_classification


# %%
# ``first_order`` asks for the linear part beside it, one weight for each level.
class FieldWeightedFM(Body):
    """Field-weighted factorization machine."""

    first_order = True

    def __init__(self, n_fields, embedding_dim):
        super().__init__()
        self.r = torch.nn.Parameter(torch.ones(n_fields, n_fields))

    def forward(self, embedding):
        """Return the sum over pairs i < j of r_ij <v_i, v_j>."""
        products = embedding @ embedding.mT
        return (products * self.r.triu(1)).sum((1, 2))


# %%
# Clicks of which we know that only two columns interact, C1 and C2.
X, y = make_ctr_classification(
    10_000,
    n_numeric=4,
    n_categorical=2,
    cardinalities=12,
    pairwise=1.5,
    third_order=0,
    instance_dependent=0,
    random_state=0,
)
train, test = slice(0, 8_000), slice(8_000, None)
for body in ("fm", FieldWeightedFM):
    model = BaselineClassifier(body, random_state=0).fit(X[train], y[train])
    name = body if isinstance(body, str) else body.__name__
    print(f"{name:16} test AUC {roc_auc_score(y[test], model.decision_function(X[test])):.4f}")

# %%
# The number of a pair is learnt like any weight, and starts from 1.
r = model.net_.module_.body.r.detach().abs().triu(1)
ax = plt.figure(figsize=(4.8, 3.8), layout="constrained").gca()
image = ax.imshow(r.where(r > 0, torch.nan), vmin=0)
ax.set(xlabel="field j", ylabel="field i")
ax.set_xticks(range(len(X.columns)), X.columns)
ax.set_yticks(range(len(X.columns)), X.columns)
ax.figure.colorbar(image, label="weight of the pair, |r|")
plt.show()

# %%
# The brightest cell is the pair that we know to interact.
