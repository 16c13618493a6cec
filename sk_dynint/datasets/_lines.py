"""Lines of a text file in blocks: whole, numbered, sampled, their fields counted.

A log of 45 million lines is read in blocks of some ten megabytes. Lines that are not wanted, or do
not have the fields they should, are dropped from a block before it is parsed.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, cast

import numpy as np
from numpy.typing import NDArray

MAX_LINE = 1 << 22
"""Bytes of a line, at most: a longer one is no row of a log, and would take all memory."""

_MAGIC = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip"}


class _LineTooLong(ValueError):
    """A line is longer than MAX_LINE."""


@dataclass(frozen=True)
class Lines:
    """Lines of a block: their text, where each ends in it, and their numbers in the file."""

    text: bytes
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]

    @classmethod
    def split(cls, text: bytes, first: int) -> Self:
        """Split text that ends with a line; the first one has the number `first`."""
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
        return cls(text, ends, np.arange(first, first + len(ends)))

    def __len__(self) -> int:
        return len(self.ends)

    def head(self, n: int) -> Self:
        """Return the first n lines."""
        end = self.ends[n - 1] if n else 0
        return type(self)(self.text[:end], self.ends[:n], self.numbers[:n])

    def tail(self, n: int) -> Self:
        """Return what follows the first n lines."""
        end = self.ends[n - 1] if n else 0
        return type(self)(self.text[end:], self.ends[n:] - end, self.numbers[n:])

    def select(self, mask: NDArray[np.bool_]) -> Self:
        """Return the lines in the mask."""
        if mask.all():
            return self
        starts = np.append(0, self.ends[:-1])[mask].tolist()
        ends = self.ends[mask]
        parts = [self.text[i:j] for i, j in zip(starts, ends.tolist(), strict=True)]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        return type(self)(b"".join(parts), np.cumsum(lengths), self.numbers[mask])

    def count_fields(self, separator: str) -> NDArray[np.int64]:
        """Return the number of fields of each line."""
        found = np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord(separator))
        return np.diff(np.searchsorted(found, self.ends), prepend=0) + 1


@contextmanager
def open_log(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, plain, gzipped or the only one in a zip archive, as its content says."""
    with _naming(path), ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        start = file.read(4)
        file.seek(0)
        packing = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
        if packing == "gzip":
            file = cast(IO[bytes], stack.enter_context(gzip.open(file)))
        elif packing == "zip":
            archive = stack.enter_context(zipfile.ZipFile(file))
            members = [name for name in archive.namelist() if not name.endswith("/")]
            if len(members) != 1:
                raise ValueError(
                    f"{path} is a zip archive of {len(members)} files, {members[:5]}; it must "
                    "hold exactly one. Unpack it and read a file of it."
                )
            file = stack.enter_context(archive.open(members[0]))
        yield file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Context in which errors of unpacking name the file."""
    try:
        yield
    except _LineTooLong as error:
        raise ValueError(f"{path}, {error}.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError) as error:
        # A file that is cut off, damaged or encrypted.
        raise ValueError(f"{path} cannot be unpacked: {error}.") from error


def read_header(file: IO[bytes], separator: str) -> list[str]:
    """Read the first line; return the names in it."""
    line = file.readline(MAX_LINE + 1)
    _check_length(len(line), 1)
    text = line.decode("utf-8-sig", errors="backslashreplace")
    return [name.strip() for name in text.rstrip("\r\n").split(separator)]


def iter_lines(
    file: IO[bytes],
    start: bytes,
    first: int,
    keep: Callable[[int], NDArray[np.bool_]] | None,
    block: int,
) -> Iterator[Lines]:
    """Yield `start` and the rest of a file in blocks of lines, the first of number `first`.

    ``keep(n)`` says which of the next n lines to keep.
    """
    for text in _blocks(file, start, block, first):
        lines = Lines.split(text, first)
        first += len(lines)
        yield lines if keep is None else lines.select(keep(len(lines)))


def _blocks(file: IO[bytes], rest: bytes, size: int, first: int) -> Iterator[bytes]:
    """Yield `rest` and the file in pieces of whole lines; every line ends with a line feed."""
    while piece := file.read(size):
        text = rest + piece
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield _unix(text[:cut])
            first += text.count(b"\n")
        _check_length(len(rest), first)
    if rest:
        yield _unix(rest.removesuffix(b"\n") + b"\n")


def _check_length(n_bytes: int, number: int) -> None:
    """Refuse a line that is no row of a log."""
    if n_bytes > MAX_LINE:
        raise _LineTooLong(
            f"line {number} has more than {MAX_LINE:,} bytes, as no row of a log has"
        )


def _unix(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text
