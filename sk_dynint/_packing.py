"""Values as JSON beside arrays, and back, without code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

_INTEGERS = ("uint8", "uint16", "uint32", "int8", "int16", "int32")
"""Types that arrays of integers are stored in if their values allow it."""

MAX_BYTES_OF_STRINGS = 64 << 20
"""Most that an array of strings may take in memory, where each takes as much as the longest one: a
short file must not ask for gigabytes."""

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class ArchiveError(ValueError):
    """A file is none of ours, damaged, newer than can be read, or names what is not trusted."""


def path_of(cls: type) -> str:
    """Return the name of a class, by which it is found among those that are trusted."""
    return f"{cls.__module__}.{cls.__qualname__}"


class Packer:
    """Turns values into what JSON can hold; arrays are put aside.

    It takes None, bools, numbers, strings, lists, tuples, dicts, NumPy's arrays and numbers, frames
    of pandas with columns of these, the names of classes, and transformers that have a
    `state_dict` and a `load_state_dict`, frozen ones too.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def pack(self, value: Any, where: str) -> Any:
        """Return a value as JSON; `where` it stands is the name of its arrays, and for errors."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float) and not isinstance(value, np.floating):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, list | tuple):
            items = [self.pack(item, f"{where}.{i}") for i, item in enumerate(value)]
            return items if isinstance(value, list) else {"tuple": items}
        if isinstance(value, dict):
            pairs = value.items()
            return {"dict": [[self.pack(k, where), self.pack(v, f"{where}.{k}")] for k, v in pairs]}
        if isinstance(value, np.ndarray):
            return self._pack_array(value, where)
        if isinstance(value, np.generic):
            return {"number": self._pack_array(np.asarray(value), where)}
        if isinstance(value, pd.DataFrame):
            columns = [
                [self.pack(k, where), self.pack(v.to_numpy(), f"{where}.{k}")]
                for k, v in value.items()
            ]
            return {"frame": columns, "attrs": self.pack(value.attrs, f"{where}.attrs")}
        if isinstance(value, type):
            return {"class": path_of(value)}
        if isinstance(value, FrozenEstimator):
            return {"frozen": self.pack(value.estimator, where)}
        if hasattr(value, "load_state_dict") and isinstance(value, BaseEstimator):
            return {
                "object": path_of(type(value)),
                "params": self.pack(value.get_params(deep=False), f"{where}.params"),
                "state": self.pack(value.state_dict() if _is_fitted(value) else None, where),
                "labels": self.pack(getattr(value, "_labels_in", None), f"{where}.labels"),
            }
        raise TypeError(
            f"{where} holds a {type(value).__name__}, which cannot be saved without code; pickle "
            "can do it, or leave it out"
        )

    def _pack_array(self, array: NDArray[Any], where: str) -> Any:
        """Put an array of numbers aside; return another one as a list."""
        if array.dtype.kind not in "biuf":
            if array.dtype.kind not in "OUT":
                raise TypeError(f"{where} is an array of {array.dtype}, which cannot be saved")
            if array.dtype.kind == "U" and array.nbytes > MAX_BYTES_OF_STRINGS:
                raise TypeError(f"{where} is an array of strings of {array.nbytes:,} bytes")
            items = [self.pack(item, where) for item in array.ravel().tolist()]
            return {"items": items, "shape": list(array.shape), "dtype": array.dtype.str}
        name = where
        while name in self.arrays:
            name += "'"
        self.arrays[name] = np.ascontiguousarray(_narrowed(array)).reshape(array.shape)
        return {"array": name, "dtype": array.dtype.str}


class Unpacker:
    """Undoes :class:`Packer`.

    Parameters
    ----------
    arrays : dict
        The arrays by name.
    trusted : sequence of type
        Classes that may be named.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]], trusted: Sequence[type]) -> None:
        self.arrays = arrays
        self.trusted = {path_of(cls): cls for cls in trusted}

    def unpack(self, tree: Any) -> Any:
        """Return the value that was packed."""
        if isinstance(tree, list):
            return [self.unpack(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if "float" in tree:
            return _NOT_FINITE[tree["float"]]
        if "tuple" in tree:
            return tuple(self.unpack(tree["tuple"]))
        if "dict" in tree:
            return {self.unpack(key): self.unpack(value) for key, value in tree["dict"]}
        if "number" in tree:
            return self.unpack(tree["number"])[()]
        if "array" in tree:
            return _widened(self.arrays[tree["array"]], tree["dtype"])
        if "items" in tree:
            return self._unpack_items(tree)
        if "frame" in tree:
            frame = pd.DataFrame({self.unpack(k): self.unpack(v) for k, v in tree["frame"]})
            frame.attrs = self.unpack(tree["attrs"])
            return frame
        if "class" in tree:
            return self._find(tree["class"])
        if "frozen" in tree:
            return FrozenEstimator(self.unpack(tree["frozen"]))
        made = self._find(tree["object"])(**self.unpack(tree["params"]))
        if (state := self.unpack(tree["state"])) is not None:
            made.load_state_dict(state)
            made._labels_in = self.unpack(tree["labels"])  # columns whose names are no strings
        return made

    def _unpack_items(self, tree: dict[str, Any]) -> NDArray[Any]:
        items, shape = self.unpack(tree["items"]), tuple(tree["shape"])
        array = np.empty(len(items), dtype=object)
        array[:] = items
        if tree["dtype"].lstrip("<>|=")[:1] == "U":
            longest = max(map(len, items), default=0)
            if 4 * longest * len(items) > MAX_BYTES_OF_STRINGS:
                raise ArchiveError(f"{len(items):,} strings of up to {longest:,} characters")
            array = array.astype(str)
        return array.reshape(shape)

    def _find(self, path: str) -> type:
        """Return the class of a name, if the caller trusts it."""
        if path not in self.trusted:
            raise ArchiveError(
                f"the file names the class {path}; if you trust it, import it and pass "
                f"trusted=[{path.rpartition('.')[2]}]"
            )
        return self.trusted[path]


def _is_fitted(estimator: BaseEstimator) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    """Return integers in the smallest type that holds them."""
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for name in _INTEGERS:
        limits, dtype = np.iinfo(name), np.dtype(name)
        if limits.min <= low and high <= limits.max and dtype.itemsize < array.itemsize:
            return array.astype(dtype)
    return array


def _widened(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return integers in the type that they had."""
    wanted = np.dtype(dtype)
    if wanted.kind not in "biuf" or (
        wanted != array.dtype and {wanted.kind, array.dtype.kind} - set("iu")
    ):
        raise ArchiveError(f"an array of {array.dtype} cannot be one of {dtype}")
    return array.astype(wanted, copy=False)
