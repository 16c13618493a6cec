"""Classifiers over tables that are read in parts: where encoded rows lie, and predictions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sk_dynint._files import replacing
from sk_dynint._sources import Source, as_source, folder_for, is_lazy
from sk_dynint.preprocessing import FieldEncoder, encoded_parts, unfrozen

PROBABILITY = "probability"
"""Name of the column of probabilities that is written."""


class LazyMixin:
    """What a classifier does with tables that are larger than memory."""

    cache: Any
    encoder_: Any
    classes_: NDArray[Any]

    def predict_to(self, X: Any, path: str | os.PathLike[str], *, keep: Sequence[str] = ()) -> None:
        """Write the probabilities of the rows of a table to a Parquet file, some rows at a time.

        Parameters
        ----------
        X : path, polars.LazyFrame or pyarrow.dataset.Dataset
            A table with the columns of `fit`, and any others.
        path : path
            The file, which appears as a whole or not at all.
        keep : sequence of str, default=()
            Columns of the table to be written beside the probabilities, such as an identifier.

        Raises
        ------
        ValueError
            If a column is not there.

        Notes
        -----
        The column "probability" is that of the second of two classes; of more than two each has a
        column, "probability_a" and so on. Rows stay in their order.

        Examples
        --------
        >>> import os, tempfile
        >>> import polars as pl
        >>> from sk_dynint import DynIntClassifier
        >>> table = pl.LazyFrame({"row": range(200), "ad": ["a", "b"] * 100, "click": [0, 1] * 100})
        >>> model = DynIntClassifier(random_state=0).fit(table.select("ad", "click"), "click")
        >>> path = os.path.join(tempfile.mkdtemp(), "clicks.parquet")
        >>> model.predict_to(table, path, keep=["row"])
        >>> pl.read_parquet(path).filter(pl.col("probability") > 0.5)["row"].to_list()[:3]
        [1, 3, 5]
        """
        check_is_fitted(self)
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = as_source(X)
        with replacing(path) as name:
            writer = None
            for table, logits in self._predicted_parts(source, keep):
                proba = self._loss.predict_proba(logits)  # type: ignore[attr-defined]
                columns = probability_columns(self.classes_, proba)
                found = pa.table({k: table.column(k) for k in keep} | columns)
                writer = writer or pq.ParquetWriter(name, found.schema)
                writer.write_table(found)
            if writer is None:
                raise ValueError("the table has no rows")
            writer.close()

    @contextmanager
    def _opened(self, *tables: Any) -> Iterator[list[Any]]:
        """Context with tables of which those that are read in parts have a folder to be kept in."""
        lazy = any(map(is_lazy, tables))
        with folder_for(self.cache) if lazy else nullcontext() as folder:
            yield [as_source(X).in_folder(folder) if is_lazy(X) else X for X in tables]

    def _predicted_parts(
        self, source: Source, keep: Sequence[str] = ()
    ) -> Iterator[tuple[Any, NDArray[np.float64]]]:
        """Yield some rows at a time, as a table of the columns to keep, and their logits."""
        encoder = unfrozen(self.encoder_)
        if not isinstance(encoder, FieldEncoder):
            raise TypeError(
                f"a table that is read in parts is encoded by a FieldEncoder, not by {encoder!r}"
            )
        for table, indices in encoded_parts(encoder, source, keep):
            yield table, self._logits(indices)  # type: ignore[attr-defined]


def probability_columns(
    classes: NDArray[Any], proba: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return a column for the second of two classes, or one for each of more than two."""
    if len(classes) == 2:
        return {PROBABILITY: proba[:, 1]}
    names = (f"{PROBABILITY}_{label}" for label in classes)
    return dict(zip(names, proba.T, strict=True))
