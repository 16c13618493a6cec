r"""Make tables and figures of the paper on data of your own, and print them beside the paper's.

    python examples/paper/run.py table1 --data criteo --path train.txt --grid paper
    python examples/paper/run.py table3 figure7 --data flights --rows 100000
    python examples/paper/run.py all --data criteo=criteo.parquet synthetic frappe=frappe.parquet \
        --rows 100000 --seeds 5 --jobs 2 --figures figures

What the paper shows on one data set only (Table 2, Figures 4, 6 and 7) is made on the first data
set alone. Finished runs are kept in the CSV file: after an interruption, the same command goes on
where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd
from data_sets import DATASETS, NEED_NO_PATH
from experiments import EXPERIMENTS, ON_CRITEO_ALONE
from figures import draw_all
from published import NAMES, NEWER
from report import to_markdown
from runner import Task, run_tasks
from spaces import SETTINGS

Source = tuple[str, str | None]
"""Name of a data set, and path of its file."""


def parse_data(text: str) -> Source:
    """Return name and path of ``name`` or ``name=path``."""
    name, _, path = text.partition("=")
    if name not in DATASETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(DATASETS)}")
    return name, path or None


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    described = "\n".join(f"  {name:9} {make.__doc__}" for name, make in EXPERIMENTS.items())
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=f"experiments:\n{described}\n  {'all':9} All of them.",
    )
    add = parser.add_argument
    names = [*EXPERIMENTS, "all"]
    add("names", nargs="+", choices=names, metavar="experiment", help="one or more; see below")
    synthetic: list[Source] = [("synthetic", None)]
    known = f"data sets, among {', '.join(DATASETS)}; default: synthetic"
    add("--data", nargs="+", type=parse_data, default=synthetic, metavar="NAME[=PATH]", help=known)
    add("--path", help=f"file of the only data set; {', '.join(NEED_NO_PATH)} need none")
    add("--rows", type=int, help="how many rows; default: all (synthetic: 100,000)")
    add("--seeds", type=int, default=5, help="how many splits and initial weights; default: 5")
    add("--first-seed", type=int, default=0, help="default: 0")
    add("--grid", choices=list(SETTINGS), default="quick", help="default: quick")
    add("--configurations", type=int, help="tried of each model, the same number for all")
    add("--models", nargs="+", choices=[*NAMES, *NEWER], metavar="MODEL", help="only these")
    add("--jobs", type=int, default=1, help="processes, which share the cores; default: 1")
    add("--out", default="paper_runs.csv", help="CSV file of the runs; default: paper_runs.csv")
    add("--figures", metavar="FOLDER", help="draw what the CSV file holds, as PNG files there")
    return parser


def tasks_of(names: Sequence[str], sources: Sequence[Source]) -> list[Task]:
    """Return all experiments for the first data set, and those of several ones for the others."""
    wanted = tuple(EXPERIMENTS) if "all" in names else tuple(dict.fromkeys(names))
    of_all = tuple(name for name in wanted if name not in ON_CRITEO_ALONE)
    first, *others = sources
    return [Task(*first, wanted), *(Task(*source, of_all) for source in others)]


def make_runs(tasks: Sequence[Task], args: argparse.Namespace) -> pd.DataFrame:
    """Make the runs that the file lacks, by the options of the command."""
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


def main(argv: Sequence[str] | None = None) -> None:
    """Make the runs, print the tables, draw the figures."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.path is not None:
        if len(args.data) > 1 or args.data[0][1] is not None:
            parser.error("--path is the file of a single data set; for several: --data NAME=PATH")
        args.data = [(args.data[0][0], args.path)]
    tasks = tasks_of(args.names, args.data)
    runs = make_runs(tasks, args)
    for task in tasks:
        for name in task.names:
            print(to_markdown(name, runs, task.data, args.grid, args.configurations), end="\n\n")
    if args.figures:
        for path in draw_all(runs[runs["grid"] == args.grid], args.figures, args.configurations):
            print(path)


if __name__ == "__main__":
    main()
