"""Grouping the rows of a batch that look up the same row of the table: two ways to sort.

    python examples/benchmarks/bench_grouping.py

Microseconds of one thread, medians: `torch.sort` with positions, and NumPy's sort of row and place
in one 64-bit integer, as the engine does; then places of equal rows side by side.
"""

# %%
import argparse
from functools import partial

import numpy as np
import torch
from peers import seconds

SIZES = {"256 rows × 20 fields": (5_120, 15_000), "4,096 rows × 20 fields": (81_920, 300_000)}


def by_torch(rows, places):
    """Sorted rows and the places that sort them."""
    ascending, order = rows.sort(stable=True)
    return ascending, places.index_select(0, order)


def by_numpy(rows, places):
    """The same, by one sort of integers."""
    n_bits = len(places).bit_length()
    keys = (rows.long() << n_bits).bitwise_or_(places)
    keys.numpy().sort()
    return keys >> n_bits, keys & ((1 << n_bits) - 1)


# %%
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| | torch.sort | one integer |\n|---|---|---|")
    for name, (n, n_rows) in SIZES.items():
        rows, places = torch.randint(n_rows, (n,), dtype=torch.int32), torch.arange(n)
        one, two = by_torch(rows, places), by_numpy(rows, places)
        assert all(torch.equal(a.long(), b) for a, b in zip(one, two, strict=True))
        times = [
            np.median([seconds(partial(sort, rows, places)) for _ in range(args.repeats)]) * 1e6
            for sort in (by_torch, by_numpy)
        ]
        print(f"| {name} |", " | ".join(f"{t:.0f} µs" for t in times), "|")


if __name__ == "__main__":
    main()
