r"""What smaller tables of an ONNX file cost, and how fast one predicts.

    pip install -c constraints.txt -e ".[onnx]" onnxruntime
    python examples/benchmarks/bench_onnx.py --tables flights synthetic --rows 20000
    python examples/benchmarks/bench_onnx.py --data FOLDER --rows 20000

For each table of bench_accuracy.py, and one of make_ctr_classification, a default model learns from
`--rows` rows, and is written with each type of table.  The AUC is that of 20,000 rows of the test
part at most, by onnxruntime from raw columns in one thread; its difference is to ``predict_proba``.
Rows per second are of the same rows in batches of 1,024, medians of 5.
"""

# %%
import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from sklearn.metrics import roc_auc_score
from tables import TABLES, Rows, load, part

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification

BATCH = 1024
NAMES = [*TABLES, "synthetic"]


def load_any(name, folder):
    """Return the rows of a table, or those that are made up."""
    if name != "synthetic":
        return load(name, folder)
    return Rows(*make_ctr_classification(100_000, random_state=0))


def columns_of(X):
    """Return the columns of a frame as the file takes them."""
    columns = {}
    for name, column in X.items():
        if column.dtype.kind in "biuf":
            columns[name] = column.to_numpy(np.float64)[:, None]
        else:
            text = column.astype(object).where(column.notna(), "<NA>")
            columns[name] = text.to_numpy(dtype=object)[:, None]
    return columns


def run(session, columns):
    """Return probabilities, batch by batch."""
    n = len(next(iter(columns.values())))
    parts = [
        session.run(["probabilities"], {k: v[i : i + BATCH] for k, v in columns.items()})[0]
        for i in range(0, n, BATCH)
    ]
    return np.concatenate(parts)[:, 1]


def seconds_of(work, repeats=5):
    """Return the median time of a function."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    """Print a line for each table and type."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=".", help="folder of the Parquet files")
    parser.add_argument("--tables", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--rows", type=int, default=20_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of advice on columns
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    print("| table | tables in | MB | AUC − that of predict_proba | rows/s | × predict_proba |")
    print("|---|---|---|---|---|---|")
    for name in args.tables:
        X, y, X_test, y_test = part(load_any(name, args.data), args.rows)
        X_test, y_test = X_test[:20_000], y_test[:20_000]
        model = DynIntClassifier(random_state=0).fit(X, y)
        proba, columns = model.predict_proba(X_test)[:, 1], columns_of(X_test)
        auc = roc_auc_score(y_test, proba)
        pieces = [X_test[i : i + BATCH] for i in range(0, len(X_test), BATCH)]
        ours = seconds_of(lambda pieces=pieces, model=model: [*map(model.predict_proba, pieces)])
        for dtype in ("float32", "float16", "int8"):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                model.to_onnx(path, table_dtype=dtype)
                session, size = onnxruntime.InferenceSession(path, options), path.stat().st_size
            difference = roc_auc_score(y_test, run(session, columns)) - auc
            seconds = seconds_of(lambda session=session, columns=columns: run(session, columns))
            print(
                f"| {name} | {dtype} | {size / 1e6:.2f} | {difference:+.6f} "
                f"| {len(X_test) / seconds:,.0f} | {ours / seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
