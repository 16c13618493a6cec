"""How often each value of each column occurs, counted part by part and kept in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._parts import Table
from ._source import Source, as_frame
from ._store import Store

CHUNK_ROWS = 2**20
"""Rows whose counts are kept in one file."""


def count_values(
    source: Source,
    weight: NDArray[np.float64] | None,
    store: Store,
    check: Callable[[str, Table], None],
) -> None:
    """Count the values of all columns that have not been counted yet.

    Parameters
    ----------
    source : Source
        The rows.
    weight : ndarray of shape (n_rows,) or None
        How often each row counts.
    store : Store
        Keeps the counts: a file for about `CHUNK_ROWS` rows, which holds for column j the lists
        "v{j}" of its values, null among them, and "n{j}" of their counts.
    check : callable
        Is shown each table, with the name of its part, and may refuse it.
    """
    end = store.n_counted()
    sums: list[Any] = []
    n_rows = 0
    for name, table in source.tables(end):
        check(name, table)
        frame = plain_frame(table)
        rows = slice(end + n_rows, end + n_rows + len(frame))
        n_rows += len(frame)
        found = _counts(frame, None if weight is None else weight[rows])
        sums = _added(sums, found) if sums else found
        if n_rows >= CHUNK_ROWS or rows.stop == len(source):
            end += n_rows
            store.keep_counts(_in_one_row(sums), end)
            sums, n_rows = [], 0
    release_memory()


def plain_frame(table: Table) -> Any:
    """Return a table as a polars frame in which categories are the values that they stand for."""
    import polars as pl
    import pyarrow as pa

    for j, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(j, field.name, table.column(j).cast(field.type.value_type))
    frame = as_frame(table)
    named = [name for name, t in frame.schema.items() if t in (pl.Categorical, pl.Enum)]
    return frame.with_columns(pl.col(name).cast(pl.String) for name in named)


def _counts(frame: Any, weight: NDArray[np.float64] | None) -> list[Any]:
    """Return for each column a frame of its values and their counts."""
    import polars as pl

    columns = [pl.DataFrame({"v": column}).lazy() for column in frame.get_columns()]
    if weight is None:
        counted = [each.group_by("v").agg(pl.len().cast(pl.Int64).alias("n")) for each in columns]
    else:
        weights = pl.Series("w", weight)
        counted = [
            each.with_columns(weights).group_by("v").agg(pl.col("w").sum().alias("n"))
            for each in columns
        ]
    return pl.collect_all(counted)


def _added(sums: Sequence[Any], found: Sequence[Any]) -> list[Any]:
    """Return the sums of two frames of counts for each column."""
    import polars as pl

    pairs = (pl.concat(pair, how="vertical_relaxed") for pair in zip(sums, found, strict=True))
    return pl.collect_all([p.lazy().group_by("v").agg(pl.col("n").sum()) for p in pairs])


def _in_one_row(sums: Sequence[Any]) -> Any:
    """Return counts as lists in one row."""
    import polars as pl

    lists: dict[str, Any] = {}
    for j, each in enumerate(sums):
        lists |= {f"v{j}": each["v"].implode(), f"n{j}": each["n"].implode()}
    return pl.DataFrame(lists)


def release_memory() -> None:
    """Give back what Arrow keeps of the memory that it had."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def merged_values(
    files: Sequence[Path],
    j: int,
    *,
    read: Callable[[Any], Any] | None = None,
    share: float = 1.0,
) -> Any:
    """Return the values of a column of all files and their counts, a polars frame "v" and "n".

    Parameters
    ----------
    files : list of Path
        Files of counts, see :func:`count_values`.
    j : int
        Position of the column.
    read : callable, default=None
        What to make of the values of a file, such as numbers of texts.
    share : float, default=1.0
        With less than 1, of each row it is drawn whether it counts, with this probability.
    """
    import polars as pl

    parts = []
    for number, file in enumerate(files):
        part = _entries(file, j)
        if read is not None:
            part = part.with_columns(read(part["v"]).alias("v"))
        if share < 1:
            part = part.sort("v")  # the order of groups is another one each time
            draws = np.random.default_rng([number, j]).binomial(part["n"].to_numpy(), share)
            part = part.with_columns(pl.Series("n", draws)).filter(pl.col("n") > 0)
        parts.append(part)
        if len(parts) > 8:  # many files with the same values
            parts = [_sum(parts)]
    return _sum(parts)


def n_entries(files: Sequence[Path], j: int) -> int:
    """Return how many values of a column are in all files, those in several of them repeatedly."""
    import polars as pl

    return sum(
        pl.scan_parquet(file).select(pl.col(f"n{j}").list.len()).collect().item() for file in files
    )


def values_by_file(files: Sequence[Path], j: int) -> Iterator[Any]:
    """Yield the values of a column, file by file."""
    for file in files:
        yield _entries(file, j)["v"]


def _entries(file: Path, j: int) -> Any:
    """Return the values of a column in a file, and their counts."""
    import polars as pl

    row = pl.scan_parquet(file).select(pl.col(f"v{j}").alias("v"), pl.col(f"n{j}").alias("n"))
    return row.explode("v", "n").collect()


def _sum(parts: Sequence[Any]) -> Any:
    import polars as pl

    whole = pl.concat(parts, how="vertical_relaxed")
    return whole.group_by("v").agg(pl.col("n").sum())
