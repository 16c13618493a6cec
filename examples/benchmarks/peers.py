"""Models of other libraries for the speed benchmark, and what it needs of every model.

Two plain loops are written out below; the others are packages, which are imported when they are
measured.  All train with Adam on the same index matrix, each by its own `fit` with its own data
loading and its defaults except for the sizes: embedding_dim 16, MLP 400x400, three cross layers.
"""

# %%
import io
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import TargetEncoder
from torch import nn
from torch.nn import functional

from sk_dynint import EncodedData

BATCH, FIELDS, DIM, MLP, CROSS = 4096, 39, 16, 400, 3
TREES, LEAVES = 200, 127


class Data(NamedTuple):
    """A frame with labels, and its rows encoded with one vocabulary."""

    X: pd.DataFrame
    y: np.ndarray
    encoded: EncodedData
    touched_rows: float  # different rows of the embedding table in a batch

    @property
    def indices(self):
        """Index matrix, (n_samples, FIELDS)."""
        return self.encoded.indices

    @property
    def cardinalities(self):
        """Number of indices of each field."""
        return self.encoded.encoder.cardinalities_


class Runner(NamedTuple):
    """What the benchmark needs of a model."""

    train: Callable  # (steps in a period, periods) -> seconds for a step, one figure a period
    logits: Callable  # index matrix -> scores
    predict_proba: Callable | None  # one-row frame -> probabilities
    flops: float = np.nan  # of a training step
    n_bytes: float = np.nan
    inputs: Callable | None = None  # rows -> what `logits` takes instead of rows of the matrix
    notes: dict | None = None  # further figures


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def step_bytes(data, n_dense, n_activations, row_length=DIM):
    """Bytes that have to move in a training step.

    Batch indices are read once; table rows in the batch and dense weights are read and written,
    each with two numbers of optimizer state; `n_activations` numbers an instance move once.
    """
    weights = data.touched_rows * row_length + n_dense
    return 4 * (BATCH * FIELDS + 2 * 3 * weights + BATCH * n_activations)


# %% Plain loops
class PlainNetwork(nn.Module):
    """One nn.Embedding and a 400x400 MLP, beside cross layers (DCN V2) or, if none, an FM."""

    def __init__(self, cardinalities, n_cross):
        super().__init__()
        sizes, width = torch.as_tensor(cardinalities), len(cardinalities) * DIM
        self.register_buffer("offsets", sizes.cumsum(0) - sizes)
        self.table = nn.Embedding(int(sizes.sum()), DIM if n_cross else DIM + 1)
        nn.init.normal_(self.table.weight, std=0.01)
        self.cross = nn.ModuleList(nn.Linear(width, width) for _ in range(n_cross))
        relu = nn.ReLU()
        self.deep = nn.Sequential(nn.Linear(width, MLP), relu, nn.Linear(MLP, MLP), relu)
        self.output = nn.Linear(MLP + width if n_cross else MLP, 1)

    def forward(self, indices):
        rows = self.table(indices + self.offsets)
        x = x0 = rows[..., :DIM].flatten(1)
        if self.cross:
            for layer in self.cross:
                x = x0 * layer(x) + x
            return self.output(torch.cat([x, self.deep(x0)], 1)).squeeze(1)
        e, first_order = rows.split(DIM, dim=2)
        pairs = (e.sum(1).square() - e.square().sum(1)).sum(1) / 2
        return first_order.sum((1, 2)) + pairs + self.output(self.deep(x0)).squeeze(1)


def plain_work(n_cross, data):
    """Return operations and bytes of a step: 3 · 2 operations for each weight and instance."""
    width = FIELDS * DIM
    n_dense = n_cross * width**2 + (width + MLP) * MLP + MLP + (width if n_cross else 0)
    n_bytes = step_bytes(
        data, n_dense, (1 + n_cross) * width + 2 * MLP, DIM if n_cross else DIM + 1
    )
    return 3 * 2 * BATCH * n_dense, n_bytes


