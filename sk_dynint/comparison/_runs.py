"""Finished runs: a CSV file that stays usable after a crash, and files of predictions."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from sk_dynint.preprocessing import column_kinds

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

COLUMNS: dict[str, type] = {
    **{"model": str, "seed": int},
    **{"n_train": int, "n_valid": int, "n_test": int},
    **{"auc": float, "logloss": float, "rig": float},
    **{"n_parameters_embedding": float, "n_parameters_other": float},
    **{"fit_seconds": float, "train_rows_per_second": float, "predict_rows_per_second": float},
    **{"estimator": str, "fingerprint": str},
}
"""Columns of the runs of :func:`compare`, and the types of their values."""

Run = dict[str, Any]

_PLAIN = (("numbers", True), ("strings", False))
"""Kinds of columns of which the values say what they are."""


def fingerprint(X: pd.DataFrame, y: ArrayLike, protocol: str = "", time: Any = None) -> str:
    """Return sixteen hexadecimal digits that change with the data and with the protocol.

    Written beside every run, they tell runs on other rows from runs on these.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        Columns; their names, kinds and order count, the index does not.
    y : array-like of shape (n_samples,)
        Labels 0 and 1.
    protocol : str, default=""
        What else must be the same, for example the shares of a split.
    time : array-like of shape (n_samples,), default=None
        When each row happened; only the order counts.

    Returns
    -------
    fingerprint : str

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint.comparison import fingerprint
    >>> X = pd.DataFrame({"site": ["a", "b"]})
    >>> len(fingerprint(X, [0, 1]))
    16
    >>> fingerprint(X, [0, 1]) == fingerprint(X[::-1], [0, 1])
    False
    """
    digest = hashlib.blake2b(f"{protocol} {X.shape} {list(X.columns)}".encode(), digest_size=8)
    digest.update(pd.util.hash_pandas_object(X, index=False).to_numpy().tobytes())
    if special := [
        (name, kind)
        for name, kind in zip(X.columns, column_kinds(X), strict=True)
        if kind not in _PLAIN
    ]:
        digest.update(repr(special).encode())  # equal values may be numbers here, and levels there
    digest.update(np.asarray(y, dtype=np.int64).tobytes())
    if time is not None:
        digest.update(pd.util.hash_array(pd.factorize(np.asarray(time), sort=True)[0]).tobytes())
    return digest.hexdigest()


class RunsFile:
    """A CSV file of finished runs; without a path, a list of runs in memory.

    A run is a mapping from column names to values. It is appended as one line in one write, so a
    crash can leave the last line unfinished at most. Such a line is removed when the file is opened
    again, and its run counts as not made.

    Parameters
    ----------
    path : path or None
        The file; it is created with the first run.
    columns : mapping of str to type
        Names of the columns, and the types of their values.
    key : sequence of str
        The columns that identify a run.

    Attributes
    ----------
    runs : dict
        Key of a run, a tuple -> the run.

    Raises
    ------
    ValueError
        If the file has other columns; it is left as it is.

    Examples
    --------
    >>> from sk_dynint.comparison import RunsFile
    >>> file = RunsFile(None, {"model": str, "seed": int, "auc": float}, ["model", "seed"])
    >>> file.append({"model": "pin", "seed": 0, "auc": 0.75})
    >>> ("pin", 0) in file.runs, ("pin", 1) in file.runs
    (True, False)
    >>> file.to_frame()
      model  seed   auc
    0   pin     0  0.75
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        columns: Mapping[str, type],
        key: Sequence[str],
    ) -> None:
        self.path = None if path is None else Path(path)
        self.columns, self.key = columns, key
        self.runs: dict[tuple[Any, ...], Run] = {}
        if self.path is None:
            return
        if not self.path.parent.is_dir():
            raise ValueError(f"{self.path}: there is no folder {self.path.parent}")
        if self.path.exists():
            for number, line in enumerate(self._read_lines(self.path), start=2):
                self._keep(self._parsed(line, number))

    def _read_lines(self, path: Path) -> list[list[str]]:
        """Return the cells of all runs; remove an unfinished last line."""
        with _locked(path) as descriptor:
            content = self._checked(path, path.read_bytes())
            os.truncate(descriptor, len(content))
        return list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]

    def _parsed(self, cells: list[str], number: int) -> Run:
        """Return the values of a line."""
        try:
            pairs = zip(self.columns.items(), cells, strict=True)
            return {name: kind(cell) for (name, kind), cell in pairs}
        except ValueError as error:
            raise ValueError(
                f"{self.path}, line {number}: {','.join(cells)[:80]!r} is no run ({error}); remove "
                "it, or choose another file"
            ) from error

    def _checked(self, path: Path, content: bytes) -> bytes:
        """Return whole lines; refuse a file with another first line."""
        header = _line(self.columns)
        if not (content.startswith(header) or header.startswith(content)):
            raise ValueError(
                f"{path} is no file of runs: its first line is {content[:60]!r}, "
                f"not {header[:60]!r}...; choose another file."
            )
        return content[: content.rfind(b"\n") + 1]

    def _keep(self, run: Run) -> None:
        self.runs[tuple(run[name] for name in self.key)] = run

    def append(self, run: Run) -> None:
        """Add a run, and write it to the file at once.

        Parameters
        ----------
        run : dict
            A value for each of the columns.
        """
        self._keep(run)
        if self.path is not None:
            _append(self.path, _line(run[name] for name in self.columns), _line(self.columns))

    def to_frame(self, keys: Iterable[tuple[Any, ...]] | None = None) -> pd.DataFrame:
        """Return runs as a frame.

        Parameters
        ----------
        keys : iterable of tuple, default=None
            Which runs, in this order; None means all, in the order of the file.

        Returns
        -------
        frame : DataFrame
            A line for each run.
        """
        runs = self.runs.values() if keys is None else [self.runs[key] for key in keys]
        frame = pd.DataFrame(list(runs), columns=list(self.columns))
        kinds = {name: "str" if kind is str else kind for name, kind in self.columns.items()}
        return frame.astype(kinds)


