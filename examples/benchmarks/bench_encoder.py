"""Encoding speed: FieldEncoder against a straightforward polars encoding of the same frame.

    python examples/benchmarks/bench_encoder.py --rows 1000000 --repeats 5

The frame is Criteo-shaped: 13 numeric and 26 string columns, about 970,000 distinct levels in a
million rows.  Both sides bin the numbers by ⌊(ln v)²⌋, keep the levels that occur at least twice,
and return one int32 matrix; the script checks that the two matrices are equal.  Memory is the peak
of the process above what it held before the call, sampled every two milliseconds (Linux).
"""

# %%
import argparse
import gc
import statistics
import threading
import time

import numpy as np
import polars as pl

from sk_dynint import FieldEncoder
from sk_dynint.datasets import make_ctr_classification

MIN_COUNT = 2


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


def resident_megabytes():
    """Memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def measure(call):
    """Result, seconds, peak of extra megabytes."""
    gc.collect()
    base = peak = resident_megabytes()
    stop = threading.Event()

    def watch():
        nonlocal peak
        while not stop.wait(0.002):
            peak = max(peak, resident_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    stop.set()
    watcher.join()
    return result, seconds, peak - base


# %%
def main():
    """Print medians over the repeats, and their ratio to polars."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    X, _ = make_ctr_classification(args.rows, random_state=0)
    numeric = [c for c in X if c.startswith("I")]
    frame = pl.from_pandas(X, nan_to_null=True)
    megabytes = X.memory_usage(deep=True).sum() / 1e6
    levels = sum(X[c].nunique() for c in X.columns.difference(numeric))
    print(f"{args.rows:,} rows, {levels:,} distinct levels, frame of {megabytes:,.0f} MB")

    runs = {"polars": [], "fit_transform": [], "transform": []}
    for _ in range(args.repeats):
        encoder = FieldEncoder(binning="winner", min_count=MIN_COUNT)
        calls = {
            "polars": lambda: polars_encode(frame, numeric),
            "fit_transform": lambda e=encoder: e.fit_transform(X),
            "transform": lambda e=encoder: e.transform(X),
        }
        results = []
        for name, call in calls.items():
            result, *figures = measure(call)
            runs[name].append(figures)
            results.append(result)
        assert all(np.array_equal(results[0], other) for other in results[1:])

    print("| | seconds | / polars | extra MB | / frame |\n|---|---|---|---|---|")
    reference = statistics.median(s for s, _ in runs["polars"])
    for name, figures in runs.items():
        seconds, extra = (statistics.median(column) for column in zip(*figures, strict=True))
        print(
            f"| {name} | {seconds:.2f} | {seconds / reference:.2f} "
            f"| {extra:,.0f} | {extra / megabytes:.2f} |"
        )

    one = X.iloc[[0]]
    times = []
    for _ in range(200):
        start = time.perf_counter()
        encoder.transform(one)
        times.append(time.perf_counter() - start)
    print(f"one row: {1e3 * statistics.median(times):.2f} ms (median of {len(times)})")


if __name__ == "__main__":
    main()
