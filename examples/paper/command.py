"""The command line of the scripts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from data_sets import DATASETS, NEED_NO_PATH
from experiments import EXPERIMENTS, Task, run_tasks
from published import NAMES
from report import to_markdown
from spaces import SETTINGS


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options of every script that makes runs."""
    add = parser.add_argument
    add("--rows", type=int, help="how many rows; default: all (synthetic: 100,000)")
    add("--seeds", type=int, default=5, help="how many splits and initial weights")
    add("--first-seed", type=int, default=0)
    add("--grid", choices=list(SETTINGS), default="quick")
    add("--configurations", type=int, help="tried of each model, the same number for all")
    add("--models", nargs="+", choices=list(NAMES), help="only these")
    add("--jobs", type=int, default=1, help="processes, which share the cores")
    add("--out", default="paper_runs.csv", help="CSV file; finished runs are not made again")


def make_runs(tasks: Sequence[Task], args: argparse.Namespace):
    """Make what the file lacks."""
    return run_tasks(
        tasks,
        args.out,
        seeds=range(args.first_seed, args.first_seed + args.seeds),
        grid=args.grid,
        rows=args.rows,
        n_configurations=args.configurations,
        models=args.models,
        jobs=args.jobs,
        say=lambda text: print(text, flush=True),
    )


def main(name: str, argv: Sequence[str] | None = None) -> None:
    """Run an experiment on a data set and print it beside the paper's."""
    parser = argparse.ArgumentParser(description=EXPERIMENTS[name].__doc__)
    parser.add_argument("--data", choices=list(DATASETS), required=True)
    parser.add_argument("--path", help=f"the file; {', '.join(NEED_NO_PATH)} need none")
    add_common_options(parser)
    args = parser.parse_args(argv)
    runs = make_runs([Task(args.data, args.path, (name,))], args)
    print(to_markdown(name, runs, args.data, args.grid, args.configurations))
