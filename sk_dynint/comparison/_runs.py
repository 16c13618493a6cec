"""Finished runs: a CSV file that survives being cut off, and the predictions beside it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS: dict[str, type] = {
    **{"model": str, "seed": int},
    **{"n_train": int, "n_valid": int, "n_test": int},
    **{"auc": float, "logloss": float, "rig": float},
    **{"n_parameters_embedding": float, "n_parameters_other": float},
    **{"fit_seconds": float, "train_rows_per_second": float, "predict_rows_per_second": float},
    **{"estimator": str, "fingerprint": str},
}
"""The columns of a table of runs and what they hold."""

Run = dict[str, Any]


def fingerprint(X: pd.DataFrame, y: NDArray[np.int64], protocol: str, time: Any) -> str:
    """Return sixteen digits that change with the data and the protocol."""
    digest = hashlib.blake2b(f"{protocol} {X.shape} {list(X.columns)}".encode(), digest_size=8)
    digest.update(pd.util.hash_pandas_object(X, index=False).to_numpy().tobytes())
    digest.update(np.asarray(y, dtype=np.int64).tobytes())
    if time is not None:
        digest.update(pd.util.hash_array(pd.factorize(np.asarray(time), sort=True)[0]).tobytes())
    return digest.hexdigest()


def frame_of(runs: list[Run]) -> pd.DataFrame:
    """Return runs as a table."""
    frame = pd.DataFrame(runs, columns=list(COLUMNS))
    return frame.astype({name: "str" if kind is str else kind for name, kind in COLUMNS.items()})


class RunsFile:
    """A CSV file of runs; without a path, a list in memory.

    A run is appended as one line in one write. What a crash left half written at the end of the
    file is cut off, so that this run counts as not made.

    Parameters
    ----------
    path : path, default=None
        Of the file, which need not be there yet.
    columns : mapping
        Their names and what they hold.
    key : sequence of str
        Columns that tell a run from others.
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
        if self.path is not None and self.path.exists():
            self._repair(self.path)
            with self.path.open(newline="", encoding="utf-8") as file:
                for line in csv.DictReader(file):
                    self._keep({name: kind(line[name]) for name, kind in columns.items()})

    def _repair(self, path: Path) -> None:
        """Cut off a line that was not finished; refuse files that are not ours."""
        header = _line(self.columns)
        content = path.read_bytes()
        if not (content.startswith(header) or header.startswith(content)):
            raise ValueError(
                f"{path} is no table of runs: its first line is {content[:60]!r}, "
                f"not {header[:60]!r}...; choose another file."
            )
        if not content.endswith(b"\n"):
            os.truncate(path, content.rfind(b"\n") + 1)

    def _keep(self, run: Run) -> None:
        self.runs[self.key_of(run)] = run

    def key_of(self, run: Run) -> tuple[Any, ...]:
        """Return what tells a run from others."""
        return tuple(run[name] for name in self.key)

    def append(self, run: Run) -> None:
        """Write a run down."""
        self._keep(run)
        if self.path is not None:
            line = _line(run[name] for name in self.columns)
            new = not self.path.exists() or not self.path.stat().st_size
            _append(self.path, (_line(self.columns) if new else b"") + line)


class ComparedRuns(RunsFile):
    """Runs of :func:`compare` on one table, by model and seed."""

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
        """Refuse runs of that name with other parameters."""
        for run in self.runs.values():
            if run["model"] == model and run["estimator"] != estimator:
                raise ValueError(
                    f"{self.path} holds runs of {model!r} as {run['estimator']}, not as "
                    f"{estimator}; give the model another name, or choose another file."
                )


def predictions_path(folder: str | os.PathLike[str], model: str, seed: int) -> Path:
    """Return where the predictions of a run are kept."""
    return Path(folder) / f"{quote(model, safe=' ')}-{seed}.npz"


def save_predictions(path: Path, fingerprint: str, target: Any, proba: Any) -> None:
    """Write labels and probabilities of the test rows; all of the file, or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, fingerprint=fingerprint, target=target, proba=proba)
    partial.replace(path)


def load_predictions(path: Path, fingerprint: str) -> tuple[Any, Any]:
    """Return labels and probabilities of the test rows."""
    with np.load(path) as file:
        if str(file["fingerprint"]) != fingerprint:
            raise ValueError(
                f"{path} holds predictions of other data or another split (fingerprint "
                f"{file['fingerprint']}, the runs have {fingerprint})."
            )
        return file["target"], file["proba"]


def _line(cells: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _append(path: Path, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
