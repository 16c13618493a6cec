"""torch.mm beside oneDNN: matrix products alone, and the gradients of a training step.

    python examples/benchmarks/bench_products.py

First the products of `pin` in a block of rows, with 39 fields, embedding_dim 16 and three layers in
one product: X_0 W^T, the gradient of X_0 from that of its product, the gradient of W; GFLOP/s of
one thread, medians of 30.  Then all gradients of a batch of 4,096 rows, by all threads, both
libraries by turns; milliseconds, medians of 20.
"""

# %%
import argparse
from functools import partial

import numpy as np
import torch
from bench_speed import VARIANTS, encode, sizes
from peers import BATCH, DIM, seconds

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification
from sk_dynint.engine import Batch, Engine

SHAPES = {1: (4096, 40, 120), 4: (1024, 156, 468), 16: (1024, 624, 1872)}


# %%
def onednn(left, right):
    """``left @ right`` by the operation of oneDNN that torch's compiler emits for linear layers."""
    return torch.ops.mkldnn._linear_pointwise(left, right.T, None, "none", [], "")


LIBRARIES = {"torch.mm": torch.mm, "oneDNN": onednn}


def rates(multiply, n_rows, width, n_outputs):
    """GFLOP/s of the three products."""
    x, grad = torch.randn(n_rows, width), torch.randn(n_rows, n_outputs)
    weight = torch.randn(width, n_outputs).T
    for left, right in [(x, weight.T), (grad, weight), (x.T, grad)]:
        times = [seconds(partial(multiply, left, right)) for _ in range(33)][3:]
        yield 2 * n_rows * width * n_outputs / np.median(times) / 1e9


def make_engine(variant, n_subspaces, data):
    """The engine of a variant that was trained for one step."""
    params = {"embedding_dim": DIM, "batch_size": BATCH, "max_epochs": 1, "early_stopping": False}
    model = DynIntClassifier(variant, **params, **sizes(variant, n_subspaces))
    model.fit(data.encoded[:BATCH], data.y[:BATCH])
    return Engine(model.net_.module_)


def gradient_times(engine, data):
    """Milliseconds by each library."""
    rows = np.random.default_rng(0).integers(len(data.indices), size=(22, BATCH))
    times = {name: [] for name in LIBRARIES}
    with engine.workers.running():
        for chosen in rows:
            indices = torch.from_numpy(data.indices[chosen])
            target = torch.from_numpy(np.asarray(data.y)[chosen])
            for name in times:
                for kernel in engine.training_kernels:
                    kernel.by_onednn = name == "oneDNN"
                batch = Batch(indices, target, torch.ones(BATCH))
                work = partial(engine.gradients, batch)
                times[name].append(1e3 * seconds(work))
    return [np.median(all_times[2:]) for all_times in times.values()]


# %%
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=800_000)
    args = parser.parse_args()
    data, _ = encode(*make_ctr_classification(args.rows, random_state=0), 2)
    chosen = make_engine("pin", 1, data).training_kernels[0].by_onednn
    print(f"sk_dynint takes {'oneDNN' if chosen else 'torch.mm'} on this processor.\n")

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print("| | library | product | gradient of X_0 | gradient of W |\n|---|---|---|---|---|")
    for h, shape in SHAPES.items():
        for library, multiply in LIBRARIES.items():
            figures = " | ".join(f"{rate:.0f}" for rate in rates(multiply, *shape))
            print(f"| h = {h}: {' × '.join(map(str, shape))} | {library} | {figures} |")
    torch.set_num_threads(n_threads)

    print("\n|", " | ".join(["", *(f"h = {h}" for h in SHAPES)]), "|\n|---|---|---|---|")
    for variant in VARIANTS:
        times = [gradient_times(make_engine(variant, h, data), data) for h in SHAPES]
        print(f"| `{variant}` |", " | ".join(f"{mm:.1f} → {dnn:.1f}" for mm, dnn in times), "|")


if __name__ == "__main__":
    main()
