"""The default model with compiled loops and without: time of `fit`, and of compiling.

    python examples/benchmarks/bench_compiled.py

Prints Markdown: seconds of two passes over encoded rows, wall and processor time, the two ways by
turns in one process, medians; then what the first fit of all takes, in processes of their own, when
the loops have to be compiled and when they are on disk.  Needs the extra `fast`.
"""

# %%
import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import pandas as pd

from sk_dynint import DynIntClassifier, EncodedData, FieldEncoder
from sk_dynint.datasets import load_flights

SWITCH = "SK_DYNINT_COMPILED"
FIRST_FIT = """
import time, numpy as np
from sk_dynint import DynIntClassifier
rng = np.random.default_rng(0)
X, y = rng.integers(0, 9, (2000, 10)).astype(str), rng.integers(0, 2, 2000)
start = time.perf_counter()
DynIntClassifier(max_epochs=1, crosses=None).fit(X, y)
print(time.perf_counter() - start)
"""


def flights(n_rows):
    """Flights drawn at random."""
    X, y = load_flights(return_X_y=True)
    rows = np.random.default_rng(0).choice(len(X), min(n_rows, len(X)), replace=False)
    return X.iloc[rows], np.asarray(y)[rows]


def wide(n_rows, n_fields=39):
    """Fields of 10 to 2,000 levels, of which low ones are frequent."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(10, 2000, n_fields)
    codes = np.floor(sizes ** rng.random((n_rows, n_fields))).astype(int)
    y = rng.random(n_rows) < 1 / (1 + np.exp(2 - codes[:, 0] % 3 - codes[:, 1] % 2))
    return pd.DataFrame(codes).add_prefix("c").astype("category"), y.astype(int)


def encoded(X, y):
    """Rows that are encoded already, so that `fit` does nothing but train."""
    encoder = FieldEncoder().fit(X, y)
    return EncodedData(encoder.transform(X), encoder=encoder), y


def time_of_fit(data, y, compiled, **params):
    """Wall and processor seconds of two passes."""
    os.environ[SWITCH] = "1" if compiled else "0"
    model = DynIntClassifier(max_epochs=2, random_state=0, **params)
    wall, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two passes are few
        model.fit(data, y)
    return time.perf_counter() - wall, time.process_time() - processor


def first_fits():
    """Seconds of the first fit in a process: plain, when compiling, with loops from disk."""
    with tempfile.TemporaryDirectory() as folder:
        for compiled in ("0", "1", "1"):
            env = os.environ | {SWITCH: compiled, "NUMBA_CACHE_DIR": folder}
            command = [sys.executable, "-W", "ignore", "-c", FIRST_FIT]
            done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
            yield float(done.stdout)


# %%
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4])
    args = parser.parse_args()
    tables = {"flights": (flights, {}), "39 fields": (wide, {"batch_size": 256})}
    print("| table | members | wall, plain | compiled | × | processor, plain | compiled | × |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (make, params) in tables.items():
        data, y = encoded(*make(args.rows))
        for n_members in args.members:
            times = np.array(
                [
                    [time_of_fit(data, y, way, n_members=n_members, **params) for way in (0, 1)]
                    for _ in range(args.repeats + 1)
                ]
            )
            medians = np.median(times[1:], 0)  # the first may have compiled
            cells = [f"{a:.2f} | {b:.2f} | {a / b:.2f}" for a, b in medians.T]
            print(f"| {name} | {n_members} |", " | ".join(cells), "|", flush=True)
    plain, compiling, disk = first_fits()
    print(f"\nfirst fit: plain {plain:.1f} s, compiling {compiling:.1f} s, from disk {disk:.1f} s")


if __name__ == "__main__":
    main()
