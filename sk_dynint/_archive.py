"""One file for what is saved: arrays as safetensors, everything else as JSON in its header.

Nothing in such a file is code, and nothing that it names is imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from safetensors import safe_open
from safetensors.numpy import save_file

from sk_dynint._files import replacing
from sk_dynint._packing import ArchiveError, Packer, Unpacker
from sk_dynint._version import __version__

FORMAT = 1
"""Version of the format.  Files of lower versions can be read."""

CHUNK = 2**20
"""Bytes that are hashed at once."""

_PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "skorch", "safetensors")
_BLANK = b"0" * 64
_BEFORE = b'"sha256":"'


class Archive(NamedTuple):
    """What a file holds."""

    kind: str
    versions: dict[str, str]
    content: Any


def write(path: str | os.PathLike[str], kind: str, content: Any) -> None:
    """Write an archive; the file is there whole, or as it was before.

    Parameters
    ----------
    path : path
        Where to write it.
    kind : str
        What is saved.
    content : object
        See :class:`Packer`.

    Raises
    ------
    TypeError
        If something in it cannot be saved.
    """
    packer = Packer()
    tree = packer.pack(content, kind)
    description = {"format": FORMAT, "kind": kind, "versions": versions(), "content": tree}
    header = {
        "sha256": _BLANK.decode(),
        "sk_dynint": json.dumps(description, separators=(",", ":")),
    }
    with replacing(path) as name:
        save_file(packer.arrays, name, metadata=header)
        with open(name, "r+b") as file:
            digest, place = _digest(file)
            file.seek(place)
            file.write(digest)


def read(path: str | os.PathLike[str], trusted: Sequence[type] = ()) -> Archive:
    """Read an archive.

    Parameters
    ----------
    path : path
        The file.
    trusted : sequence of type
        Classes that it may name.

    Raises
    ------
    ArchiveError
        If the file is no archive, damaged, of a newer format, or names a class that is not trusted.
    """
    with open(path, "rb") as file:
        try:
            digest, place = _digest(file)
        except ArchiveError as error:
            raise ArchiveError(
                f"{os.fspath(path)} is no file that sk_dynint saved: {error}"
            ) from None
        file.seek(place)
        if file.read(len(digest)) != digest:
            raise ArchiveError(f"{os.fspath(path)} is damaged: its checksum does not fit")
    try:
        with safe_open(path, framework="numpy") as opened:
            description = json.loads(opened.metadata()["sk_dynint"])
            _check_format(path, description)
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        content = Unpacker(arrays, trusted).unpack(description["content"])
        kind, written_by = description["kind"], description["versions"]
        if not (isinstance(kind, str) and isinstance(written_by, dict)):
            raise TypeError("its kind or its versions are no text")
        archive = Archive(kind, written_by, content)
    except ArchiveError:
        raise
    except Exception as error:  # the checksum fits, but what it seals is not what we write
        raise ArchiveError(f"{os.fspath(path)} is damaged: {error!r}") from error
    return archive


def kind_of(path: str | os.PathLike[str]) -> str:
    """Return what an archive says that it holds, without reading it whole.

    Raises
    ------
    ArchiveError
        If the file is no archive.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            return str(json.loads(opened.metadata()["sk_dynint"])["kind"])
    except Exception as error:
        raise ArchiveError(f"{os.fspath(path)} is no file that sk_dynint saved") from error


def _check_format(path: str | os.PathLike[str], description: dict[str, Any]) -> None:
    """Refuse a format that is newer than this version."""
    found = description["format"]
    if not isinstance(found, int) or found > FORMAT:
        raise ArchiveError(
            f"{os.fspath(path)} has format {found}, written by sk_dynint "
            f"{description['versions']['sk_dynint']}; this version, {__version__}, reads formats "
            f"up to {FORMAT}"
        )


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter."""
    found = {"sk_dynint": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _digest(file: Any) -> tuple[bytes, int]:
    """Return the checksum of a file without its checksum, and where it stands in it."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise ArchiveError("it has no header")
    header = file.read(length)
    _, found, after = header.partition(_BEFORE)
    if not found:
        raise ArchiveError("its header has no checksum")
    place = length - len(after)
    sha = hashlib.sha256(length.to_bytes(8, "little"))
    sha.update(header[:place] + _BLANK + header[place + len(_BLANK) :])
    while chunk := file.read(CHUNK):
        sha.update(chunk)
    return sha.hexdigest().encode(), 8 + place