def plain(n_cross, data):
    """Eager loop with torch.optim.Adam at its defaults, so gradients of the table are dense."""
    module = PlainNetwork(data.cardinalities, n_cross)
    adam = torch.optim.Adam(module.parameters(), lr=1e-3)
    indices, target = torch.from_numpy(data.indices), torch.from_numpy(data.y).float()

    def step(rows):
        loss = functional.binary_cross_entropy_with_logits(module(indices[rows]), target[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()

    def train(steps, periods):
        batches = torch.randint(len(indices), (periods + 1, steps, BATCH))
        return [seconds(lambda b=b: [step(rows) for rows in b]) / steps for b in batches][1:]

    def logits(indices):
        with torch.inference_mode():
            parts = torch.from_numpy(indices).split(2 * BATCH)
            return torch.cat([module(part) for part in parts]).numpy()

    return Runner(train, logits, None, *plain_work(n_cross, data))


# %% Packages
def timed(data, steps, periods, optimizer, fit):
    """Return seconds for a step in each period of a call of `fit`, by a clock after each step.

    `fit` takes an index matrix, labels and a number of passes: the smallest that makes one period
    more than asked for.  The first period and everything before it is left out.
    """
    needed, ends = (periods + 1) * steps * BATCH, []
    n = min(needed, len(data.y))
    clock = optimizer.register_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    fit(data.indices[:n], data.y[:n], -(-needed // n))
    clock.remove()
    return list(np.diff(ends[steps - 1 :: steps])[:periods] / steps)


def columns(indices):
    return {f"f{i}": column for i, column in enumerate(indices.T)}


def deepctr(n_cross, data):
    """DeepCTR-Torch's DCN with matrices (DCN V2) or, without cross layers, DeepFM."""
    from deepctr_torch.inputs import SparseFeat
    from deepctr_torch.models import DCN, DeepFM

    sizes = enumerate(data.cardinalities)
    features = [SparseFeat(f"f{i}", int(n), DIM) for i, n in sizes]
    cross = {"cross_num": n_cross, "cross_parameterization": "matrix"} if n_cross else {}
    model = (DCN if n_cross else DeepFM)(features, features, dnn_hidden_units=(MLP, MLP), **cross)
    model.compile("adam", "binary_crossentropy")

    def fit(indices, y, passes):
        model.fit(columns(indices), y, batch_size=BATCH, epochs=passes, verbose=0)

    def train(steps, periods):
        return timed(data, steps, periods, model.optim, fit)

    def scores(indices):
        return model.predict(columns(indices), batch_size=2 * BATCH)

    return Runner(train, scores, None, *plain_work(n_cross, data))


def fuxictr(n_cross, data):
    """FuxiCTR's parallel DCN V2 or, without cross layers, DeepFM; a worker process loads data."""
    import peers_fuxictr as fuxi

    features = fuxi.feature_map(data.cardinalities)
    body = partial(fuxi.DCNv2, n_layers=n_cross) if n_cross else fuxi.DeepFM
    model = fuxi.Model(features, DIM, partial(body, hidden_units=[MLP, MLP]))

    def fit(indices, y, passes):
        model.fit(fuxi.loader(features, indices, y, BATCH), epochs=passes)

    def train(steps, periods):
        return timed(data, steps, periods, model.optimizer, fit)

    def scores(indices):
        return model.predict(fuxi.batches(indices, 2 * BATCH))

    return Runner(train, scores, None, *plain_work(n_cross, data))


def rechub(n_cross, data):
    """torch-rechub's parallel DCN V2 or DeepFM, whose MLPs always normalise batches."""
    from torch_rechub.basic.features import SparseFeature
    from torch_rechub.models.ranking import DCNv2, DeepFM
    from torch_rechub.trainers import CTRTrainer
    from torch_rechub.utils.data import DataGenerator

    sizes = enumerate(data.cardinalities)
    features = [SparseFeature(f"f{i}", int(n), DIM) for i, n in sizes]
    mlp = {"dims": [MLP, MLP]}
    if n_cross:
        model = DCNv2(features, n_cross, mlp, use_low_rank_mixture=False)
    else:
        model = DeepFM(features, features, mlp)
    folder = tempfile.TemporaryDirectory()  # `fit` leaves its weights there
    trainer = CTRTrainer(model, model_path=folder.name)

    def load(indices, y, part):
        data = DataGenerator(columns(indices), y)
        return data.generate_dataloader(
            x_test=columns(indices), y_test=y, batch_size=BATCH if part == 0 else 2 * BATCH
        )[part]

    def fit(indices, y, passes):
        trainer.n_epoch = passes
        with redirect_stderr(io.StringIO()):  # progress bars
            trainer.fit(load(indices, y, part=0))

    def train(steps, periods):
        with folder:
            return timed(data, steps, periods, trainer.optimizer, fit)

    def scores(indices):
        with redirect_stderr(io.StringIO()):
            return np.array(trainer.predict(model, load(indices, np.zeros(len(indices)), part=2)))

    return Runner(train, scores, None, *plain_work(n_cross, data))


# %% Trees: the time of a "step" is that of the whole fit times the share of a batch in the rows
def split_kinds(data):
    """Return columns of numbers as they are, NaN included, and the index matrix of the others."""
    is_number = np.array([pd.api.types.is_numeric_dtype(t) for t in data.X.dtypes])
    return data.X.loc[:, is_number].to_numpy(np.float32, na_value=np.nan), data.indices[
        :, ~is_number
    ]


def lightgbm(data):
    """LightGBM over cross-fitted target encoding of the categories."""
    from lightgbm import LGBMClassifier

    numbers, categories = split_kinds(data)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    encoder = TargetEncoder(target_type="binary", cv=folds)
    encoded = []
    encoding = seconds(lambda: encoded.append(encoder.fit_transform(categories, data.y)))
    matrix = np.hstack([numbers, *encoded]).astype(np.float32)
    model = LGBMClassifier(
        n_estimators=TREES, num_leaves=LEAVES, n_jobs=torch.get_num_threads(), verbose=-1
    )

    def train(steps, periods):
        return [seconds(lambda: model.fit(matrix, data.y)) * BATCH / len(data.y)]

    def scores(rows):
        return model.booster_.predict(rows, raw_score=True)

    notes = {"encoding_s": encoding}
    return Runner(train, scores, None, inputs=matrix.__getitem__, notes=notes)


def catboost(data):
    """CatBoost with its own statistics of the categories, which is slow: on 50 batches at most."""
    from catboost import CatBoostClassifier, Pool

    numbers, categories = split_kinds(data)
    frame = pd.concat([pd.DataFrame(numbers), pd.DataFrame(categories)], axis=1)
    frame.columns = data.X.columns
    names, pool, n = list(frame.columns[numbers.shape[1] :]), [], min(50 * BATCH, len(frame))
    encoding = seconds(lambda: pool.append(Pool(frame[:n], data.y[:n], cat_features=names)))
    model = CatBoostClassifier(
        iterations=TREES,
        thread_count=torch.get_num_threads(),
        allow_writing_files=False,
        logging_level="Silent",
        random_seed=0,
    )

    def train(steps, periods):
        return [seconds(lambda: model.fit(pool[0])) * BATCH / n]

    def scores(rows):
        return model.predict(rows, prediction_type="RawFormulaVal")

    notes = {"encoding_s": encoding}
    return Runner(train, scores, None, inputs=frame.iloc.__getitem__, notes=notes)


PEERS = {
    "plain-dcnv2": ("plain DCN V2 (dense Adam)", partial(plain, CROSS)),
    "plain-deepfm": ("plain DeepFM (dense Adam)", partial(plain, 0)),
    "deepctr-dcnv2": ("DeepCTR-Torch DCN V2", partial(deepctr, CROSS)),
    "deepctr-deepfm": ("DeepCTR-Torch DeepFM", partial(deepctr, 0)),
    "fuxictr-dcnv2": ("FuxiCTR DCN V2", partial(fuxictr, CROSS)),
    "fuxictr-deepfm": ("FuxiCTR DeepFM", partial(fuxictr, 0)),
    "rechub-dcnv2": ("torch-rechub DCN V2", partial(rechub, CROSS)),
    "rechub-deepfm": ("torch-rechub DeepFM", partial(rechub, 0)),
    "lightgbm": (f"LightGBM ({TREES} trees of {LEAVES} leaves)", lightgbm),
    "catboost": (f"CatBoost ({TREES} trees of depth 6)", catboost),
}
