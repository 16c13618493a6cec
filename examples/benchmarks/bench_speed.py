"""Speed of training steps, prediction and single rows, beside the limits of the machine.

    python examples/benchmarks/bench_speed.py --out speed.json --plot speed.png
    python examples/benchmarks/bench_speed.py --quick

The data is Criteo-shaped: 39 fields, embedding_dim 16, batches of 4096, and three vocabularies of
the same frame, which keep the levels that occur 20 times, twice or once.  For every model and
vocabulary, on one machine and in one run:

* a training step in steady state, as `fit` makes it: shuffled batch, forward, backward, optimizer,
  callbacks and the averaging of weights; the median over periods of several steps, the first
  period left out;
* its *floor*: the matrix products, forward and backward, at the best GEMM rate of the run, plus the
  bytes that have to move at its best copy rate (see ``dynint_work`` and ``step_bytes``); once with
  the rate of ``torch.mm``, by which peers multiply, and once with that of the faster library, which
  is oneDNN on some processors;
* rows predicted a second from the index matrix, in batches;
* milliseconds for a single row, median and 95th percentile: ``predict_proba`` of a one-row
  DataFrame, and the logit of a row of the index matrix;
* memory: the peak while building and training, above what the process held before, which includes
  frame and index matrix (Linux).

The variants compute in single precision and, with 4 sub-spaces, in bfloat16 too; their floor is
that of single precision.  The competitors of :class:`BaselineClassifier` run at their defaults on
one vocabulary, without a floor.

Peers (see ``peers.py``): two plain loops, DeepCTR-Torch, FuxiCTR, torch-rechub, LightGBM and
CatBoost, skipped with a note if absent; ``pip install -c constraints.txt -e ".[bench]"`` gets all.
For trees a step is a batch's share of a whole fit, after encoding, whose seconds are noted apart.
GEMM and copy rates are measured before each model, because the speed of a machine varies over time;
the JSON file has them all.
"""

# %%
import argparse
import ctypes
import gc
import json
import sys
import time
from contextlib import redirect_stdout
from functools import partial

import numpy as np
import pandas as pd
import torch
from peers import BATCH, DIM, FIELDS, PEERS, Data, Runner, seconds, step_bytes
from scipy.special import expit
from skorch.callbacks import Callback

from sk_dynint import BaselineClassifier, DynIntClassifier, EncodedData, FieldEncoder
from sk_dynint.baselines import BASELINES, Dense
from sk_dynint.datasets import make_ctr_classification

LAYERS, REDUCTION, RANKS = 3, 16, {"dgp": 64, "dwp": 2}  # dgp: at most the layer's width
VARIANTS = ("pin", "da", "dgp", "dwp")
VOCABULARIES = {"min20": 20, "min2": 2, "full": 1}  # name -> min_count
HALF_PRECISION_SUBSPACES, BASELINE_VOCABULARY = 4, "min2"


# %% The floor
def dynint_work(variant, n_subspaces):
    """Operations of all matrix products in a training step of the variant, and its dense weights.

    A layer's width W = F·h, its depth d = D / h, so an embedding has F·D = W·d entries.  Forward,
    for one instance and layer (two operations for a multiply-add):

        pin   W X_0                         2 · F·D · W
        da    the same                      2 · F·D · W       and a gate with W outputs
        dgp   V^T X_0 and U (Σ V^T X_0)     2 · 2 · F·D · K   and a gate with K outputs
        dwp   W (v_p ∘ X_0), p = 1..K       K · 2 · F·D · W   and a gate with 2·K·W outputs
        gate  F·D -> F·D / r -> outputs     2 · F·D · F·D/r + 2 · F·D/r · outputs

    Backward is twice that, for the gradients of both factors; only the gate's first product has a
    single one, because its input is detached.  So 3 times forward, and 2 times for that one.
    """
    entries, width = FIELDS * DIM, FIELDS * n_subspaces
    rank = min(RANKS.get(variant, 1), width)
    products, weights, outputs = {
        "pin": (2 * entries * width, width**2, 0),
        "da": (2 * entries * width, width**2, width),
        "dgp": (2 * 2 * entries * rank, 2 * width * rank, rank),
        "dwp": (rank * 2 * entries * width, width**2, 2 * rank * width),
    }[variant]
    hidden = entries // REDUCTION if outputs else 0
    layer = 3 * products + 2 * (2 * entries * hidden) + 3 * (2 * hidden * outputs)
    return BATCH * LAYERS * layer, LAYERS * (weights + hidden * (entries + outputs))


