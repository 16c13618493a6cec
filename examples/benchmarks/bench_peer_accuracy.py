r"""Accuracy of our competitors beside the same models in DeepCTR-Torch and FuxiCTR.

    python examples/benchmarks/bench_peer_accuracy.py --seeds 5 --out peer_accuracy.csv
    python examples/benchmarks/bench_peer_accuracy.py --data TABLE.parquet --label LABEL --seeds 5

A competitor that is implemented badly would make a comparison with it worthless, so every one has
to be within .003 AUC of the same model in another library.  DCN V2, DeepFM, xDeepFM and AutoInt+
get the same index matrix (levels counted in the training part), split, sizes, number of passes,
batch size and learning rate; Adam, no penalty, no dropout, no averaging of weights, embedding
tables that start with standard deviation 1e-4 (all libraries' default but ours).  A seed draws the
split (70/10/20), the initial weights and the order of rows.  After each pass the validation and
test part are scored.  For every library alike, the pass with the best validation AUC is reported,
or the one given as --counts.

These differences between the libraries remain: the initial weights of the dense layers
(DeepCTR-Torch: almost zero; FuxiCTR's and ours are Glorot's, normal and uniform), the initial bias
(ours: the log-odds of the labels), FuxiCTR's clipping of gradients and, on our side, Adam that
updates only the rows of a batch; ``ours-dense`` takes torch.optim.Adam instead.  FuxiCTR's AutoInt
is not in its package.

Without --data the rows are synthetic.  Runs that the CSV file holds already are skipped, so after
an interruption the same command goes on where it stopped; use another file for other settings.
About 15 minutes on two cores with the defaults; ``pip install -c constraints.txt -e ".[bench]"``
gets the libraries.
"""

# %%
import argparse
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sk_dynint import BaselineClassifier, EncodedData, FieldEncoder
from sk_dynint.datasets import make_ctr_classification

DIM, HIDDEN, LAYERS, CIN, HEADS, INIT_STD = 16, (400, 400), 3, (16, 16), 2, 1e-4
MODELS = ("dcnv2", "deepfm", "xdeepfm", "autoint")
LIMIT = 0.003
COLUMNS = ["model", "library", "seed", "pass", "valid_auc", "auc", "logloss", "seconds"]


class Split(NamedTuple):
    """A fitted encoder, and index matrices and labels of the parts by name."""

    encoder: FieldEncoder
    indices: dict
    y: dict

    @property
    def cardinalities(self):
        """Number of indices of each field."""
        return self.encoder.cardinalities_


# %% The libraries: train, and after each pass call `scored` with a function indices -> scores
class AfterPass(Callback):
    """Scores the net after each pass, which is one evaluation period here."""

    def __init__(self, scored):
        self.scored = scored

    def on_epoch_end(self, net, **kwargs):
        self.scored(net.logits)


