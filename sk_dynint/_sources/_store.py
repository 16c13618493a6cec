"""A folder that keeps what is made of a table, so that it goes on after an interruption."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_dynint._files import replacing

from ._source import Source

FORMAT = 1
"""Of what is in the folder; other ones are made anew."""


@contextmanager
def folder_for(cache: str | os.PathLike[str] | None) -> Iterator[str]:
    """Context with a folder to keep things in: a lasting one, or a temporary one.

    Raises
    ------
    NotADirectoryError
        If there is a file of that name.
    """
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="sk_dynint-") as folder:
            yield folder
        return
    if os.path.exists(cache) and not os.path.isdir(cache):
        raise NotADirectoryError(f"cache={os.fspath(cache)!r} is a file; name a folder")
    os.makedirs(cache, exist_ok=True)
    yield os.fspath(cache)


class Store:
    """What is kept of some rows of a table: counts of its values, and the encoded rows.

    Parameters
    ----------
    source : Source
        The rows; `source.folder` says where.
    *described
        What else the contents depend on: arrays, strings, numbers.
    """

    def __init__(self, source: Source, *described: Any) -> None:
        sha = hashlib.blake2b(digest_size=16)
        known = [FORMAT, source.fingerprint, source.columns, len(source)]
        for each in (json.dumps(known), source.mask, *described):
            if isinstance(each, np.ndarray):
                sha.update(np.ascontiguousarray(each).data)
            else:
                sha.update(repr(each).encode())
        assert source.folder is not None
        self.path = Path(source.folder) / f"rows-{sha.hexdigest()}"
        self.path.mkdir(exist_ok=True)

    def check_space(self, n_bytes: int, what: str) -> None:
        """Raise OSError if so many bytes have no room on the disk."""
        free = shutil.disk_usage(self.path).free
        if n_bytes > free:
            raise OSError(
                f"{what} takes {n_bytes / 1e9:.1f} GB, but {self.path.parent} has {free / 1e9:.1f} "
                "GB left; name a folder on another disk (cache=...)"
            )

    def counts(self) -> list[Path]:
        """Return the files of counts, in the order of the rows."""
        return sorted(self.path.glob("counts-*.parquet"))

    def n_counted(self) -> int:
        """Return how many rows have been counted."""
        files = self.counts()
        return int(files[-1].stem.split("-")[1]) if files else 0

    def keep_counts(self, frame: Any, end: int) -> None:
        """Keep the counts of the rows up to one."""
        with replacing(self.path / f"counts-{end:012d}.parquet") as name:
            frame.write_parquet(name)

    @property
    def _progress(self) -> Path:
        return self.path / "encoded.json"

    def n_encoded(self) -> int:
        """Return how many rows have been encoded."""
        try:
            return int(json.loads(self._progress.read_text(encoding="utf-8"))["rows"])
        except (OSError, ValueError, KeyError):
            return 0

    def keep_encoded(self, indices: NDArray[np.int32], start: int) -> None:
        """Keep encoded rows, the first of which is the `start`-th."""
        mode = "r+b" if self._matrix.exists() else "w+b"
        with open(self._matrix, mode) as file:
            file.seek(start * indices.shape[1] * indices.itemsize)
            file.write(np.ascontiguousarray(indices).data)
            file.flush()
            os.fsync(file.fileno())
        with replacing(self._progress) as name:
            Path(name).write_text(json.dumps({"rows": start + len(indices)}), encoding="utf-8")

    @property
    def _matrix(self) -> Path:
        return self.path / "encoded.int32"

    def encoded(self, n_rows: int, n_columns: int) -> NDArray[np.int32]:
        """Return all encoded rows, which stay on the disk."""
        if not n_rows:
            return np.empty((0, n_columns), dtype=np.int32)
        return np.memmap(self._matrix, np.int32, "r+", shape=(n_rows, n_columns))
