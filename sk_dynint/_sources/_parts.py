"""Parts of a table: a file, a row group of one, or the rows of a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

BATCH_ROWS = 2**16
"""Rows that are read at once, at most."""

Table = Any
"""pyarrow.Table."""


class Part(Protocol):
    """Some rows of a table, in an order that is the same each time they are read."""

    name: str

    def count(self) -> int:
        """Return the number of rows."""

    def read(self, columns: Sequence[str], start: int) -> Iterator[Table]:
        """Yield the rows from a position on, some at a time."""


class FilePart:
    """A file of a data set, or a row group of one.

    Parameters
    ----------
    fragment : pyarrow.dataset.Fragment
        The rows.
    schema : pyarrow.Schema
        Names and types of the columns of the whole data set.
    n_rows : int, default=None
        How many rows, if that is known.
    row_group : int, default=None
        Which row group of its file it is.
    """

    def __init__(
        self, fragment: Any, schema: Any, n_rows: int | None = None, row_group: int | None = None
    ) -> None:
        self.fragment = fragment
        self.schema = schema
        self.n_rows = n_rows
        group = "" if row_group is None else f", row group {row_group}"
        self.name = f"{fragment.path}{group}"

    def count(self) -> int:
        """Return the number of rows; of a text file they have to be read."""
        if self.n_rows is None:
            with naming(self.name):
                self.n_rows = self.fragment.count_rows()
        return self.n_rows

    def read(self, columns: Sequence[str], start: int) -> Iterator[Table]:
        """Yield the rows from a position on, some at a time."""
        import pyarrow as pa

        with naming(self.name):
            batches = self.fragment.to_batches(
                schema=self.schema,
                columns=list(columns),
                batch_size=BATCH_ROWS,
                batch_readahead=1,  # more than these two would fill the memory
                fragment_readahead=1,
            )
            for batch in batches:
                skipped = min(start, len(batch))
                start -= skipped
                if skipped < len(batch):
                    yield pa.Table.from_batches([batch.slice(skipped)])


class FramePart:
    """The rows of a polars LazyFrame.

    Parameters
    ----------
    frame : polars.LazyFrame
        The plan, which has to give the rows in one and the same order each time.
    """

    name = "the LazyFrame"

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.n_rows: int | None = None

    def count(self) -> int:
        """Return the number of rows, for which the plan is run once."""
        import polars as pl

        if self.n_rows is None:
            with naming(self.name):
                self.n_rows = int(self.frame.select(pl.len()).collect(engine="streaming").item())
        return self.n_rows

    def read(self, columns: Sequence[str], start: int) -> Iterator[Table]:
        """Yield the rows from a position on, some at a time."""
        with naming(self.name):
            frame = self.frame.select(list(columns)).slice(start)
            for batch in frame.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                yield batch.to_arrow()


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Context whose errors say where the rows come from."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OSError(f"{name} cannot be read: {error}") from error
    except Exception as error:  # readers raise anything for a file that is cut off
        raise ValueError(f"{name} cannot be read: {error}") from error
