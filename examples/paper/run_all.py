"""All tables and figures: everything on the first data set, Tables 1, 3 and 4 on the others.

    python examples/paper/run_all.py --data criteo=train.txt synthetic frappe=frappe.parquet \\
        --rows 100000 --seeds 5 --grid quick --out paper_runs.csv

Kill it and start it again with the same options: it goes on where it stopped.
"""

import argparse
from pathlib import Path

from command import add_common_options, make_runs
from data_sets import DATASETS
from experiments import EXPERIMENTS, ON_CRITEO_ALONE, Task
from figures import draw_all
from report import to_markdown


def parse_data(text: str) -> tuple[str, str | None]:
    """Return name and path of ``name`` or ``name=path``."""
    name, _, path = text.partition("=")
    if name not in DATASETS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(DATASETS)}")
    return name, path or None


def main(argv=None):
    """Make the runs, print the tables, draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", type=parse_data, default=[("synthetic", None)])
    parser.add_argument("--experiments", nargs="+", choices=list(EXPERIMENTS))
    parser.add_argument("--figures", help="folder for the pictures; default: beside the CSV file")
    add_common_options(parser)
    args = parser.parse_args(argv)
    wanted = args.experiments or list(EXPERIMENTS)
    of_all = [name for name in wanted if name not in ON_CRITEO_ALONE]
    tasks = [Task(*data, tuple(wanted if i == 0 else of_all)) for i, data in enumerate(args.data)]
    runs = make_runs(tasks, args)
    for task in tasks:
        for name in task.names:
            print(to_markdown(name, runs, task.data, args.grid, args.configurations), end="\n\n")
    folder = args.figures or Path(args.out).parent
    for path in draw_all(runs[runs["grid"] == args.grid], folder, args.configurations):
        print(path)


if __name__ == "__main__":
    main()