def machine_rates():
    """Return what the machine does a second at this moment.

    Operations of fp32 GEMM, by torch.mm and by the faster library; bytes that a copy reads and
    writes.
    """
    rates = dict.fromkeys(["gemm_per_s", "best_gemm_per_s"], 0.0)
    for m, k, n in [(BATCH, 624, 624), (2048, 2048, 2048)]:
        a, b, out = torch.ones(m, k), torch.ones(k, n), torch.ones(m, n)
        calls = {"gemm_per_s": partial(torch.mm, a, b, out=out)}
        layer = Dense(k, n, bias=False).requires_grad_(False)  # uses the faster library
        calls["best_gemm_per_s"] = partial(layer, a)
        for name, call in calls.items():
            best = min(seconds(call) for _ in range(4))
            rates[name] = max(rates[name], 2 * m * k * n / best)
    rates["best_gemm_per_s"] = max(rates.values())
    source, target = torch.ones(2**26), torch.ones(2**26)  # larger than any cache
    best = min(seconds(lambda: target.copy_(source)) for _ in range(4))
    return rates | {"copy_per_s": 2 * source.nbytes / best}


# %% The runners: each function makes a Runner for Data, or raises ImportError
class StopAfter(Callback):
    """Ends training after some evaluation periods."""

    def __init__(self, periods):
        self.periods = periods

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.periods:
            raise KeyboardInterrupt  # which skorch takes for a normal end of training


def ours(make, params, data, floor=()):
    """Return the Runner of a classifier, whose evaluation periods are those of the benchmark."""
    options = {"embedding_dim": DIM, "batch_size": BATCH}
    options |= {"early_stopping": False, "max_epochs": 1000, "random_state": 0}
    model = make(**options | params)

    def train(steps, periods):
        model.set_params(eval_every=steps, callbacks=[StopAfter(periods + 1)])
        return model.fit(data.encoded, data.y).history_["seconds"].to_numpy()[1:] / steps

    return Runner(train, lambda c: model.net_.logits(c), model.predict_proba, *floor)


def sizes(variant, n_subspaces):
    """Return the parameters of a variant; those that it does not use are ignored."""
    rank = min(RANKS.get(variant, 1), FIELDS * n_subspaces)
    return {"n_subspaces": n_subspaces, "n_layers": LAYERS, "rank": rank, "reduction": REDUCTION}


def dynint(variant, n_subspaces, params, data):
    """Return the Runner of a variant, with its floor."""
    flops, n_dense = dynint_work(variant, n_subspaces)
    n_bytes = step_bytes(data, n_dense, (1 + LAYERS) * FIELDS * DIM)  # embedding, layers' outputs
    make = partial(DynIntClassifier, variant)
    return ours(make, sizes(variant, n_subspaces) | params, data, floor=(flops, n_bytes))


# %% Measuring
def memory(field):
    """Return megabytes of this process: VmRSS now, VmHWM at its peak; NaN if not on Linux."""
    if sys.platform != "linux":
        return np.nan
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1e3 for line in file if line.startswith(field))


def forget_peak():
    """Return freed memory to the system and reset the peak; return the megabytes still held."""
    gc.collect()
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", abs)(0)  # of glibc
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    return memory("VmRSS")


