"""Avazu's click-through-rate contest (Kaggle, 2014): its files as they were published."""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._logs import CATEGORY, HOUR, LABEL, Layout, read_log, to_result

FIELDS = [
    *["C1", "banner_pos", "site_id", "site_domain", "site_category"],
    *["app_id", "app_domain", "app_category"],
    *["device_id", "device_ip", "device_model", "device_type", "device_conn_type"],
    *[f"C{i}" for i in range(14, 22)],
]
LAYOUT = Layout(
    separator=",",
    label="click",
    kinds={"click": LABEL, "hour": HOUR, **dict.fromkeys(FIELDS, CATEGORY)},
)


def read_avazu(
    path: str | PathLike[str],
    *,
    time_features: bool = False,
    n_rows: int | None = None,
    fraction: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    on_broken: Literal["raise", "warn"] = "raise",
    return_X_y: bool = False,
) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    r"""Read ``train.csv`` or ``test.csv`` of Avazu's click-through-rate contest.

    A line holds, between commas and below a header, an id, the label (not in the test file), the
    hour as YYMMDDHH and 21 categories, some of them coded as integers. 40,428,967 lines of ten
    days in the order of time, 17.0 % of them clicks. The file is not shipped; the contest's terms
    hold.

    Parameters
    ----------
    path : str or path-like
        The file: plain, packed (gz, bz2, xz), or alone in a zip archive.
    time_features : bool, default=False
        Whether to add `hour`, "00" to "23", and `weekday`, "0" Monday to "6" Sunday, to the 21
        features of the paper.
    n_rows : int, default=None
        How many rows to read; the first ones, of the sample if there is one. None means all.
    fraction : float, default=None
        Read a random sample: each line is kept with this probability. The others are neither parsed
        nor checked, so that a sample takes little time and memory. None keeps all.
    random_state : int, RandomState instance or None, default=None
        Which sample. An int gives the same one in every call.
    on_broken : {"raise", "warn"}, default="raise"
        What to do with a line that has another number of fields, a label other than 0 and 1, an
        hour that is none, or more than a million bytes: raise an error that names it, or skip all
        such lines with one warning that counts them and names the first.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.

    Returns
    -------
    avazu : Bunch
        data : DataFrame of shape (n_rows, 21) or (n_rows, 23)
            C1, banner_pos, three of the site, three of the application, five of the device, C14 to
            C21, in the order of the file; all categories. An empty field is NaN.
        target : Series of shape (n_rows,) or None
            `click`: 1 if the advertisement was clicked, else 0. None for the test file.
        frame : DataFrame
            data and target.
        time : Series of shape (n_rows,)
            The hour as a date, for a split in time.
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
        If the header lacks a column; if a line is broken (with ``on_broken="raise"``); if no row is
        left; if `return_X_y` is asked of a file without labels.
    OSError
        If the file cannot be read: damaged, cut off, encrypted, or not there.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sk_dynint.datasets import read_avazu
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "train.csv")
    >>> names = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,"
    >>> names += "app_category,device_id,device_ip,device_model,device_type,device_conn_type,"
    >>> names += ",".join(f"C{i}" for i in range(14, 22))
    >>> line = "1000009418151094273,0,14102100,1005,0," + ",".join(["1fbe01fe"] * 9) + ",1,2"
    >>> _ = path.write_text(f"{names}\n{line},15706,320,50,1722,0,35,-1,79\n")
    >>> avazu = read_avazu(path, time_features=True)
    >>> avazu.data[["C1", "site_id", "C20", "hour", "weekday"]]
         C1   site_id C20 hour weekday
    0  1005  1fbe01fe  -1   00       1
    >>> avazu.time[0]
    Timestamp('2014-10-21 00:00:00')
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
    time = pd.Series(columns.pop("hour"), name="time")
    if time_features:
        columns["hour"] = _category(time.dt.hour, [f"{hour:02}" for hour in range(24)])
        columns["weekday"] = _category(time.dt.day_of_week, [str(day) for day in range(7)])
    more = {"time": time, "n_broken": n_broken, "filename": str(path)}
    return to_result(columns, "click", return_X_y, **more)


def _category(codes: Any, levels: list[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, pd.Index(levels, dtype="str"))
