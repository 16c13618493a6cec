"""From the lines of a click log to typed columns: what the readers of published files share.

Every column of a block is first a column of distinct values with codes that say where they stand.
That is what is checked (few values, whatever the number of rows), and what categories are made of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

from sk_dynint._warnings import warn

from ._lines import MAX_LINE_BYTES, Lines, iter_lines, open_log, read_header, shorten

_BLOCK = 1 << 25  # bytes that are read and parsed at a time
_SHOWN = 5  # broken lines that a warning describes
_SHOWN_NAMES = 50  # names of a header that an error shows
_PEEK = 1 << 16  # bytes that tell whether a file without header has labels
_CONSTRAINTS: dict[str, list[Any]] = {
    "path": [str, PathLike],
    "n_rows": [Interval(Integral, 1, None, closed="left"), None],
    "fraction": [Interval(Real, 0, 1, closed="right"), None],
    "random_state": ["random_state"],
    "on_broken": [StrOptions({"raise", "warn"})],
    "return_X_y": ["boolean"],
}
Values = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """What a column holds: allowed text, whether it may be missing, and the type of its values."""

    allowed: str
    optional: bool
    convert: Callable[[Values], tuple[Values, NDArray[np.bool_]]] | None
    """Distinct strings -> values, and whether each was allowed; None for categories."""


def _to_label(text: Values) -> tuple[Values, NDArray[np.bool_]]:
    return (text == "1").astype(np.int64), np.isin(text, ["0", "1"])


def _to_number(text: Values) -> tuple[Values, NDArray[np.bool_]]:
    numbers = np.asarray(pd.to_numeric(text, errors="coerce"), dtype=np.float64)
    return numbers, np.isfinite(numbers)


def _to_hour(text: Values) -> tuple[Values, NDArray[np.bool_]]:
    eight_digits = [t if len(t) == 8 and t.isdecimal() else "" for t in text]
    times = pd.to_datetime(eight_digits, format="%y%m%d%H", errors="coerce")
    return times.to_numpy("datetime64[s]"), times.notna()


LABEL = Kind("0 or 1", False, _to_label)
NUMBER = Kind("a finite number, or nothing", True, _to_number)
HOUR = Kind("YYMMDDHH", False, _to_hour)
CATEGORY = Kind("anything", True, None)


@dataclass(frozen=True)
class Layout:
    """How a published log is written."""

    separator: str
    label: str
    kinds: dict[str, Kind]
    """The columns to read, in the order of the result."""
    missing: tuple[str, ...] = ("",)
    columns: tuple[str, ...] | None = None
    """Names of all columns with the label, of a file without header."""


def read_log(
    path: str | PathLike[str],
    layout: Layout,
    *,
    n_rows: int | None,
    fraction: float | None,
    random_state: Any,
    on_broken: str,
    return_X_y: bool,
) -> tuple[dict[str, Any], int]:
    """Return the columns of a file, and how many broken lines were skipped."""
    options = {"n_rows": n_rows, "fraction": fraction, "random_state": random_state}
    options |= {"path": path, "on_broken": on_broken, "return_X_y": return_X_y}
    validate_parameter_constraints(_CONSTRAINTS, options, caller_name="reader of logs")
    path = Path(path)
    random = check_random_state(random_state)
    keep = None if fraction is None else lambda n: random.random_sample(n) < fraction
    with open_log(path) as file:
        names, start, n_header = _read_names(file, path, layout)
        if return_X_y and layout.label not in names:
            raise ValueError(
                f"{path} has no column {layout.label!r}, so there is no y; "
                "read it with return_X_y=False."
            )
        columns = _Columns(layout, names, _Broken(path, on_broken))
        for lines in iter_lines(file, start, n_header + 1, keep, _BLOCK):
            while len(lines) and columns.n_rows != n_rows:
                wanted = len(lines) if n_rows is None else min(n_rows - columns.n_rows, len(lines))
                columns.add(lines.head(wanted))
                lines = lines.tail(wanted)
            if columns.n_rows == n_rows:
                break
    columns.broken.finish(columns.n_rows)
    return columns.finish(), columns.broken.n


def to_result(
    columns: dict[str, Any], label: str, return_X_y: bool, **more: Any
) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    """Return what the readers return."""
    target = pd.Series(columns.pop(label), name=label) if label in columns else None
    data = pd.DataFrame(columns, copy=False)
    if return_X_y:
        return data, target
    frame = data if target is None else data.assign(**{label: target})
    return Bunch(data=data, target=target, frame=frame, feature_names=list(data.columns), **more)


def _read_names(file: IO[bytes], path: Path, layout: Layout) -> tuple[Sequence[str], bytes, int]:
    """Return the names of the columns, text that was read after them, and the lines before it."""
    if layout.columns is None:
        names = read_header(file, path, layout.separator)
        if absent := [name for name in layout.kinds if name not in (*names, layout.label)]:
            shown = [shorten(name) for name in names[:_SHOWN_NAMES]]
            more = ", ..." if len(names) > _SHOWN_NAMES else ""
            raise ValueError(f"{path} has no column {absent[0]!r}; its header is {shown}{more}.")
        return names, b"", 1
    start = file.read(_PEEK)
    n_fields = [line.count(layout.separator.encode()) + 1 for line in start.splitlines()]
    n = len(layout.columns)
    is_labelled = n_fields.count(n) >= n_fields.count(n - 1)
    return layout.columns[0 if is_labelled else 1 :], start, 0


class _Broken:
    """Handles broken lines: raises an error, or counts them for one warning at the end."""

    def __init__(self, path: Path, on_broken: str) -> None:
        self.path = path
        self.on_broken = on_broken
        self.n = 0
        self.shown: list[tuple[int, str]] = []

    def add(self, found: list[tuple[int, str]]) -> None:
        """Record the broken lines of a block: their numbers, and what is wrong with them."""
        if found and self.on_broken == "raise":
            number, text = min(found)
            raise ValueError(
                f"{self.path}, line {number}: {text}. (on_broken='warn' skips such lines.)"
            )
        self.n += len(found)
        self.shown = sorted(self.shown + found)[:_SHOWN]

    def finish(self, n_rows: int) -> None:
        """Warn about the lines that were skipped; raise if no line is left."""
        lines = "; ".join(f"line {number}: {text}" for number, text in self.shown)
        lines += "; ..." if self.n > len(self.shown) else ""
        if not n_rows:
            why = f"all {self.n} lines are broken ({lines})" if self.n else "no line was read"
            raise ValueError(f"{self.path} has no row to return: {why}.")
        if self.n:
            warn(
                f"{self.path}: skipped {self.n} of {self.n + n_rows} lines, which are broken "
                f"({lines})."
            )


class _Columns:
    """Collects the columns of a file, block by block."""

    def __init__(self, layout: Layout, names: Sequence[str], broken: _Broken) -> None:
        self.layout = layout
        self.names = names
        self.kinds = {name: kind for name, kind in layout.kinds.items() if name in names}
        self.broken = broken
        self.n_rows = 0
        self.parts: dict[str, list[Values]] = {name: [] for name in self.kinds}
        self.levels: dict[str, dict[str, int]] = {name: {} for name in self.kinds}

    def add(self, lines: Lines) -> None:
        """Parse and check lines, and append the valid ones."""
        too_long = lines.are_too_long()
        found = [
            (int(number), f"longer than {MAX_LINE_BYTES:,} bytes")
            for number in lines.numbers[too_long]
        ]
        lines = lines.select(~too_long)
        n_fields = lines.count_fields(self.layout.separator)
        complete = n_fields == len(self.names)
        found += [
            (int(number), f"got {n} fields, allowed are {len(self.names)}")
            for number, n in zip(lines.numbers[~complete], n_fields[~complete], strict=True)
        ]
        lines = lines.select(complete)
        columns = self._parse(lines)
        wrong = self._find_wrong(columns)
        found += [(int(lines.numbers[row]), text) for row, text in wrong.items()]
        self.broken.add(found)
        if wrong:  # parsed again, so that no level comes from a line that is skipped
            good = np.ones(len(lines), dtype=bool)
            good[list(wrong)] = False
            lines = lines.select(good)
            columns = self._parse(lines)
        for name, (codes, distinct) in columns.items():
            self.parts[name].append(self._values(name, distinct)[codes])
        self.n_rows += len(lines)

    def _parse(self, lines: Lines) -> dict[str, tuple[NDArray[np.intp], Values]]:
        """Return codes and distinct strings of each column."""
        if not len(lines):
            return {}
        frame = pd.read_csv(
            io.BytesIO(lines.text),
            sep=self.layout.separator,
            header=None,
            names=list(self.names),
            usecols=list(self.kinds),
            dtype=object,  # "category" would take "007" and "7" for one number
            na_values=list(self.layout.missing),
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            lineterminator="\n",
            skip_blank_lines=False,
            low_memory=False,
            encoding_errors="backslashreplace",
        )
        return {name: pd.factorize(frame[name].to_numpy()) for name in self.kinds}

    def _find_wrong(self, columns: dict[str, tuple[NDArray[np.intp], Values]]) -> dict[int, str]:
        """Return what is wrong, by row."""
        wrong: dict[int, str] = {}
        for name, (codes, distinct) in columns.items():
            kind = self.kinds[name]
            if kind.convert is None:
                continue
            allowed = np.append(kind.convert(distinct)[1], kind.optional)
            if allowed.all():
                continue
            shown = [*(repr(shorten(text)) for text in distinct), "nothing"]
            for row in np.flatnonzero(~allowed[codes]).tolist():
                text = f"{name} is {shown[codes[row]]}, allowed is {kind.allowed}"
                wrong.setdefault(row, text)
        return wrong

    def _values(self, name: str, distinct: Values) -> Values:
        """Return the value of each distinct string (of a category its code), and of none."""
        convert = self.kinds[name].convert
        if convert is None:
            levels = self.levels[name]
            codes = (levels.setdefault(text, len(levels)) for text in distinct)
            return np.append(np.fromiter(codes, np.int32, len(distinct)), np.int32(-1))
        values, _ = convert(distinct)
        nothing = np.full(1, np.nan) if values.dtype.kind == "f" else values[:1]
        return np.append(values, nothing)

    def finish(self) -> dict[str, Any]:
        """Return the columns, and free the parts that they are concatenated from."""
        columns: dict[str, Any] = {}
        for name, kind in self.kinds.items():
            values = np.concatenate(self.parts.pop(name))
            if kind.convert is None:
                levels = pd.Index(list(self.levels.pop(name)), dtype="str")
                values = pd.Categorical.from_codes(values, levels)
            columns[name] = values
        return columns
