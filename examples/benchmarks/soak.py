"""Does anything grow?  Thousands of small fits, and hundreds of thousands of predictions.

    python examples/benchmarks/soak.py

prints memory, threads and open files after a tenth of the work and at its end, and fails if one of
them grew.  (Allocators and caches fill in the beginning, so that the start itself says nothing.)
"""

import argparse
import gc
import os
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import sk_dynint
from sk_dynint import BaselineClassifier, DynIntClassifier

MAX_GROWTH_MB = 20
"""A leak of a small model (100 kB) in each fit would be ten times as much."""


def make_rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"site": rng.choice(list("abcdefgh"), n), "price": rng.lognormal(size=n)})
    return X, (rng.random(n) < 0.3 + 0.4 * (X["site"] < "d")).astype(int)


def state_of_process():
    """Return resident megabytes, threads and open files."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MB": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        "threads": len(os.listdir("/proc/self/task")),
        "Python's threads": threading.active_count(),
        "open files": len(os.listdir("/proc/self/fd")),
    }


def classifiers(folder):
    """Kinds of fits that take turns."""
    small = {"max_epochs": 1, "embedding_dim": 4, "n_layers": 1, "batch_size": 64}
    small |= {"random_state": 0}
    plain = small | {"n_members": 1, "crosses": None}
    checkpoint = folder / "run"
    return [
        lambda: DynIntClassifier(**plain),
        lambda: DynIntClassifier("dgp", **plain | {"checkpoint": checkpoint}),
        lambda: DynIntClassifier("da", **plain | {"n_members": 2}),
        lambda: BaselineClassifier("dnn", dropout=0.5, hidden_units=(8,), max_epochs=1),
    ]


def fit_often(n, kinds, X, y, folder):
    """Fit, train on, save and load; return the last model."""
    for i in range(n):
        model = kinds[i % len(kinds)]().fit(X, y)
        if i % 5 == 0:
            model.partial_fit(X, y)
            model.save(folder / "model")
            model = sk_dynint.load(folder / "model")
    return model


def predict_often(n, model, X):
    """Predict: of ten calls one of a batch, one of a row as a frame, and eight of a dict."""
    rows = X.to_dict("records")
    for i in range(n):
        place = i % len(X)
        if i % 10 == 0:
            model.predict_proba(X)
        elif i % 10 == 1:
            model.predict_proba(X.iloc[place : place + 1])
        else:
            model.predict_proba(rows[place])


def soak(name, n, work):
    """Do work n times; return a row of the table, and whether something grew."""
    work(max(n // 10, 1))
    before, start = state_of_process(), time.perf_counter()
    work(n - n // 10)
    seconds, after = time.perf_counter() - start, state_of_process()
    changes = [f"{before[k]:.0f} → {after[k]:.0f}" for k in before]
    print("|", " | ".join([name, f"{n:,}", *changes, f"{seconds:.0f}"]), "|", flush=True)
    allowed = {"MB": MAX_GROWTH_MB}
    return any(after[k] - before[k] > allowed.get(k, 0) for k in before)


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=2_000)
    parser.add_argument("--predictions", type=int, default=200_000)
    options = parser.parse_args(args)
    warnings.simplefilter("ignore")
    X, y = make_rows(200)
    print("| | times |", " | ".join(state_of_process()), "| s |")
    print("|---" * (3 + len(state_of_process())) + "|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = classifiers(folder)
        model = kinds[0]().fit(X, y)
        grew = [
            soak("fits", options.fits, lambda n: fit_often(n, kinds, X, y, folder)),
            soak("predictions", options.predictions, lambda n: predict_often(n, model, X)),
        ]
    if any(grew):
        sys.exit("something grew")


if __name__ == "__main__":
    main()
