"""Reading what was saved: :func:`load`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sk_dynint._archive import read
from sk_dynint._baseline import BaselineClassifier
from sk_dynint._dynint import DynIntClassifier
from sk_dynint._packing import ArchiveError
from sk_dynint._version import __version__
from sk_dynint.preprocessing import FieldEncoder

CLASSIFIERS = {cls.__name__: cls for cls in (DynIntClassifier, BaselineClassifier)}


def load(path: str | os.PathLike[str], *, trusted: Sequence[type] = ()) -> Any:
    """Read a classifier or an encoder that its method `save` wrote, without running any code.

    Nothing is unpickled, and nothing that the file names is imported.  Its checksum is compared
    before anything else is read.

    Parameters
    ----------
    path : path
        The file.
    trusted : sequence of type, default=()
        Classes of your own that it may name: an interaction layer, a body, an optimizer, an
        encoder.  The error tells which it needs.

    Returns
    -------
    estimator : DynIntClassifier, BaselineClassifier or FieldEncoder

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is none of ours, damaged, of a newer format, or names a class that is not in
        `trusted`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import sk_dynint
    >>> X, y = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 30, [0, 1, 1, 0] * 30
    >>> model = sk_dynint.DynIntClassifier(random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "clicks.safetensors")
    ...     again = sk_dynint.load(Path(folder) / "clicks.safetensors")
    >>> bool((again.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    archive = read(path, [FieldEncoder, *trusted])
    if archive.kind == FieldEncoder.__name__:
        return archive.content
    if archive.kind.endswith("checkpoint"):
        raise ArchiveError(
            f"{os.fspath(path)} is the checkpoint of a run, which is no classifier yet; "
            "fit(..., resume=True) goes on from it"
        )
    if archive.kind not in CLASSIFIERS:
        raise ArchiveError(f"{os.fspath(path)} holds a {archive.kind}, which is none of ours")
    try:
        return CLASSIFIERS[archive.kind]._restored(archive.content)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # what is missing, or is of another type, fails anywhere
        theirs = archive.versions.get("sk_dynint")
        raise ArchiveError(
            f"{os.fspath(path)}, which sk_dynint {theirs} saved, cannot be read by "
            f"{__version__}: {error!r}"
        ) from error
