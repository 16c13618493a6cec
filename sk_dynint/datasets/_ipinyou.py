"""The iPinYou bidding logs (2013), as make-ipinyou-data lays them out."""

from __future__ import annotations

from os import PathLike
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._logs import CATEGORY, LABEL, NUMBER, Layout, read_log, to_result

FIELDS = [
    *["weekday", "hour", "IP", "region", "city", "adexchange", "domain", "slotid", "slotwidth"],
    *["slotheight", "slotvisibility", "slotformat", "creative", "advertiser", "useragent"],
]
LAYOUT = Layout(
    separator="\t",
    label="click",
    kinds={"click": LABEL, **dict.fromkeys(FIELDS, CATEGORY), "slotprice": NUMBER},
    missing=("", "null"),
)


def read_ipinyou(
    path: str | PathLike[str],
    *,
    n_rows: int | None = None,
    fraction: float | None = None,
    random_state: int | np.random.RandomState | None = None,
    on_broken: Literal["raise", "warn"] = "raise",
    return_X_y: bool = False,
) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    r"""Read ``train.log.txt`` or ``test.log.txt`` of the iPinYou bidding logs.

    The contest published impressions and clicks in many files; make-ipinyou-data
    (https://github.com/wnzhang/make-ipinyou-data), which most papers use, joins them to one line
    an impression: the label, weekday and hour, then the 24 columns of the log, between tabs and
    below a header. The test file has two columns more, the numbers of clicks and conversions. The
    files are not shipped; the contest's terms hold.

    Parameters
    ----------
    path : str or path-like
        The file, of all campaigns or of one: plain, packed (gz, bz2, xz), or alone in a zip
        archive.
    n_rows : int, default=None
        How many rows to read; the first ones, of the sample if there is one. None means all.
    fraction : float, default=None
        Read a random sample: each line is kept with this probability. The others are neither parsed
        nor checked, so that a sample takes little time and memory. None keeps all.
    random_state : int, RandomState instance or None, default=None
        Which sample. An int gives the same one in every call.
    on_broken : {"raise", "warn"}, default="raise"
        What to do with a line that has not as many fields as the header, a label other than 0 and
        1, text for `slotprice`, or more than a million bytes: raise an error that names it, or skip
        all such lines with one warning that counts them and names the first.
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.

    Returns
    -------
    ipinyou : Bunch
        data : DataFrame of shape (n_rows, 16)
            The features of the paper: weekday ("0" Sunday to "6" Saturday), hour, IP, region, city,
            adexchange, domain, slotid, slotwidth, slotheight, slotvisibility, slotformat,
            creative, advertiser and useragent, which are categories, and slotprice, the least
            price of the slot, float64. Empty fields and "null" are NaN. User tags are left out,
            as in the paper, and what is known only after the auction.
        target : Series of shape (n_rows,) or None
            `click`: 1 if the advertisement was clicked, else 0; None without such a column.
        frame : DataFrame of shape (n_rows, 17)
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
        If the header lacks a column; if a line is broken (with ``on_broken="raise"``); if no row is
        left; if `return_X_y` is asked of a file without labels.
    OSError
        If the file cannot be read: damaged, cut off, encrypted, or not there.

    Notes
    -----
    Benchmarks on these logs often replace `slotprice` by five ranges: 0, 1 to 10, 11 to 50, 51 to
    100, above. Here it is a number, which :class:`sk_dynint.FieldEncoder` puts in bins.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sk_dynint.datasets import read_ipinyou
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "train.log.txt")
    >>> row = {
    ...     "click": "0", "weekday": "4", "hour": "00", "bidid": "a1", "timestamp": "2013060600",
    ...     "useragent": "windows_ie", "IP": "119.163.222.*", "region": "146", "city": "147",
    ...     "adexchange": "2", "domain": "e80f4ec7", "slotid": "null", "slotwidth": "950",
    ...     "slotheight": "90", "slotvisibility": "FirstView", "slotformat": "Na",
    ...     "slotprice": "5", "creative": "a499", "advertiser": "2997", "usertag": "10006,10110",
    ... }
    >>> _ = path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")
    >>> X, y = read_ipinyou(path, return_X_y=True)
    >>> X[["hour", "region", "slotid", "slotprice"]]
      hour region slotid  slotprice
    0   00    146    NaN        5.0
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
    return to_result(columns, "click", return_X_y, n_broken=n_broken, filename=str(path))
