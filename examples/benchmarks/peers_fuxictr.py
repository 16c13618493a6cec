"""FuxiCTR's layers, loader and trainer over an index matrix.

FuxiCTR's package has the parts of its models; most of the models themselves, its "model zoo", are
in its repository only.  ``Model`` puts the same parts together in the same way.
"""

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import (
    CompressedInteractionNet,
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    LogisticRegression,
    MLP_Block,
)
from fuxictr.pytorch.models import BaseModel
from torch import nn


def feature_map(cardinalities):
    """Return FuxiCTR's description of fields that are encoded already."""
    features = FeatureMap("encoded", data_dir="")
    for i, n in enumerate(cardinalities):
        features.features[f"f{i}"] = {"source": "", "type": "categorical", "vocab_size": int(n)}
    features.labels = ["label"]
    features.num_fields = features.get_num_fields()
    features.set_column_index()
    return features


def columns(indices, y):
    """Return a file or batch as FuxiCTR has it: a vector for each field, and the labels."""
    return {f"f{i}": column for i, column in enumerate(indices.T)} | {"label": y}


def loader(features, indices, y, batch_size):
    """Return FuxiCTR's shuffling loader, which reads its rows at once from a file written here."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "train.npz")
        np.savez(path, **columns(indices, y.astype(indices.dtype)))
        return RankDataLoader(features, "train", train_data=path, batch_size=batch_size)[0]


def batches(indices, batch_size):
    """Yield batches to predict; without FuxiCTR's file and loader, which would take longer."""
    for rows in torch.from_numpy(indices).split(batch_size):
        yield columns(rows, torch.zeros(len(rows)))


# %% Bodies: (features of a batch, embeddings) -> logit
class DCNv2(nn.Module):
    """Cross network and MLP side by side."""

    def __init__(self, features, width, hidden_units, n_layers=3):
        super().__init__()
        self.cross = CrossNetV2(width, n_layers)
        self.deep = MLP_Block(width, hidden_units)
        self.output = nn.Linear(width + hidden_units[-1], 1)

    def forward(self, X, E):
        x = E.flatten(1)
        return self.output(torch.cat([self.cross(x), self.deep(x)], 1))


class DeepFM(nn.Module):
    """First order, pairs, MLP."""

    def __init__(self, features, width, hidden_units):
        super().__init__()
        self.fm = FactorizationMachine(features)
        self.deep = MLP_Block(width, hidden_units, output_dim=1)

    def forward(self, X, E):
        return self.fm(X, E) + self.deep(E.flatten(1))


class XDeepFM(nn.Module):
    """First order, compressed interaction network, MLP."""

    def __init__(self, features, width, hidden_units, cin_units):
        super().__init__()
        self.first_order = LogisticRegression(features, use_bias=False)
        self.cin = CompressedInteractionNet(features.num_fields, cin_units)
        self.deep = MLP_Block(width, hidden_units, output_dim=1)

    def forward(self, X, E):
        return self.first_order(X) + self.cin(E) + self.deep(E.flatten(1))


class Model(BaseModel):
    """A body on embeddings with FuxiCTR's `fit`, set to neither validate nor leave files."""

    def __init__(self, features, dim, body, lr=1e-3):
        never = 10**12
        super().__init__(features, model_root="", metrics=["AUC"], verbose=0, eval_steps=never)
        self.embedding = FeatureEmbedding(features, dim)
        self.body = body(features, features.num_fields * dim)
        self.compile("adam", "binary_crossentropy", lr)
        self.reset_parameters()

    def forward(self, inputs):
        X = self.get_inputs(inputs)
        return {"y_pred": self.output_activation(self.body(X, self.embedding(X)))}

    def load_weights(self, checkpoint):
        """Do nothing, so that `fit` keeps the last weights instead of loading the best."""
