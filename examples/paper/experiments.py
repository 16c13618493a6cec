"""The paper's tables and figures as lists of runs, and the runner that makes what is missing.

A run is a model with one configuration on one data set and seed.  It is written to the CSV file as
soon as it is finished, and not made again by any script: tables and figures that need the same run
share it.  A process can be killed at any point.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from data_sets import DATASETS, load
from joblib import Parallel, delayed
from published import NAMES
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from spaces import (
    DGP_RANKS,
    DWP_RANKS,
    DYNAMIC,
    MIN_COUNT,
    PENALTIES,
    REDUCTION,
    SETTINGS,
    SUBSPACES,
    WITHOUT_DNN,
    Config,
    configurations,
    fixed,
)

from sk_dynint import FieldEncoder
from sk_dynint.comparison import make_model
from sk_dynint.comparison._runs import RunsFile, fingerprint
from sk_dynint.comparison._splits import Parts, split_at_random


# --------------------------------------------------------------------------- the experiments
class Cell(NamedTuple):
    """A figure of a table, or a point of a curve: a model, and configurations to choose from.

    With several, the first seed tries them all, and that of the best validation logloss goes on to
    the other seeds; the test part is not looked at.
    """

    panel: str
    group: str
    x: Any
    model: str
    configs: list[Config]


def table1(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """All models, tuned."""
    return [Cell("", NAMES[m], None, m, configurations(grid, m, n)) for m in NAMES]


def table2(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Interaction layers without a DNN, tuned; models that never have one are as in Table 1."""
    cells = []
    for model in (*WITHOUT_DNN, "pin", *DYNAMIC):
        configs = configurations(grid, model, n, deep=model not in WITHOUT_DNN)
        cells.append(Cell("", NAMES[model], None, model, configs))
    return cells