def ours(optimizer, name, split, args, seed, scored):
    """Our classifier, without the parts that the other libraries do not have."""
    n_layers, params = {
        "dcnv2": (LAYERS, None),
        "deepfm": (LAYERS, None),
        "xdeepfm": (len(CIN), {"cin_units": CIN}),
        "autoint": (LAYERS, {"n_heads": HEADS, "attention_dim": DIM // HEADS}),
    }[name]
    train = EncodedData(split.indices["train"], encoder=split.encoder)
    BaselineClassifier(
        model=name,
        hidden_units=HIDDEN,
        n_layers=n_layers,
        model_params=params,
        embedding_dim=DIM,
        embedding_init_std=INIT_STD,
        optimizer=optimizer,
        optimizer_params={"l2": 0.0} if optimizer == "adam" else None,
        lr=args.lr,
        batch_size=args.batch_size,
        max_epochs=args.passes,
        early_stopping=False,
        averaging=None,
        callbacks=[AfterPass(scored)],
        random_state=seed,
    ).fit(train, split.y["train"])


def deepctr(name, split, args, seed, scored):
    """DeepCTR-Torch; the linear part is left out of the models that have none elsewhere."""
    from deepctr_torch.inputs import SparseFeat
    from deepctr_torch.models import DCN, AutoInt, DeepFM, xDeepFM

    features = [SparseFeat(f"f{i}", int(n), DIM) for i, n in enumerate(split.cardinalities)]
    make, first_order, options = {
        "dcnv2": (DCN, [], {"cross_num": LAYERS, "cross_parameterization": "matrix"}),
        "deepfm": (DeepFM, features, {}),
        "xdeepfm": (xDeepFM, features, {"cin_layer_size": CIN, "cin_split_half": False}),
        "autoint": (AutoInt, [], {"att_layer_num": LAYERS, "att_head_num": HEADS}),
    }[name]
    options |= {"xdeepfm": {"cin_activation": "linear"}, "dcnv2": {"l2_reg_cross": 0}}.get(name, {})
    options |= {} if name == "autoint" else {"l2_reg_linear": 0}
    options |= {"l2_reg_embedding": 0, "init_std": INIT_STD, "seed": seed}
    model = make(first_order, features, dnn_hidden_units=HIDDEN, **options)
    adam = torch.optim.Adam(model.parameters(), lr=args.lr)
    model.compile(adam, "binary_crossentropy")

    def columns(indices):
        return {f"f{i}": column for i, column in enumerate(indices.T)}

    x, y = columns(split.indices["train"]), split.y["train"]
    for _ in range(args.passes):
        model.fit(x, y, batch_size=args.batch_size, epochs=1, verbose=0)
        scored(lambda indices: model.predict(columns(indices), 4096)[:, 0])


def fuxictr(name, split, args, seed, scored):
    """FuxiCTR's layers in its own trainer."""
    import peers_fuxictr as fuxi

    body = {
        "dcnv2": partial(fuxi.DCNv2, n_layers=LAYERS),
        "deepfm": fuxi.DeepFM,
        "xdeepfm": partial(fuxi.XDeepFM, cin_units=list(CIN)),
    }.get(name)
    if body is None:
        raise ImportError(f"FuxiCTR's package has no {name}")
    torch.manual_seed(seed)
    features = fuxi.feature_map(split.cardinalities)
    model = fuxi.Model(features, DIM, partial(body, hidden_units=list(HIDDEN)), lr=args.lr)
    batches = fuxi.loader(features, split.indices["train"], split.y["train"], args.batch_size)
    for _ in range(args.passes):
        model.fit(batches, epochs=1)
        scored(lambda indices: model.predict(fuxi.batches(indices, 4096)))


LIBRARIES = {
    "ours": partial(ours, "adam"),
    "ours-dense": partial(ours, torch.optim.Adam),
    "deepctr": deepctr,
    "fuxictr": fuxictr,
}


# %% Measuring
def load(args):
    """Return columns and labels of the Parquet file, or synthetic ones."""
    if args.data is None:
        return make_ctr_classification(args.rows, random_state=0)
    frame = pd.read_parquet(args.data).drop(columns=args.drop)[: args.rows]
    y = frame.pop(args.label).to_numpy()
    for name in frame:
        if args.categories is not None and name.startswith(args.categories):
            frame[name] = frame[name].astype("string").astype("str")
    return frame, y


def encode(X, y, args, seed):
    """Return a split, its parts encoded by the levels of the training part."""
    cut = partial(train_test_split, random_state=seed)
    X_train, X_rest, y_train, y_rest = cut(X, y, test_size=0.3, stratify=y)
    X_valid, X_test, y_valid, y_test = cut(X_rest, y_rest, test_size=2 / 3, stratify=y_rest)
    encoder = FieldEncoder(min_count=args.min_count)
    indices = {"train": encoder.fit_transform(X_train)}
    indices |= {"valid": encoder.transform(X_valid), "test": encoder.transform(X_test)}
    labels = {"train": y_train, "valid": y_valid, "test": y_test}
    return Split(encoder, indices, labels)


def run(model, library, split, args, seed):
    """Train a model of a library; return a frame with one line for each pass."""
    lines, start = [], time.perf_counter()

    def scored(scores):
        elapsed = time.perf_counter() - start
        valid, test = scores(split.indices["valid"]), scores(split.indices["test"])
        if library.startswith("ours"):  # logits
            valid, test = 1 / (1 + np.exp(-valid)), 1 / (1 + np.exp(-test))
        figures = roc_auc_score(split.y["valid"], valid), roc_auc_score(split.y["test"], test)
        figures += log_loss(split.y["test"], test), elapsed
        lines.append([model, library, seed, len(lines) + 1, *figures])

    LIBRARIES[library](model, split, args, seed, scored)
    return pd.DataFrame(lines, columns=COLUMNS)


# %% Showing
def print_table(runs, counts=None):
    """Print means and deviations over seeds, and paired differences of ours from the others.

    Of each run, the pass with the number `counts` is used, or by default the best by validation.
    """
    best = runs[runs["pass"] == counts]
    if counts is None:
        chosen = runs.groupby(["model", "library", "seed"])["valid_auc"].idxmax()
        best = runs.loc[chosen.sort_values()]
    auc = best.pivot(index=["model", "seed"], columns="library", values="auc")
    print("| model | library | runs | pass | AUC | logloss | ours − it | within |")
    print("|---|---|---|---|---|---|---|---|")
    for (model, library), part in best.groupby(["model", "library"], sort=False):
        cells = [
            f"{part['pass'].mean():.1f}",
            f"{part['auc'].mean():.4f} ± {part['auc'].std():.4f}",
        ]
        cells += [f"{part['logloss'].mean():.4f}"]
        if library.startswith("ours") or "ours" not in auc:
            cells += ["", ""]
        else:
            difference = (auc["ours"] - auc[library])[model].dropna()
            cells += [f"{difference.mean():+.4f} ± {difference.std():.4f}"]
            cells += ["yes" if difference.mean() > -LIMIT else "NO"]
        print("|", " | ".join([model, library, str(len(part)), *cells]), "|")


def main():
    """Run what is missing in the CSV, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="Parquet file")
    parser.add_argument("--label", default="label")
    parser.add_argument("--drop", nargs="*", default=[], help="columns that are no features")
    parser.add_argument("--categories", help="prefix of columns that are categories, not numbers")
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--min-count", type=int, default=20)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument(
        "--libraries", nargs="+", default=["ours", "deepctr", "fuxictr"], choices=[*LIBRARIES]
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--counts", type=int, help="the pass that counts; default: by validation")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--out", default="peer_accuracy.csv")
    args = parser.parse_args()

    out = Path(args.out)
    done = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(done[COLUMNS[:3]].itertuples(index=False, name=None))
    X, y = load(args)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        split = encode(X, y, args, seed)
        for model in args.models:
            for library in args.libraries:
                if (model, library, seed) in done:
                    continue
                try:
                    with redirect_stdout(sys.stderr):  # libraries print progress
                        lines = run(model, library, split, args, seed)
                except ImportError as error:
                    print(f"{library} {model} skipped: {error}", file=sys.stderr)
                    continue
                lines.to_csv(out, mode="a", header=not out.exists(), index=False)
    print_table(pd.read_csv(out), args.counts)


if __name__ == "__main__":
    main()
