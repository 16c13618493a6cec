"""A table larger than memory: counted, encoded and trained on from Parquet files.

    python examples/benchmarks/bench_large.py --rows 46000000 --folder FOLDER

makes shards of a million rows each in FOLDER/shards (39 columns, as Criteo's logs have; some 65
bytes a row), unless they are there, and then trains an epoch of each variant in a process of its
own. It prints seconds of counting, encoding and training, the greatest resident memory without
what the system caches of files, and the rows trained per second beside those of the same
engine on rows in memory. FOLDER needs room for shards and encoded rows: 250 bytes a row.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from sk_dynint import DynIntClassifier, EncodedData
from sk_dynint.datasets import make_ctr_classification

SHARD_ROWS = 1_000_000
LABEL = "click"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", default=["pin", "da"])
    parser.add_argument("--jobs", type=int, default=2, help="processes that make shards")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    shards = args.folder / "shards"
    if args.measure:
        print(json.dumps(measure(args.measure, shards, args.rows)))
        return
    make_shards(shards, args.rows, args.jobs)
    results = []
    for variant in args.variants:
        command = [sys.executable, __file__, "--measure", variant, "--folder", str(args.folder)]
        output = subprocess.check_output([*command, "--rows", str(args.rows)], text=True)
        results.append(json.loads(output.splitlines()[-1]))
        print(pd.DataFrame(results).to_string(index=False), flush=True)


def make_shards(folder: Path, rows: int, jobs: int) -> None:
    """Make the shards that are not there yet; a last one may be smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (folder, number, min(SHARD_ROWS, rows - number * SHARD_ROWS))
        for number in range(-(-rows // SHARD_ROWS))
    ]
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(make_shard, *zip(*tasks, strict=True)))


def make_shard(folder: Path, number: int, rows: int) -> None:
    """Write one shard, with the number as its seed."""
    path = folder / f"{rows}-{number:04d}.parquet"
    if path.exists():
        return
    X, y = make_ctr_classification(rows, random_state=number)
    unfinished = path.with_suffix(".part")
    X.assign(**{LABEL: y.astype(np.int8)}).to_parquet(unfinished, index=False)
    unfinished.rename(path)


def measure(variant: str, shards: Path, rows: int) -> dict[str, float | str]:
    """Train an epoch of a variant on all shards; return what it took."""
    options = {
        "variant": variant,
        "n_subspaces": 4,
        "embedding_dim": 16,
        "batch_size": 4096,
        "max_epochs": 1,
        "n_members": 1,
        "crosses": None,
        "early_stopping": False,
        "averaging": None,
        "random_state": 0,
    }
    files = sorted(shards.glob("*.parquet"))[: -(-rows // SHARD_ROWS)]
    with tempfile.TemporaryDirectory(dir=shards.parent) as cache, Watch(Path(cache)) as watch:
        model = DynIntClassifier(**options, cache=cache)
        start = time.perf_counter()
        model.fit(shards, LABEL)
        wall = time.perf_counter() - start
    trained = float(model.history_["seconds"].sum())
    counted = watch.counted - start
    in_memory = rows_per_second_in_memory(options, model.encoder_, files[:2])
    return {
        "variant": variant,
        "rows": rows,
        "levels": int(model.encoder_.cardinalities_.sum()),
        "count s": round(counted, 1),
        "encode s": round(wall - counted - trained, 1),
        "train s": round(trained, 1),
        "rows/s": round(rows / trained),
        "x in memory": round(rows / trained / in_memory, 3),
        "peak GB": round(watch.peak / 1e9, 2),
    }


def rows_per_second_in_memory(options: dict, encoder: object, files: list[Path]) -> float:
    """Train an epoch on the rows of some files, encoded beforehand and kept in memory."""
    frame = pd.concat([pd.read_parquet(file) for file in files])
    y = frame.pop(LABEL)
    data = EncodedData(encoder.transform(frame), encoder=encoder)
    model = DynIntClassifier(**options).fit(data, y)
    return len(y) / float(model.history_["seconds"].sum())


class Watch:
    """Context that notes the greatest memory of this process, and when counting ended."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.peak, self.counted = cache, 0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            status = Path("/proc/self/status").read_text()
            kib = int(status.split("RssAnon:")[1].split()[0])
            self.peak = max(self.peak, kib * 1024)
            if not self.counted and any(self.cache.glob("rows-*/encoded.int32")):
                self.counted = time.perf_counter()


if __name__ == "__main__":
    main()
