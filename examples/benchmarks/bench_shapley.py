"""Exact Shapley values and their estimates by permutations: rows per second, and errors.

    python examples/benchmarks/bench_shapley.py

Prints Markdown: for 39 fields, 3 layers and vectors of 8 entries, rows per second of
`shapley_values` of one network of each variant, medians, and how far base value and values are from
the logit; then, for "pin", what shap's permutation explainer reaches in one run beside it, and
`sampled_shapley_values`.  Needs shap.
"""

# %%
import argparse
import time
import warnings

import numpy as np
import pandas as pd
import shap
import torch

from sk_dynint import DynIntClassifier, EncodedData, FieldEncoder
from sk_dynint.inspection import sampled_shapley_values, shapley_interactions, shapley_values

N_FIELDS = 39


def wide(n_rows, seed=0):
    """Fields of 10 to 2,000 levels, of which low ones are frequent."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(10, 2000, N_FIELDS)
    codes = np.floor(sizes ** rng.random((n_rows, N_FIELDS))).astype(int)
    score = (codes[:, 0] % 3 - 1) * (codes[:, 1] % 2) + 0.5 * (codes[:, 2] % 2)
    y = rng.random(n_rows) < 1 / (1 + np.exp(1 - score))
    return pd.DataFrame(codes).add_prefix("c").astype("category"), y.astype(int)


def fitted(variant, n_subspaces, data, y):
    """One network of 3 layers over vectors of 8 entries."""
    model = DynIntClassifier(
        variant, n_members=1, n_subspaces=n_subspaces, max_epochs=2, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two passes are few
        return model.fit(data, y)


def median_time(function, repeats):
    """Result and median of the seconds of some calls, after one that warms up."""
    result, times = function(), []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return result, np.median(times)


# %%
def exact_table(data, y, n_rows, repeats):
    """Print a line for each variant and number of sub-spaces."""
    rows, few = data[:n_rows], data[: n_rows // 8]
    print("| variant | sub-spaces | rows/s | error of the sum | interactions, rows/s |")
    print("|---|---|---|---|---|")
    for variant in ("pin", "da", "dgp", "dwp"):
        for n_subspaces in (1, 4):
            model = fitted(variant, n_subspaces, data, y)
            found, seconds = median_time(lambda m=model: shapley_values(m, rows), repeats)
            logit = model.decision_function(rows)
            error = np.abs(found.base_values + found.values.sum(1) - logit).max()
            _, pairs = median_time(lambda m=model: shapley_interactions(m, few), 1)
            speeds = f"{n_rows / seconds:,.0f} | {error:.1e} | {len(few) / pairs:,.0f}"
            print(f"| {variant} | {n_subspaces} | {speeds} |", flush=True)


def peers_table(data, y, n_rows, permutations):
    """Print errors and speeds of estimates of the values of "pin", with one row as the baseline."""
    model = fitted("pin", 4, data, y)
    rows, baseline = data[:n_rows], data[-1:]
    exact, seconds = median_time(lambda: shapley_values(model, rows, background=baseline), 3)
    size = np.sqrt(np.mean(exact.values**2))
    print("\n| way | evaluations a row | RMS error / RMS value | rows/s |\n|---|---|---|---|")
    logit = model.decision_function(rows)
    error = np.abs(exact.base_values + exact.values.sum(1) - logit).max() / size
    print(
        f"| exact, {n_rows} rows at once | | {error:.0e} (of the sum) | {n_rows / seconds:,.0f} |"
    )

    def predict(indices):
        indices = EncodedData(indices.astype(np.int32), encoder=data.encoder)
        return model.decision_function(indices)

    explainer = shap.PermutationExplainer(predict, baseline.indices, seed=0)
    explainer(rows.indices[:1], silent=True)  # compiles
    for n in permutations:
        evaluations = n * (2 * N_FIELDS + 1)  # each permutation is followed by its reverse
        start = time.perf_counter()
        values = explainer(rows.indices, max_evals=evaluations, silent=True).values
        report("shap, permutation", evaluations, values, exact.values, size, start)
    for n in permutations:
        if n > 1:
            start = time.perf_counter()
            options = {"background": baseline, "n_permutations": 2 * n, "random_state": 0}
            values = sampled_shapley_values(model, rows, **options).values
            evaluations = 2 * n * (N_FIELDS + 1)
            report("sampled_shapley_values", evaluations, values, exact.values, size, start)


def report(name, n, values, exact, size, start):
    """Print a line of the second table."""
    speed = len(values) / (time.perf_counter() - start)
    error = np.sqrt(np.mean((values - exact) ** 2)) / size
    print(f"| {name} | {n:,} | {error:.1e} | {speed:,.1f} |", flush=True)


# %%
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=8_192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-rows", type=int, default=64)
    parser.add_argument("--permutations", type=int, nargs="+", default=[1, 4, 16, 64])
    args = parser.parse_args()
    X, y = wide(max(20_000, args.rows))
    encoder = FieldEncoder().fit(X, y)
    data = EncodedData(encoder.transform(X), encoder=encoder)
    print(f"{torch.get_num_threads()} threads, {args.rows:,} encoded rows, {N_FIELDS} fields\n")
    exact_table(data, y, args.rows, args.repeats)
    peers_table(data, y, args.peer_rows, args.permutations)


if __name__ == "__main__":
    main()
