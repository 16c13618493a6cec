"""Where the time of a training step goes: a profile of each variant, as a table and a plot.

    python examples/benchmarks/profile_step.py --plot docs/profile.png

One thread, so that the parts add up; 39 fields, embedding_dim 16, batches of 4096, levels that
occur twice.  Times are an operation's own in torch's profiler, those inside the optimizer apart;
what is left of a step is Python: calls, skorch, callbacks.
"""

# %%
import argparse
import sys
import time

import pandas as pd
import torch
from bench_speed import VARIANTS, dynint, encode
from peers import BATCH
from torch.profiler import ProfilerActivity, profile

from sk_dynint.datasets import make_ctr_classification
from sk_dynint.optim import FTRL

PARTS = {  # an operation belongs to the first part of which a word is in its name
    "matrix products": ("mm", "mv", "linear"),
    "rows of the table": ("index", "sort", "embedding", "nonzero", "arange"),
    "permutation of axes": ("copy_",),
    "elementwise": ("",),
}
STEPS = 5


# %%
def profiled(variant, n_subspaces, data):
    """Return milliseconds of a step by part: kinds of operation, the optimizer, and Python."""
    runner = dynint(variant, n_subspaces, {}, data)
    total = 1e3 * float(runner.train(STEPS, 3)[-1])
    parts = dict.fromkeys([*PARTS, "optimizer"], 0.0)
    plain_step = FTRL.step

    def timed_step(self, closure=None):
        loss = None if closure is None else closure()
        start = time.perf_counter()
        with torch.profiler.record_function("the optimizer itself"):
            plain_step(self)
        parts["optimizer"] += 1e3 * (time.perf_counter() - start)
        return loss

    FTRL.step = timed_step
    try:
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            n_steps = 2 * STEPS  # the period that warms up is in the profile too
            runner.train(STEPS, 1)
    finally:
        FTRL.step = plain_step
    for event in profiler.events():
        ours = event.name.startswith(("aten::", "mkldnn::"))
        if ours and not inside_optimizer(event):
            part = next(p for p, words in PARTS.items() if any(w in event.name for w in words))
            parts[part] += event.self_cpu_time_total / 1e3
    parts = {name: ms / n_steps for name, ms in parts.items()}
    return parts | {"Python": max(total - sum(parts.values()), 0.0)}


def inside_optimizer(event):
    """Whether an operation was called by the optimizer."""
    while event is not None:
        if event.name == "the optimizer itself":
            return True
        event = event.cpu_parent
    return False


# %%
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=40 * BATCH)
    parser.add_argument("--subspaces", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--plot", help="picture; its figures go to a CSV file beside it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data, _ = encode(*make_ctr_classification(args.rows, random_state=0), 2)
    table = {}
    for variant in VARIANTS:
        for n_subspaces in args.subspaces:
            table[f"{variant} h={n_subspaces}"] = profiled(variant, n_subspaces, data)
            print(f"{variant} h={n_subspaces} done", file=sys.stderr)
    table = pd.DataFrame(table).T
    share = table.div(table.sum(axis=1), axis=0)
    lines = [["model", "ms a step", *share], ["---"] * (share.shape[1] + 2)]
    for name, row in share.iterrows():
        lines.append([name, f"{table.loc[name].sum():.0f}", *(f"{x:.0%}" for x in row)])
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))
    if args.plot:
        from draw import save  # needs matplotlib

        save(100 * share, args.plot)


if __name__ == "__main__":
    main()
