"""Makes the runs that experiments need and the file lacks.

A run is written to the file as soon as it is finished, so the process can be killed at any point.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from data_sets import DATASETS, load
from experiments import EXPERIMENTS
from joblib import Parallel, delayed
from results import Key, PaperRuns, Run, text_of, tuned
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from spaces import DYNAMIC, MIN_COUNT, SETTINGS, Config

from sk_dynint import EncodedData, FieldEncoder
from sk_dynint.comparison import Parts, fingerprint, make_model, split_at_random


# --------------------------------------------------------------------------- the rows
class Rows:
    """Rows of a data set with their labels; each seed splits and encodes them once."""

    def __init__(self, name: str, grid: str, X: pd.DataFrame, y: np.ndarray) -> None:
        self.name, self.grid, self.X, self.y = name, grid, X, y
        self.encoding = {"min_count": MIN_COUNT[grid]}
        if grid == "paper":
            self.encoding["binning"] = DATASETS[name].binning
        self.fingerprint = fingerprint(X, y, f"70/10/20 {json.dumps(self.encoding)}")
        self._seed: int | None = None

    def split(self, seed: int) -> Parts:
        """Return the rows of each part; the test part is random, or the last 20 %."""
        if not DATASETS[self.name].test_is_last:
            return split_at_random(self.y, seed)
        n = round(0.8 * len(self.y))
        train, valid = train_test_split(
            np.arange(n), test_size=1 / 8, stratify=self.y[:n], random_state=seed
        )
        return Parts(np.sort(train), np.sort(valid), np.arange(n, len(self.y)))

    def encoded(self, seed: int) -> tuple[dict[str, EncodedData], dict[str, np.ndarray]]:
        """Return encoded data and labels by part; the encoder is fitted on the training part.

        Those of the last seed are kept, because all models of a seed are trained on them.
        """
        if self._seed != seed:
            parts = self.split(seed)._asdict()
            X = {part: self.X.iloc[rows] for part, rows in parts.items()}
            encoder = FieldEncoder(**self.encoding)
            indices = {"train": encoder.fit_transform(X["train"])}
            indices |= {part: encoder.transform(X[part]) for part in ("valid", "test")}
            data = {part: EncodedData(rows, encoder=encoder) for part, rows in indices.items()}
            self._encoded = data, {part: self.y[rows] for part, rows in parts.items()}
            self._seed = seed
        return self._encoded


@lru_cache(1)
def rows_of(name: str, path: str | None, n_rows: int | None, grid: str) -> Rows:
    """Read a data set, once in a process."""
    return Rows(name, grid, *load(name, path, n_rows))


# --------------------------------------------------------------------------- one run
def make_estimator(model: str, config: Config, grid: str, steps_per_epoch: int) -> Any:
    """Return the classifier of a configuration."""
    params = SETTINGS[grid] | config
    if "units" in params:
        params["hidden_units"] = (params.pop("units"),) * params.pop("hidden_layers")
    if "l2" in params:
        params["optimizer_params"] = {"l2": params.pop("l2")}
    table = {}
    if "lr" in params and model in ("pin", *DYNAMIC):  # one rate for both kinds of FTRL
        table["lr"] = params["lr"]
    if "table_l2" in params:
        table["l2"] = params.pop("table_l2")
    if table:
        params["embedding_optimizer_params"] = table
    if "eval_every" in params:  # at least once in an epoch, also where epochs are short
        params["eval_every"] = min(params["eval_every"], steps_per_epoch)
    return make_model(model, params)


def make_run(model: str, config: Config, rows: Rows, seed: int) -> Run:
    """Train and score a model; if the training diverged, the run has an error instead of scores."""
    data, y = rows.encoded(seed)
    batch_size = SETTINGS[rows.grid].get("batch_size", 1)
    classifier = make_estimator(model, config, rows.grid, -(-len(y["train"]) // batch_size))
    classifier.set_params(random_state=seed)
    run: Run = {
        **{"data": rows.name, "grid": rows.grid, "model": model, "seed": seed},
        **{f"n_{part}": len(labels) for part, labels in y.items()},
        **{"config": text_of(rows.grid, config), "fingerprint": rows.fingerprint},
        **dict.fromkeys(("valid_auc", "valid_logloss", "auc", "logloss"), np.nan),
        **{"n_parameters": np.nan, "n_steps": np.nan, "history": "[]", "singular_values": "[]"},
        **train(classifier, data, y),
    }
    if run["error"]:
        return run
    for part, prefix in (("valid", "valid_"), ("test", "")):
        p = classifier.predict_proba(data[part])[:, 1]
        run[f"{prefix}auc"] = float(roc_auc_score(y[part], p))
        run[f"{prefix}logloss"] = float(log_loss(y[part], p))
    module = classifier.net_.module_
    run["n_parameters"] = float(sum(weights.numel() for weights in module.parameters()))
    run["n_steps"] = float(classifier.n_iter_)
    columns = classifier.history_[["step", "valid_loss", "valid_auc"]]
    run["history"] = json.dumps([[int(s), round(a, 6), round(b, 6)] for s, a, b in columns.values])
    if model == "pin":
        run["singular_values"] = json.dumps(singular_values(module.body))
    return run


def train(classifier: Any, data: Mapping[str, EncodedData], y: Mapping[str, np.ndarray]) -> Run:
    """Fit a classifier; return the seconds that it took, and an error if the training diverged."""
    wall, cpu, error = time.perf_counter(), time.process_time(), ""
    try:
        with warnings.catch_warnings():  # the paper's kernel sizes are greater than the width
            warnings.filterwarnings("ignore", message="rank=")
            classifier.fit(data["train"], y["train"], X_val=data["valid"], y_val=y["valid"])
    except ValueError as raised:
        error = str(raised)
        if "training loss became" not in error:
            raise
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"seconds": wall, "cpu_seconds": cpu, "error": error}


def singular_values(body: Any) -> list[list[float]]:
    """Return the singular values of each layer's W in descending order, divided by the first."""
    values = (torch.linalg.svdvals(layer.weight.detach().double()) for layer in body.layers)
    return [[round(float(s), 5) for s in each / each[0].clamp_min(1e-30)] for each in values]


