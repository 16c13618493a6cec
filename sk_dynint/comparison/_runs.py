"""Finished runs: a CSV file that stays usable after a crash, and files of predictions."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np
import pandas as pd

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


class RunsFile:
    """A CSV file of finished runs; without a path, a list of runs in memory.

    A run is a mapping from column names to values. It is appended as one line, under a lock of the
    file where the system has locks (not on Windows), so several processes may append to a file. A
    line that cannot be written as a whole is taken back. A crash can leave the last line unfinished
    at most; such a line is removed when the file is used again, and its run counts as not made.

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
        If the file has other columns, or a line that is no run; it is left as it is.
    OSError
        If the file is a folder, or there is no folder for it.

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
        if self.path is not None:
            if not self.path.parent.is_dir():
                raise FileNotFoundError(f"{path}: there is no folder {self.path.parent}.")
            if self.path.exists():
                with _open_locked(self.path, "rb") as file:
                    content = self._repair(self.path, file)
                for run in _parse(self.path, content, columns):
                    self._keep(run)

    def _repair(self, path: Path, file: IO[bytes]) -> bytes:
        """Remove an unfinished last line, and return the others; refuse another first line."""
        header = _line(self.columns)
        content = file.read()
        if not (content.startswith(header) or header.startswith(content)):
            raise ValueError(
                f"{path} is no file of runs: its first line is {content[:60]!r}, "
                f"not {header[:60]!r}...; choose another file."
            )
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(path, end)
        return content[:end]

    def _keep(self, run: Run) -> None:
        self.runs[tuple(run[name] for name in self.key)] = run

    def append(self, run: Run) -> None:
        """Add a run, and write it to the file at once.

        Parameters
        ----------
        run : dict
            A value for each of the columns.
        """
        if self.path is not None:
            line = _line(run[name] for name in self.columns)
            with _open_locked(self.path, "a+b") as file:
                file.seek(0)
                content = self._repair(self.path, file)
                _append(file, line if content else _line(self.columns) + line)
        self._keep(run)

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
        if self.path is not None:
            _check_writable(self.path if self.path.exists() else self.path.parent)
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


def make_predictions_folder(folder: str | os.PathLike[str]) -> None:
    """Make the folder for predictions; raise if it cannot be made or written to."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"predictions: {folder} is no folder and cannot become one, because a file is in the "
            "way; choose another folder."
        ) from error
    _check_writable(Path(folder))


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} may not be written to.")


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


def _parse(path: Path, content: bytes, columns: Mapping[str, type]) -> Iterator[Run]:
    """Yield the runs below the header; raise an error that names a line that is none."""
    number = 1
    try:
        reader = csv.reader(io.StringIO(content.decode(), newline=""))
        for cells in reader:
            if number > 1 and cells:
                yield _to_run(cells, columns)
            number = reader.line_num + 1
    except (ValueError, csv.Error) as error:
        if isinstance(error, UnicodeDecodeError):
            number = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}, line {number}: {error}. Remove the line, and its run is made again."
        ) from error


def _to_run(cells: list[str], columns: Mapping[str, type]) -> Run:
    """Convert the cells of a line."""
    if len(cells) != len(columns):
        raise ValueError(f"got {len(cells)} cells, allowed are {len(columns)}")
    run: Run = {}
    for cell, (name, kind) in zip(cells, columns.items(), strict=True):
        try:
            run[name] = kind(cell)
        except ValueError as error:
            raise ValueError(f"{name} is {cell[:40]!r}, allowed is {kind.__name__}") from error
    return run


@contextmanager
def _open_locked(path: Path, mode: str) -> Iterator[IO[bytes]]:
    """Open a file when no other process has it open in this way."""
    with path.open(mode) as file:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file  # closing the file unlocks it


def _append(file: IO[bytes], text: bytes) -> None:
    """Append all of the text or nothing, and wait until the file system has it."""
    size = os.fstat(file.fileno()).st_size
    try:
        while text:
            text = text[os.write(file.fileno(), text) :]
        os.fsync(file.fileno())
    except BaseException:  # a full disk, Ctrl-C
        os.ftruncate(file.fileno(), size)
        raise
