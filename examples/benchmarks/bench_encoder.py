"""Encoding speed: FieldEncoder against a straightforward polars encoding of the same frame.

    python examples/benchmarks/bench_encoder.py --rows 1000000 --repeats 5

The frame is Criteo-shaped: 13 numeric and 26 string columns, about 970,000 distinct levels in a
million rows.  Both sides bin the numbers by ⌊(ln v)²⌋, keep the levels that occur at least twice,
and return one int32 matrix; the script checks that the two matrices are equal.  Memory is the peak
of a new process above what it held before the call, sampled every two milliseconds (Linux).  A
process that has encoded before may hold freed memory, which would hide what the next call takes.
"""

# %%
import argparse
import ctypes
import gc
import multiprocessing
import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa

from sk_dynint import DynIntClassifier, FieldEncoder
from sk_dynint.datasets import make_ctr_classification

MIN_COUNT = 2
BATCHES = (1, 100, 1_000, 10_000, 100_000)


# %%
def polars_encode(frame, numeric):
    """Index 0 rare, 1 missing, 2.. bins in order, or levels by falling count."""
    log_bin = [
        pl.when(pl.col(c) > 2).then((pl.col(c).log() ** 2).floor()).otherwise(pl.col(c).floor() - 3)
        for c in numeric
    ]
    lazy = frame.lazy().with_columns(log_bin)
    fields = []
    for c in frame.columns:
        levels = lazy.select(c).drop_nulls().group_by(c).len()
        if c in numeric:
            levels = levels.sort(c)
        else:
            levels = levels.filter(pl.col("len") >= MIN_COUNT)
            levels = levels.sort(["len", c], descending=[True, False])
        codes = levels.with_row_index("code", offset=2).select(c, pl.col("code").cast(pl.Int32))
        found = lazy.select(c).join(codes, on=c, how="left", maintain_order="left")
        code = pl.when(pl.col(c).is_null()).then(1).otherwise(pl.col("code").fill_null(0))
        fields.append(found.select(code.cast(pl.Int32).alias(c)))
    return pl.concat(pl.collect_all(fields), how="horizontal").to_numpy(order="c")


def calls(X):
    """Return the functions to measure by name; `transform` needs `fit_transform` to be called."""
    numeric = [c for c in X if c.startswith("I")]
    frame = pl.from_pandas(X, nan_to_null=True)
    encoder = FieldEncoder(binning="winner", min_count=MIN_COUNT)
    return {
        "polars": lambda: polars_encode(frame, numeric),
        "fit_transform": lambda: encoder.fit_transform(X),
        "transform": lambda: encoder.transform(X),
    }


def seconds(call, n_times=1):
    """Return the result of a call and its median time."""
    times = []
    for _ in range(n_times):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return result, statistics.median(times)


def resident_megabytes():
    """Return the memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def give_memory_back():
    """Return freed memory to the system, so that the next call has to ask for it again."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def extra_megabytes(n_rows, name):
    """Return the peak memory of a call above what the process held before, on Linux.

    The process should be a new one.  A few rows are encoded before, so that imports do not count.
    """
    X, _ = make_ctr_classification(n_rows, random_state=0)
    for call in calls(X[:1000]).values():
        call()
    named = calls(X)
    if name == "transform":
        named["fit_transform"]()
    give_memory_back()
    base = peak = resident_megabytes()
    stop = threading.Event()

    def watch():
        nonlocal peak
        while not stop.wait(0.002):
            peak = max(peak, resident_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    named[name]()
    stop.set()
    watcher.join()
    return peak - base


def in_fresh_process(function, *args):
    """Return the result of a function, called in a new process that ends with it."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *args).result()


# %%
def main():
    """Print medians over the repeats, and their ratio to polars."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    X, y = make_ctr_classification(args.rows, random_state=0)
    megabytes = X.memory_usage(deep=True).sum() / 1e6
    levels = sum(X[c].nunique() for c in X if not c.startswith("I"))
    print(f"{args.rows:,} rows, {levels:,} distinct levels, frame of {megabytes:,.0f} MB")

    times = {}
    for _ in range(args.repeats):
        results = []
        for name, call in calls(X).items():
            result, elapsed = seconds(call)
            times.setdefault(name, []).append(elapsed)
            results.append(result)
        assert all(np.array_equal(results[0], other) for other in results[1:])
    del results, result

    print("| | seconds | / polars | extra MB | / frame |\n|---|---|---|---|---|")
    medians = {name: statistics.median(elapsed) for name, elapsed in times.items()}
    for name, median in medians.items():
        extra = in_fresh_process(extra_megabytes, args.rows, name)
        print(
            f"| {name} | {median:.2f} | {median / medians['polars']:.2f} "
            f"| {extra:,.0f} | {extra / megabytes:.2f} |"
        )

    encoder = FieldEncoder(min_count=MIN_COUNT).fit(X)
    encoder.transform(X[:1])  # hashes the levels, which later calls need not
    print("\n| rows | milliseconds |\n|---|---|")
    for n_rows in BATCHES:
        part = X[:n_rows].copy()
        _, elapsed = seconds(lambda part=part: encoder.transform(part), max(5, 200 // n_rows))
        print(f"| {n_rows:,} | {1e3 * elapsed:.2f} |")

    model = DynIntClassifier(max_epochs=1, random_state=0).fit(X[:20_000], y[:20_000])
    _, elapsed = seconds(lambda: model.predict_proba(X.iloc[[0]]), 300)
    print(f"\npredict_proba(X.iloc[[0]]): {1e3 * elapsed:.2f} ms (median of 300)")


if __name__ == "__main__":
    main()