# --------------------------------------------------------------------------- all runs
class Task(NamedTuple):
    """Names of experiments, and the data set to make them on."""

    data: str
    path: str | None
    names: Sequence[str]


class Progress:
    """Reports each run, and estimates the remaining time from the runs so far."""

    def __init__(
        self, say: Callable[[str], None], earlier: Iterable[Run] = (), jobs: int = 1
    ) -> None:
        self.say, self.jobs = say, jobs
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.done = 0
        for run in earlier:
            self._keep(run)

    def _keep(self, run: Run) -> None:
        self.seconds.setdefault((run["data"], run["model"]), []).append(run["seconds"])

    def add(self, run: Run, missing: Counter[tuple[str, str]]) -> None:
        """Report a run; `missing` counts those to come by data set and model."""
        self.done += 1
        self._keep(run)
        every = [s for seconds in self.seconds.values() for s in seconds]
        left = sum(n * np.mean(self.seconds.get(kind, every)) for kind, n in missing.items())
        hours, minutes = divmod(round(left / self.jobs / 60), 60)
        n = self.done + missing.total()
        self.say(
            f"{self.done}/{n} {run['data']} {run['model']} seed {run['seed']}: "
            f"{run['seconds']:.1f} s, AUC {run['auc']:.4f}; about {hours} h {minutes:02} min left"
        )


def run_tasks(
    tasks: Sequence[Task],
    out: str | os.PathLike[str],
    *,
    seeds: Sequence[int],
    grid: str = "quick",
    rows: int | None = None,
    n_configurations: int | None = None,
    models: Sequence[str] | None = None,
    jobs: int = 1,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Make the runs that the file lacks, in `jobs` processes; return all runs of the file.

    The first of `seeds` tries all configurations, the others those that won. A file that holds
    runs of a task's data set on other rows is refused, even if no run is missing.
    """
    file = PaperRuns(out)
    parts = (seeds[:1], None), (seeds[1:], file.runs)
    stages = [(task, *part) for task in tasks for part in parts]

    def to_do(
        task: Task, some_seeds: Sequence[int], tuned_by: Mapping[Key, Run] | None
    ) -> list[tuple[int, str, Config]]:
        pairs = plan(task, grid, n_configurations, tuned_by, models)
        return [
            (seed, model, config)
            for seed, (model, config) in product(some_seeds, pairs)
            if (task.data, grid, model, text_of(grid, config), seed) not in file.runs
        ]

    earlier = [run for run in file.runs.values() if run["grid"] == grid]
    progress = Progress(say, earlier, jobs)
    for i, stage in enumerate(stages):
        task, *_ = stage
        source = task.data, task.path, rows, grid
        items = to_do(*stage)
        if items or file.holds(task.data, grid):  # also if no run is missing: its rows may differ
            file.check(task.data, grid, rows_of(*source).fingerprint)
        missing = Counter((s[0].data, model) for s in stages[i:] for _, model, _ in to_do(*s))
        work = (delayed(_make_run)(source, *item) for item in items)
        for run in Parallel(jobs, return_as="generator_unordered")(work):
            file.append(run)
            missing[run["data"], run["model"]] -= 1
            progress.add(run, missing)
    return file.to_frame()


def _make_run(
    source: tuple[str, str | None, int | None, str], seed: int, model: str, config: Config
) -> Run:
    """Make a run in a process of its own, which reads the data set if it has not yet."""
    return make_run(model, config, rows_of(*source), seed)


def plan(
    task: Task,
    grid: str,
    n: int | None = None,
    runs: Mapping[Key, Run] | None = None,
    models: Sequence[str] | None = None,
) -> list[tuple[str, Config]]:
    """Return models and configurations of experiments, each once.

    With `runs`, a cell has only the configuration that won; as long as that is open, the first.
    With `models`, other models are left out.
    """
    pairs: list[tuple[str, Config]] = []
    for name in task.names:
        for cell in EXPERIMENTS[name](grid, task.data, n):
            if models is not None and cell.model not in models:
                continue
            configs = cell.configs
            if runs is not None:
                configs = [tuned(cell, task.data, grid, runs) or configs[0]]
            pairs += [(cell.model, c) for c in configs if (cell.model, c) not in pairs]
    return pairs
