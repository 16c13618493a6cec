"""The file from which an interrupted run goes on."""

from __future__ import annotations

import copy
import hashlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sk_dynint._archive import kind_of, read, write
from sk_dynint._packing import ArchiveError
from sk_dynint._warnings import warn
from sk_dynint.training._data import EncodedData, MemberData

State = dict[str, Any]

BLOCK_ROWS = 2**16
"""Rows whose checksums are taken at once."""

UNFINISHED, FINISHED = "checkpoint", "finished checkpoint"
"""Kinds of the archive: of a run that would go on, and of one that is over."""


class Checkpoint:
    """Keeps the state of a run in one file, from which the same run goes on to the same bits.

    The file is replaced as a whole at the end of every evaluation period.  SIGINT and SIGTERM,
    where training has the main thread, write it after the present step, and then have their usual
    effect; a second one has it at once.

    Parameters
    ----------
    path : path
        The file.
    parameters : dict of str
        Name -> description of each parameter that makes a difference.
    random_state : RandomState
        What the run draws from.
    resume : bool
        Whether to go on from the file, if it is there.

    Attributes
    ----------
    random_state : RandomState
        What the run is to draw from: that of the run in the file, as it was at its start.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If no file can be written there.
    FileExistsError
        If there is the checkpoint of a run that is not over, and `resume` is False.
    ValueError
        If the file is no checkpoint, or that of a run with other parameters.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        parameters: Mapping[str, str],
        random_state: np.random.RandomState,
        *,
        resume: bool,
    ) -> None:
        self.path = Path(path)
        self.parameters = dict(parameters)
        self.random_state = random_state
        self.signal: int | None = None
        self._found: State | None = None
        self._rows: dict[str, str] = {}
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"checkpoint={os.fspath(path)!r}: there is no such folder")
        if self.path.is_dir():
            raise IsADirectoryError(f"checkpoint={os.fspath(path)!r} is a folder; name a file")
        if self.path.exists():
            self._open(resume)
        self._start = self.random_state.get_state(legacy=False)

    def _open(self, resume: bool) -> None:
        """Look at the file that is there, and read it if the run is to go on."""
        kind = kind_of(self.path)
        if kind not in (UNFINISHED, FINISHED):
            raise ArchiveError(f"{self.path} holds a {kind}, and would be lost; name another file")
        if not resume:
            if kind == UNFINISHED:
                raise FileExistsError(
                    f"{self.path} is the checkpoint of a run that is not over: fit(..., "
                    "resume=True) goes on from it; delete it to begin anew"
                )
            return
        self._found = read(self.path).content
        self._compare("parameters", self.parameters, self._found["parameters"])
        self.random_state = copy.deepcopy(self.random_state)
        self.random_state.set_state(self._found["random_state"])

    def state_for(
        self,
        data: EncodedData | MemberData,
        valid: EncodedData | MemberData | None,
        names: Sequence[Any],
    ) -> State | None:
        """Return the state to go on from, None to begin with; refuse other rows.

        Parameters
        ----------
        data, valid : EncodedData or MemberData
            What the run learns from and is evaluated by.
        names : sequence
            Names of the fields.

        Raises
        ------
        ValueError
            If the run in the file had other rows.
        """
        self._rows = described(data, names)
        if valid is not None:
            of_valid = described(valid, names)
            self._rows |= {f"validation {name}": value for name, value in of_valid.items()}
        if self._found is None:
            return None
        self._compare("rows", self._rows, self._found["rows"])
        found, self._found = self._found, None
        return to_tensors(found["state"])

    def keep(self, state: State, *, finished: bool) -> None:
        """Write the state of the run; a disk that is full ends no training."""
        content = {
            "parameters": self.parameters,
            "rows": self._rows,
            "random_state": self._start,
            "state": to_arrays(state),
        }
        try:
            write(self.path, FINISHED if finished else UNFINISHED, content)
        except OSError as error:
            warn(f"the checkpoint could not be written, and training goes on without: {error}")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Context in which signals are noted, for :meth:`keep` to be called after the step."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {}
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self.signal == signal.SIGTERM:
                signal.raise_signal(signal.SIGTERM)

    def _note(self, number: int, frame: Any) -> None:
        """Remember the first signal; give in to the second."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def _compare(self, what: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
        """Refuse to go on if anything differs, and say what."""
        differing = [
            f"{name}: {theirs.get(name, 'none')}, now {ours.get(name, 'none')}"
            for name in dict.fromkeys([*ours, *theirs])
            if ours.get(name) != theirs.get(name)
        ]
        if differing:
            raise ValueError(
                f"{self.path} is the checkpoint of a run with other {what} ({'; '.join(differing)})"
                "; give the same ones, or fit without resume=True into another file"
            )


def described(data: EncodedData | MemberData, names: Sequence[Any]) -> dict[str, str]:
    """Return checksums of what is learnt from, column by column, to tell what differs."""
    rows = data.data if isinstance(data, MemberData) else data
    n_fields = len(names)  # further columns hold further elements of lists
    found = {
        "number of rows": str(len(rows)),
        **{f"column {name}": d for name, d in zip(names, _digests(rows.indices), strict=False)},
        "lists": _digest(rows.indices[:, n_fields:]),
        "labels": _digest(rows.targets()),
        "weights": _digest(rows.weights()),
    }
    if isinstance(data, MemberData):
        found["rows of members"] = _digest(*data.rows, *(own.values for own in data.own or ()))
    return found


def _digests(matrix: NDArray[Any]) -> list[str]:
    """Return a short checksum of each column, of a matrix that may be on the disk."""
    columns = [hashlib.blake2b(digest_size=6) for _ in range(matrix.shape[1])]
    for start in range(0, len(matrix), BLOCK_ROWS):
        block = np.ascontiguousarray(matrix[start : start + BLOCK_ROWS].T)
        for sha, cells in zip(columns, block, strict=True):
            sha.update(cells.data)
    return [sha.hexdigest() for sha in columns]


def _digest(*arrays: NDArray[Any]) -> str:
    """Return a short checksum of arrays."""
    sha = hashlib.blake2b(digest_size=6)
    for array in arrays:
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def to_arrays(state: Any) -> Any:
    """Return the same state with arrays for tensors."""
    if isinstance(state, torch.Tensor):
        return state.detach().cpu().numpy()
    if isinstance(state, dict):
        return {name: to_arrays(value) for name, value in state.items()}
    return state


def to_tensors(state: Any) -> Any:
    """Return the same state with tensors for arrays."""
    if isinstance(state, np.ndarray):
        return torch.from_numpy(state)
    if isinstance(state, dict):
        return {name: to_tensors(value) for name, value in state.items()}
    return state
