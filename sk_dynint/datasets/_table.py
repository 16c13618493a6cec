"""Reading a table from a file, with the kinds of its columns told."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from sk_dynint._sources import MISSING_TEXTS, SEPARATORS

from ._lines import ShortLines, shorten, unpacked

SUFFIXES = (".parquet", *SEPARATORS)

PACKED_BY_PANDAS = {".zst", ".tar", ".tgz"}
"""Archives that only pandas opens."""


def read_table(
    path: str | PathLike[str],
    *,
    categorical_features: Collection[str] | Literal["all"] = (),
    numeric_features: Collection[str] = (),
    columns: Sequence[str] | None = None,
    separator: str | None = None,
) -> pd.DataFrame:
    r"""Read a table of clicks; what is called an identifier never passes through a number.

    A reader that guesses makes one number of "007", "07" and "7", rounds whole numbers beyond 2^53
    beside an empty cell, and takes Namibia's "NA" for a hole.

    Parameters
    ----------
    path : path
        A .parquet file, or a .csv or .tsv file, which may be compressed (.csv.gz, ...).  A line of
        a text file has at most a million bytes.
    categorical_features : collection of str or "all", default=()
        Columns of identifiers: of a text file they are read as they are written, and missing where
        they are empty; of a Parquet file they become categories.  "all" are those that
        `numeric_features` does not name.
    numeric_features : collection of str, default=()
        Columns that must hold numbers.
    columns : sequence of str, default=None
        Which columns to read, in this order; None means all.
    separator : str, default=None
        What separates the cells of a text file; None goes by the suffix.

    Returns
    -------
    DataFrame
        Whole numbers stay whole beside missing cells.

    Raises
    ------
    ValueError
        If the file has another suffix or cannot be read, a column that is named is not there, or a
        column called numeric holds something else.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sk_dynint.datasets import read_table
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "clicks.csv"
    ...     _ = path.write_text("user,hour\n007,3\n07,\nNA,5\n")
    ...     X = read_table(path, categorical_features=["user"])
    >>> X["user"].tolist(), X["hour"].tolist()
    (['007', '07', 'NA'], [3, <NA>, 5])
    """
    path = Path(path)
    suffix = _suffix(path)
    try:
        if suffix == ".parquet":
            return _read_parquet(path, categorical_features, numeric_features, columns)
        sep = separator or SEPARATORS[suffix]
        return _read_text(path, categorical_features, numeric_features, columns, sep)
    except FileNotFoundError:
        raise
    except Exception as error:  # readers raise anything for a file that is cut off or encrypted
        raise ValueError(f"{path}: {shorten(error, 1000)}") from error


def write_table(frame: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a table to a file, in the format that its suffix names.

    Parameters
    ----------
    frame : DataFrame
        The table; its index is not written.
    path : path
        A .parquet, .csv or .tsv file, which may be compressed (.csv.gz, ...).

    Raises
    ------
    ValueError
        If the file has another suffix.
    """
    suffix = _suffix(Path(path))
    if suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, sep=SEPARATORS[suffix], index=False)


def _suffix(path: Path) -> str:
    """Return the suffix that tells the format of a file."""
    for suffix in path.suffixes[-2:]:
        if suffix in SUFFIXES:
            return suffix
    raise ValueError(f"{path} must end with one of {', '.join(SUFFIXES)}.")


def _read_parquet(path: Path, categorical: Any, numeric: Any, columns: Any) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    chosen = _resolve(list(frame), categorical, numeric, columns)
    frame = frame[chosen.columns]
    numbers = [name for name in chosen.categorical if frame[name].dtype.kind in "biufM"]
    return _as_numbers(frame.astype(dict.fromkeys(numbers, "category")), chosen.numeric)


def _read_text(path: Path, categorical: Any, numeric: Any, columns: Any, sep: str) -> pd.DataFrame:
    options: dict[str, Any] = {"sep": sep, "encoding": "utf-8"}
    with _open_text(path) as file:
        header = list(pd.read_csv(file, nrows=0, **options))
    if len(header) == 1 and (found := [s for s in (";", "\t", ",", "|") if s in header[0]]):
        raise ValueError(
            f"its only column is {header[0]!r}; the separator is {sep!r}, should it be "
            f"{found[0]!r}?"
        )
    chosen = _resolve(header, categorical, numeric, columns)
    missing = {name: list(MISSING_TEXTS) for name in header}
    with warnings.catch_warnings(), _open_text(path) as file:
        # Of rows that are longer than the first line.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(
            file,
            index_col=False,
            dtype=dict.fromkeys(chosen.categorical, "str"),
            na_values=missing | {name: [""] for name in chosen.categorical},
            keep_default_na=False,
            low_memory=False,  # or a column may be numbers in one part and strings in the next
            dtype_backend="numpy_nullable",  # or whole numbers beside a hole are rounded
            **options,
        )
    return _as_numbers(frame[chosen.columns], chosen.numeric)


@contextmanager
def _open_text(path: Path) -> Iterator[Any]:
    """Open a text file, packed or not; a line without an end, a few bytes in a gz, is not read."""
    if path.suffix in PACKED_BY_PANDAS:
        yield path
    else:
        with ExitStack() as stack:
            yield ShortLines(unpacked(path, stack))


class _Chosen(NamedTuple):
    """Names of columns."""

    columns: list[str]
    categorical: list[str]
    numeric: list[str]


def _resolve(header: list[str], categorical: Any, numeric: Any, columns: Any) -> _Chosen:
    """Return which columns of a file to read, and what they are called."""
    columns, numeric = header if columns is None else list(columns), list(numeric)
    if categorical == "all":
        categorical = [name for name in columns if name not in numeric]
    for name in (*columns, *categorical, *numeric):
        if name not in header:
            raise ValueError(f"there is no column {name!r}; its columns are {header}")
    if both := sorted(set(categorical) & set(numeric)):
        raise ValueError(f"columns {both} are called categorical and numeric")
    return _Chosen(columns, list(categorical), numeric)


def _as_numbers(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the frame with columns of numbers; refuse what is none."""
    made = {}
    for name in names:
        column = frame[name]
        if column.dtype.kind in "iuf":
            continue
        made[name] = pd.to_numeric(column, errors="coerce")
        wrong = np.flatnonzero(made[name].isna() & column.notna())
        if len(wrong):
            raise ValueError(
                f"column {name!r} was called numeric, but holds {str(column.iloc[wrong[0]])[:50]!r}"
                f" in row {wrong[0] + 1} and {len(wrong):,} such cells in all"
            )
    return frame.assign(**made) if made else frame