class ComparedRuns(RunsFile):
    """Runs of :func:`compare` on one frame, by model and seed."""

    def __init__(self, path: str | os.PathLike[str] | None, fingerprint: str) -> None:
        super().__init__(path, COLUMNS, ("model", "seed"))
        self.fingerprint = fingerprint
        for run in self.runs.values():
            if run["fingerprint"] != fingerprint:
                raise ValueError(
                    f"{path} holds runs on other data or another split (fingerprint "
                    f"{run['fingerprint']}, not {fingerprint}); choose another file."
                )

    def check(self, model: str, estimator: str) -> None:
        """Raise if the file has runs of a model of this name with other parameters."""
        for run in self.runs.values():
            if run["model"] == model and run["estimator"] != estimator:
                raise ValueError(
                    f"{self.path} holds runs of {model!r} as {run['estimator']}, not as "
                    f"{estimator}; give the model another name, or choose another file."
                )


def predictions_path(folder: str | os.PathLike[str], model: str, seed: int) -> Path:
    """Return the file for the predictions of a run."""
    return Path(folder) / f"{quote(model, safe=' ')}-{seed}.npz"


def save_predictions(path: Path, fingerprint: str, target: Any, proba: Any) -> None:
    """Write labels and probabilities of the test rows.

    The file gets its name when it is complete, so a crash leaves no half of it behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, fingerprint=fingerprint, target=target, proba=proba)
    partial.replace(path)


def load_predictions(path: Path, fingerprint: str) -> tuple[Any, Any]:
    """Return labels and probabilities of the test rows; raise if they are of other data."""
    with np.load(path) as file:
        if str(file["fingerprint"]) != fingerprint:
            raise ValueError(
                f"{path} holds predictions of other data or another split (fingerprint "
                f"{file['fingerprint']}, the runs have {fingerprint})."
            )
        return file["target"], file["proba"]


def _line(cells: Any) -> bytes:
    """Return cells as a line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _append(path: Path, line: bytes, header: bytes) -> None:
    """Append a line, and the header to an empty file, and wait until the file system has them.

    Raises
    ------
    OSError
        If they could not be written whole; the file is then as it was.
    """
    with _locked(path) as descriptor:
        size = os.fstat(descriptor).st_size
        text = line if size else header + line
        try:
            written = os.write(descriptor, text)
            if written < len(text):
                raise OSError(f"{path}: {written} of {len(text)} bytes could be written")
            os.fsync(descriptor)
        except OSError:
            os.truncate(descriptor, size)
            raise


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open a file to append; no other process that opens it so does anything meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)  # gives the lock back
