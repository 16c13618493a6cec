"""Criteo's display advertising challenge (Kaggle, 2014): its files as they were published."""

from __future__ import annotations

from os import PathLike
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._logs import CATEGORY, LABEL, NUMBER, Layout, read_log, to_result

COUNTS = [f"I{i}" for i in range(1, 14)]
CATEGORIES = [f"C{i}" for i in range(1, 27)]
LAYOUT = Layout(
    separator="\t",
    label="label",
    kinds={
        "label": LABEL,
        **dict.fromkeys(COUNTS, NUMBER),
        **dict.fromkeys(CATEGORIES, CATEGORY),
    },
    columns=("label", *COUNTS, *CATEGORIES),
)


def read_criteo(
    path: str | PathLike[str],
    *,
    n_rows: int | None = None,
    fraction: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    on_broken: Literal["raise", "warn"] = "raise",
    return_X_y: bool = False,
) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    r"""Read ``train.txt`` or ``test.txt`` of Criteo's display advertising challenge.

    A line of the training file holds, between tabs and without header, the label, 13 counts and 26
    categories (hashed to eight hexadecimal digits); an empty field is a missing value. A line of
    the test file lacks the label; the first line tells which of the two it is. 45,840,617 lines
    in the order of time, 25.6 % of them clicks. The file is not shipped; Criteo's terms hold.

    Parameters
    ----------
    path : str or path-like
        The file: plain, packed (gz, bz2, xz), or alone in a zip archive.
    n_rows : int, default=None
        How many rows to read; the first ones, of the sample if there is one. None means all.
    fraction : float, default=None
        Read a random sample: each line is kept with this probability. The others are neither parsed
        nor checked, so that a sample takes little time and memory. None keeps all.
    random_state : int, RandomState instance or None, default=None
        Which sample. An int gives the same one in every call.
    on_broken : {"raise", "warn"}, default="raise"
        What to do with a line that has another number of fields, a label other than 0 and 1, text
        where a number should be, or more than a million bytes: raise an error that names it, or
        skip all such lines with one warning that counts them and names the first.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.

    Returns
    -------
    criteo : Bunch
        data : DataFrame of shape (n_rows, 39)
            I1 to I13, float64; C1 to C26, category. Missing values are NaN.
        target : Series of shape (n_rows,) or None
            `label`: 1 if the advertisement was clicked, else 0. None for the test file.
        frame : DataFrame of shape (n_rows, 40)
            data and target.
        feature_names : list of str
            Names of the columns of data.
        n_broken : int
            Lines that were skipped.
        filename : str
            The file.
    (data, target) : tuple of DataFrame and Series
        If `return_X_y=True`.

    Raises
    ------
    ValueError
        If a line is broken (with ``on_broken="raise"``); if no row is left; if `return_X_y` is
        asked of a file without labels.
    OSError
        If the file cannot be read: damaged, cut off, encrypted, or not there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sk_dynint.datasets import read_criteo
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "train.txt")
    >>> counts, categories = "\t".join(["5"] * 13), "\t".join(["68fd1e64"] * 25)
    >>> _ = path.write_text(f"1\t{counts}\t{categories}\t\n0\t{counts}\t{categories}\t05db9164\n")
    >>> X, y = read_criteo(path, return_X_y=True)
    >>> X[["I1", "C1", "C26"]]
        I1        C1       C26
    0  5.0  68fd1e64       NaN
    1  5.0  68fd1e64  05db9164
    >>> y.tolist()
    [1, 0]
    >>> folder.cleanup()
    """
    columns, n_broken = read_log(
        path,
        LAYOUT,
        n_rows=n_rows,
        fraction=fraction,
        random_state=random_state,
        on_broken=on_broken,
        return_X_y=return_X_y,
    )
    return to_result(columns, "label", return_X_y, n_broken=n_broken, filename=str(path))