def latency(call, items):
    """Return median and 95th percentile of milliseconds an item, the first tenth left out."""
    times = [seconds(partial(call, item)) for item in items]
    return list(np.percentile(times[len(times) // 10 :], [50, 95]) * 1e3)


def measure(make, data, args):
    """Return all figures of one model."""
    rates = machine_rates()
    held = forget_peak()
    runner = make(data)
    steps = runner.train(args.steps, args.repeats)
    peak = memory("VmHWM") - held
    inputs = runner.inputs or data.indices.__getitem__
    some = inputs(slice((4 if args.quick else 16) * BATCH))
    predicting = [seconds(partial(runner.logits, some)) for _ in range(args.repeats + 1)][1:]
    singles = range(100 if args.quick else 500)
    encoded = latency(lambda row: expit(runner.logits(row)), [inputs([i]) for i in singles])
    frame = [np.nan, np.nan]
    if runner.predict_proba is not None:
        frame = latency(runner.predict_proba, [data.X.iloc[[i]] for i in singles])
    return {
        "levels": int(data.cardinalities.sum()),
        "step_ms": 1e3 * np.median(steps),
        "all_steps_ms": [1e3 * s for s in steps],
        "train_rows_per_s": BATCH / np.median(steps),
        "predict_rows_per_s": len(some) / np.median(predicting),
        "frame_ms": frame,
        "encoded_ms": encoded,
        "peak_mb": peak,
        "flops": runner.flops,
        "n_bytes": runner.n_bytes,
        **rates,
        **(runner.notes or {}),
    }


def encode(X, y, min_count):
    """Return the Data of a vocabulary, and rows encoded a second."""
    encoder = FieldEncoder(min_count=min_count)
    start = time.perf_counter()
    indices = encoder.fit_transform(X)
    middle = time.perf_counter()
    encoder.transform(X)
    times = {"fit_transform": middle - start, "transform": time.perf_counter() - middle}
    rates = {name: round(len(X) / elapsed) for name, elapsed in times.items()}
    batches = np.random.default_rng(0).integers(len(indices), size=(5, BATCH))
    touched = np.mean([sum(len(np.unique(c)) for c in indices[b].T) for b in batches])
    return Data(X, y, EncodedData(indices, encoder=encoder), touched), rates


# %% Showing
COLUMNS = {
    "levels": "{levels:,}",
    "model": "{model}",
    "step ms": "{step_ms:.1f}",
    "floor ms": "{floor_ms:.1f}",
    "ratio": "{ratio:.2f}",
    "ratio, fastest GEMM": "{strict_ratio:.2f}",
    "rows/s trained": "{train_rows_per_s:,.0f}",
    "rows/s predicted": "{predict_rows_per_s:,.0f}",
    "one row of a frame, ms p50 / p95": "{frame_ms[0]:.2f} / {frame_ms[1]:.2f}",
    "one encoded row, ms p50 / p95": "{encoded_ms[0]:.2f} / {encoded_ms[1]:.2f}",
    "peak MB": "{peak_mb:,.0f}",
}


def print_table(rows):
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))
    for row in rows:
        line = " | ".join(cell.format(**row) for cell in COLUMNS.values())
        print("|", line.replace("nan / nan", "–").replace("nan", "–"), "|")


# %%
def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, help="whole batches of 800,000, with --quick 50,000")
    parser.add_argument("--steps", type=int, help="in a period; default 10, with --quick 2")
    parser.add_argument("--repeats", type=int, default=5, help="periods that count")
    parser.add_argument("--variants", nargs="*", default=VARIANTS, choices=VARIANTS)
    parser.add_argument("--subspaces", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--vocabularies", nargs="+", default=[*VOCABULARIES], choices=VOCABULARIES)
    parser.add_argument("--baselines", nargs="*", default=[*BASELINES], choices=[*BASELINES])
    parser.add_argument("--peers", nargs="*", default=[*PEERS], choices=PEERS)
    parser.add_argument("--params", type=json.loads, default={}, help="of the classifier, as JSON")
    parser.add_argument("--quick", action="store_true", help="small; averages at every step")
    parser.add_argument("--out", default="speed.json")
    parser.add_argument("--plot", help="picture; its figures go to a CSV file beside it")
    args = parser.parse_args()
    args.rows = (args.rows or (50_000 if args.quick else 800_000)) // BATCH * BATCH
    args.steps = args.steps or (2 if args.quick else 10)
    return args


def runners_of(vocabulary, args):
    """Return the functions that make the Runners of the models that were asked for, by name."""
    half = args.params | {"precision": "bf16"}
    runners = {
        f"{variant} h={h}{suffix}": partial(dynint, variant, h, params)
        for variant in args.variants
        for h in args.subspaces
        for suffix, params in [("", args.params), (" bf16", half)]
        if not suffix or h == HALF_PRECISION_SUBSPACES
    }
    runners |= dict(PEERS[name] for name in args.peers)
    if vocabulary == BASELINE_VOCABULARY:
        for name in args.baselines:
            runners[name] = partial(ours, partial(BaselineClassifier, name), {})
    return runners


def measure_all(args):
    """Return a row of figures for each model and vocabulary, encoding rates, skipped models."""
    rows, encoding, skipped = [], {}, {}
    X, y = make_ctr_classification(args.rows, random_state=0)
    for vocabulary in args.vocabularies:
        data, encoding[vocabulary] = encode(X, y, VOCABULARIES[vocabulary])
        for model, make in runners_of(vocabulary, args).items():
            try:
                with redirect_stdout(sys.stderr):  # peers print progress
                    figures = measure(make, data, args)
            except ImportError as error:
                skipped[model] = str(error)
                continue
            rows.append({"model": model, "vocabulary": vocabulary, **figures})
            print(f"{vocabulary} {model}: {figures['step_ms']:.1f} ms", file=sys.stderr)
    return rows, encoding, skipped


def add_floors(rows):
    """Add floors and ratios to rows of figures; return the best rates of the run."""
    names = "gemm_per_s", "best_gemm_per_s", "copy_per_s"
    gemm, best_gemm, copy = (max(row[name] for row in rows) for name in names)
    for row in rows:
        floors = [row["flops"] / rate + row["n_bytes"] / copy for rate in (gemm, best_gemm)]
        row["floor_ms"], row["strict_floor_ms"] = (1e3 * floor for floor in floors)
        row["ratio"] = row["step_ms"] / row["floor_ms"]
        row["strict_ratio"] = row["step_ms"] / row["strict_floor_ms"]
    return {
        "best torch.mm, GFLOP/s": round(gemm / 1e9, 1),
        "best GEMM of any library, GFLOP/s": round(best_gemm / 1e9, 1),
        "best copy, GB/s read and written": round(copy / 1e9, 1),
    }


def main():
    args = parse_arguments()
    rows, encoding, skipped = measure_all(args)
    about = {
        "rows": args.rows,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **add_floors(rows),
        "rows encoded a second": encoding,
        "skipped": skipped,
    }
    for name, value in about.items():
        print(f"* {name}: {value}")
    print()
    print_table(rows)
    with open(args.out, "w") as file:
        json.dump({**about, "arguments": vars(args), "models": rows}, file, indent=1)
    if args.plot:
        from draw import save  # needs matplotlib

        save(pd.DataFrame(rows), args.plot)


if __name__ == "__main__":
    main()
