"""Lines of a text file in blocks: whole, numbered, sampled, their fields counted.

A log of 45 million lines is read in blocks of some ten megabytes. Lines that are not wanted, or do
not have the fields they should, are dropped from a block before it is parsed. A line that is longer
than any of a log is cut, so that a block never grows.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, cast

import numpy as np
from numpy.typing import NDArray

MAX_LINE_BYTES = 1 << 20
"""Longest line that is read; the longest of the published logs has some thousand bytes."""

_MAGIC = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
_OPEN: dict[str, Callable[[Any], Any]] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_DAMAGES = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


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

    def are_too_long(self) -> NDArray[np.bool_]:
        """Whether each line is longer than allowed; such a line may be cut."""
        return np.diff(self.ends, prepend=0) - 1 > MAX_LINE_BYTES

    def count_fields(self, separator: str) -> NDArray[np.int64]:
        """Return the number of fields of each line."""
        found = np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord(separator))
        return np.diff(np.searchsorted(found, self.ends), prepend=0) + 1


def shorten(text: object, length: int = 40) -> str:
    """Return the beginning of a text, for a message."""
    text = str(text)
    return text if len(text) <= length else text[:length] + "..."


@contextmanager
def open_log(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, plain, packed or the only one in a zip archive, as its content says.

    Errors of the file name it, also those that are met when it is read.
    """
    try:
        with ExitStack() as stack:
            yield unpacked(path, stack)
    except _DAMAGES as error:
        if isinstance(error, OSError) and error.filename is not None:  # for example, not found
            raise
        raise OSError(f"{path} cannot be read: {shorten(error, 200)}") from error


def unpacked(path: Path, stack: ExitStack) -> IO[bytes]:
    """Return the file or what is packed in it; the stack closes both."""
    file = stack.enter_context(path.open("rb"))
    start = file.read(6)
    file.seek(0)
    packing = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)
    if packing in _OPEN:
        return cast(IO[bytes], stack.enter_context(_OPEN[packing](file)))
    return _open_member(path, file, stack) if packing == "zip" else file


def _open_member(path: Path, file: IO[bytes], stack: ExitStack) -> IO[bytes]:
    """Return the only file in a zip archive."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        members = [name for name in archive.namelist() if not name.endswith("/")]
        if len(members) == 1:
            return stack.enter_context(archive.open(members[0]))
    except (RuntimeError, UnicodeDecodeError) as error:  # encrypted, unknown to Python, or damaged
        raise zipfile.BadZipFile(str(error)) from error
    raise ValueError(
        f"{path} is a zip archive of {len(members)} files, "
        f"{[shorten(name) for name in members[:5]]}; it must hold exactly one. Unpack it and read "
        "a file of it."
    )


class ShortLines(io.BufferedIOBase):
    """A file of text for a reader that holds a whole line in memory; one that is too long fails."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.length = 0  # of the last line so far

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self.file.read(-1 if size is None else size)
        start, end, rest = piece.replace(b"\r", b"\n").partition(b"\n")
        longest = self.length = self.length + len(start)
        if end:
            self.length = len(rest) - rest.rfind(b"\n") - 1
        if max(longest, self.length) > MAX_LINE_BYTES:
            raise ValueError(f"a line is longer than {MAX_LINE_BYTES:,} bytes")
        return piece

    read1 = read


def read_header(file: IO[bytes], path: Path, separator: str) -> list[str]:
    """Read the first line; return the names in it."""
    line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"{path}, line 1: the header is longer than {MAX_LINE_BYTES:,} bytes.")
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
    for text in _blocks(file, start, block):
        lines = Lines.split(text, first)
        first += len(lines)
        yield lines if keep is None else lines.select(keep(len(lines)))


def _blocks(file: IO[bytes], rest: bytes, size: int) -> Iterator[bytes]:
    """Yield `rest` and the file in pieces of whole lines; every line ends with a line feed.

    Of a line that is too long, as much is yielded as shows that it is.
    """
    while piece := file.read(size):
        text = rest + piece
        cut = text.rfind(b"\n") + 1
        rest = text[cut:]
        if cut:
            yield _unix(text[:cut])
        if len(rest) > MAX_LINE_BYTES + 1:  # one for a carriage return
            yield _unix(rest[: MAX_LINE_BYTES + 2] + b"\n")
            rest = _after_line(file, size)
    if rest:
        yield _unix(rest.removesuffix(b"\n") + b"\n")


def _after_line(file: IO[bytes], size: int) -> bytes:
    """Read to the end of a line; return what was read after it."""
    while piece := file.read(size):
        if end := piece.find(b"\n") + 1:
            return piece[end:]
    return b""


def _unix(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text