def table3(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Number of layers, one sub-space."""
    return _vary("", DYNAMIC, "n_layers", range(6), fixed(grid, data) | {"n_subspaces": 1})


def table4(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Number of sub-spaces, three layers."""
    dim = SETTINGS[grid]["embedding_dim"]
    subspaces = [h for h in SUBSPACES["n_subspaces"] if dim % h == 0]
    return _vary("", DYNAMIC, "n_subspaces", subspaces, fixed(grid, data) | {"n_layers": 3})


def figure4(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Singular values of the mixing matrices of the static model."""
    return [Cell("", NAMES["pin"], None, "pin", [fixed(grid, data)])]


def figure6(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Kernel size of DGP, rank of DWP."""
    base = fixed(grid, data)
    return [
        *_vary("kernel size", ["dgp"], "rank", DGP_RANKS, base),
        *_vary("latent rank", ["dwp"], "rank", DWP_RANKS, base),
    ]


def figure7(grid: str, data: str, n: int | None = None) -> list[Cell]:
    """Reduction ratio, orthogonal penalty."""
    base = fixed(grid, data)
    return [
        *_vary("reduction ratio", DYNAMIC, "reduction", REDUCTION["reduction"], base),
        *_vary("orthogonal penalty", ["dgp", "dwp"], "orthogonal_penalty", PENALTIES, base),
    ]


def _vary(
    panel: str, models: Iterable[str], name: str, values: Iterable[Any], base: Config
) -> list[Cell]:
    """One configuration for each value of a hyper-parameter; a default is the same as no value."""
    return [
        Cell(panel, NAMES[model], value, model, [canonical(base | {name: value})])
        for model in models
        for value in values
    ]


def canonical(config: Config) -> Config:
    """Leave out what is the default, so that experiments share runs."""
    defaults = {"orthogonal_penalty": 0.0, "reduction": 16}
    return {name: value for name, value in config.items() if defaults.get(name) != value}


EXPERIMENTS: dict[str, Callable[..., list[Cell]]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "figure4": figure4,
    "figure6": figure6,
    "figure7": figure7,
}
ON_CRITEO_ALONE = ("table2", "figure4", "figure6", "figure7")
"""What the paper shows of one data set."""


# --------------------------------------------------------------------------- finished runs
COLUMNS: dict[str, type] = {
    **{"data": str, "grid": str, "model": str, "config": str, "seed": int},
    **{"n_train": int, "n_valid": int, "n_test": int},
    **{"valid_auc": float, "valid_logloss": float, "auc": float, "logloss": float},
    **{"n_parameters": float, "n_steps": float, "seconds": float, "cpu_seconds": float},
    **{"history": str, "singular_values": str, "error": str, "fingerprint": str},
}
"""`history` is a JSON list of [step, validation logloss, validation AUC]; `singular_values` has
a list for each layer of the static model; `error` says why there are no scores."""

KEY = ("data", "grid", "model", "config", "seed")
"""What tells a run from others."""

Run = dict[str, Any]
Key = tuple[str, str, str, str, int]


class Store(RunsFile):
    """The CSV file of runs."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, COLUMNS, KEY)

    def check(self, data: str, grid: str, mark: str) -> None:
        """Refuse runs of other rows under the same name."""
        for run in self.runs.values():
            if (run["data"], run["grid"]) == (data, grid) and run["fingerprint"] != mark:
                raise ValueError(
                    f"{self.path} holds runs of {data!r} on other rows, or another encoding "
                    f"(fingerprint {run['fingerprint']}, not {mark}); choose another file."
                )


def text_of(grid: str, config: Config) -> str:
    """Return the whole configuration, settings of the grid included, as JSON."""
    return json.dumps(SETTINGS[grid] | config, sort_keys=True)


# --------------------------------------------------------------------------- making runs
class Encoded:
    """Stands in for the encoder: rows are index matrices already."""

    def __init__(self, cardinalities: np.ndarray) -> None:
        self.cardinalities_ = cardinalities

    def fit_transform(self, X: np.ndarray) -> np.ndarray:
        """Nothing to learn."""
        return X

    transform = fit_transform

    def __sklearn_clone__(self) -> Encoded:
        return self


class Table:
    """Rows of a data set; each seed splits and encodes them once, for all models."""

    def __init__(self, name: str, grid: str, X: pd.DataFrame, y: np.ndarray) -> None:
        self.name, self.grid, self.X, self.y = name, grid, X, y
        self.encoding = {"min_count": MIN_COUNT[grid]}
        if grid == "paper":
            self.encoding["binning"] = DATASETS[name].binning
        protocol = f"70/10/20 {json.dumps(self.encoding)}"
        self.fingerprint = fingerprint(X, y, protocol, None)
        self._seed: int | None = None

    def split(self, seed: int) -> Parts:
        """Return rows of the parts: random, or the last 20 % for the test."""
        if not DATASETS[self.name].test_is_last:
            return split_at_random(self.y, seed)
        n = round(0.8 * len(self.y))
        train, valid = train_test_split(
            np.arange(n), test_size=1 / 8, stratify=self.y[:n], random_state=seed
        )
        return Parts(np.sort(train), np.sort(valid), np.arange(n, len(self.y)))

    def encoded(self, seed: int) -> tuple[Encoded, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return encoder, index matrices and labels by part; the levels are the training part's."""
        if self._seed != seed:
            parts = self.split(seed)._asdict()
            encoder = FieldEncoder(**self.encoding)
            codes = {"train": encoder.fit_transform(self.X.iloc[parts["train"]])}
            for part in ("valid", "test"):
                codes[part] = encoder.transform(self.X.iloc[parts[part]])
            labels = {part: self.y[rows] for part, rows in parts.items()}
            self._encoded = Encoded(encoder.cardinalities_), codes, labels
            self._seed = seed
        return self._encoded


def make_estimator(model: str, config: Config, grid: str, n_steps_a_pass: int) -> Any:
    """Return the classifier of a configuration."""
    params = SETTINGS[grid] | config
    if "units" in params:
        params["hidden_units"] = (params.pop("units"),) * params.pop("hidden_layers")
    if "l2" in params:
        params["optimizer_params"] = {"l2": params.pop("l2")}
    if "lr" in params and model in ("pin", *DYNAMIC):  # one rate for both kinds of FTRL
        params["embedding_optimizer_params"] = {"lr": params["lr"]}
    if "eval_every" in params:  # or once in a pass, where passes are shorter
        params["eval_every"] = min(params["eval_every"], n_steps_a_pass)
    return make_model(model, params)


def make_run(model: str, config: Config, table: Table, seed: int) -> Run:
    """Train and score."""
    encoder, codes, y = table.encoded(seed)
    batch = SETTINGS[table.grid].get("batch_size", 1)
    classifier = make_estimator(model, config, table.grid, -(-len(y["train"]) // batch))
    classifier.set_params(encoder=encoder, random_state=seed)
    run: Run = {
        **{"data": table.name, "grid": table.grid, "model": model, "seed": seed},
        **{f"n_{part}": len(labels) for part, labels in y.items()},
        **dict.fromkeys(("valid_auc", "valid_logloss", "auc", "logloss", "n_parameters"), np.nan),
        **{"config": text_of(table.grid, config), "fingerprint": table.fingerprint},
        **{"n_steps": np.nan, "history": "[]", "singular_values": "[]", "error": ""},
    }
    clocks = time.perf_counter, time.process_time
    start = [clock() for clock in clocks]

    def elapsed() -> Run:
        times = (clock() - began for clock, began in zip(clocks, start, strict=True))
        return dict(zip(("seconds", "cpu_seconds"), times, strict=True))

    try:
        with warnings.catch_warnings():  # the paper's kernel sizes go beyond the width
            warnings.filterwarnings("ignore", message="rank=")
            classifier.fit(codes["train"], y["train"], X_val=codes["valid"], y_val=y["valid"])
    except ValueError as error:
        if "training loss became" not in str(error):
            raise
        return run | elapsed() | {"error": str(error)}
    run |= elapsed()
    for part, prefix in (("valid", "valid_"), ("test", "")):
        p = classifier.predict_proba(codes[part])[:, 1]
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


def singular_values(body: Any) -> list[list[float]]:
    """Return those of W of each layer, the greatest first, divided by it."""
    values = (torch.linalg.svdvals(layer.weight.detach().double()) for layer in body.layers)
    return [[round(float(s), 5) for s in each / each[0].clamp_min(1e-30)] for each in values]


class Progress:
    """Say what was done, and how long the rest will take by the runs so far."""

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
        """Take note of a run; `missing` counts those to come by data set and model."""
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


class Task(NamedTuple):
    """Experiments on a data set."""

    data: str
    path: str | None
    names: Sequence[str]


@lru_cache(1)
def table_of(name: str, path: str | None, rows: int | None, grid: str) -> Table:
    """Read a data set, once in a process."""
    return Table(name, grid, *load(name, path, rows))


def _make_run(
    source: tuple[str, str | None, int | None, str], seed: int, model: str, config: Config
) -> Run:
    return make_run(model, config, table_of(*source), seed)


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
    """Make the runs that the file lacks, in `jobs` processes; return all of it.

    The first of `seeds` tries all configurations, the others those that won.
    """
    store = Store(out)
    parts = (seeds[:1], None), (seeds[1:], store.runs)
    stages = [(task, *part) for task in tasks for part in parts]

    def to_do(
        task: Task, some_seeds: Sequence[int], tuned_by: Mapping[Key, Run] | None
    ) -> list[tuple[int, str, Config]]:
        pairs = plan(task, grid, n_configurations, tuned_by, models)
        return [
            (seed, model, config)
            for seed, (model, config) in product(some_seeds, pairs)
            if (task.data, grid, model, text_of(grid, config), seed) not in store.runs
        ]

    earlier = [run for run in store.runs.values() if run["grid"] == grid]
    progress = Progress(say, earlier, jobs)
    for i, stage in enumerate(stages):
        if not (items := to_do(*stage)):
            continue
        task, *_ = stage
        missing = Counter((s[0].data, model) for s in stages[i:] for _, model, _ in to_do(*s))
        source = task.data, task.path, rows, grid
        store.check(task.data, grid, table_of(*source).fingerprint)
        work = (delayed(_make_run)(source, *item) for item in items)
        for run in Parallel(jobs, return_as="generator_unordered")(work):
            store.append(run)
            missing[run["data"], run["model"]] -= 1
            progress.add(run, missing)
    return frame_of(store)


def plan(
    task: Task,
    grid: str,
    n: int | None = None,
    runs: Mapping[Key, Run] | None = None,
    models: Sequence[str] | None = None,
) -> list[tuple[str, Config]]:
    """Return models and configurations of experiments, each once.

    With `runs`, only the configurations that won; where that is open still, the first.  With
    `models`, only these.
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


def tuned(cell: Cell, data: str, grid: str, runs: Mapping[Key, Run]) -> Config | None:
    """Return the configuration of the least validation logloss with the first seed that tried all.

    None if no seed has, or if all of several diverged.
    """
    keys = [(data, grid, cell.model, text_of(grid, config)) for config in cell.configs]
    for seed in sorted({seed for *_, seed in runs}):
        if all((*key, seed) in runs for key in keys):
            if len(keys) == 1:
                return cell.configs[0]
            losses = [runs[(*key, seed)]["valid_logloss"] for key in keys]
            return None if np.isnan(losses).all() else cell.configs[int(np.nanargmin(losses))]
    return None


def frame_of(store: Store) -> pd.DataFrame:
    """Return runs as a table."""
    return pd.DataFrame(list(store.runs.values()), columns=list(COLUMNS))


# --------------------------------------------------------------------------- what they say
def chosen(
    runs: pd.DataFrame, name: str, data: str, grid: str, n_configurations: int | None = None
) -> pd.DataFrame:
    """Return the runs that count for an experiment: one for each cell and seed.

    A cell without a configuration that was :func:`tuned` does not count yet.
    """
    by_key = {tuple(run[name] for name in KEY): run for run in runs.to_dict("records")}
    seeds = sorted(set(runs["seed"]))
    cells = EXPERIMENTS[name](grid, data, n_configurations)
    groups = {cell.panel: len({c.group for c in cells if c.panel == cell.panel}) for cell in cells}
    lines = []
    for cell in cells:
        if (best := tuned(cell, data, grid, by_key)) is None:
            continue
        about = {"panel": cell.panel, "group": cell.group, "x": cell.x}
        about |= {"n_groups": groups[cell.panel]}
        of_seeds = (by_key.get((data, grid, cell.model, text_of(grid, best), s)) for s in seeds)
        lines += [about | run for run in of_seeds if run and not np.isnan(run["valid_logloss"])]
    columns = dict.fromkeys(["panel", "group", "x", "n_groups", *COLUMNS])
    return pd.DataFrame(lines, columns=list(columns))


def made(
    runs: pd.DataFrame, n_configurations: int | None = None
) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Yield name, data set, grid and runs of each experiment of which half has been made.

    Less than that are runs made for another one.
    """
    for (data, grid), mine in runs.groupby(["data", "grid"]):
        for name, cells_of in EXPERIMENTS.items():
            counting = chosen(mine, name, data, grid, n_configurations)
            n_cells = len(cells_of(grid, data, n_configurations))
            if 2 * len(counting) >= n_cells * mine["seed"].nunique():
                yield name, data, grid, counting


def averaged(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the variants of each seed, as the paper does; seeds that lack one are left out."""
    points = runs.groupby(["panel", "x", "seed"], sort=False)
    means = points[["auc", "logloss", "n_groups"]].mean().assign(n=points.size()).reset_index()
    return means[means["n"] == means["n_groups"]].assign(group="mean")


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and number of seeds of each cell, in the order of cells."""
    cells = runs.groupby(["panel", "group", "x"], sort=False, dropna=False)
    scores = {}
    for score in ("auc", "logloss"):
        scores |= {score: cells[score].mean(), f"{score}_sd": cells[score].std()}
    return pd.DataFrame({"n_seeds": cells.size()} | scores).reset_index()
