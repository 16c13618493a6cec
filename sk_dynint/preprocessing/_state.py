"""Levels as arrays of numbers, from which they are restored without running any code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._cells import Truth


class Codec(NamedTuple):
    """How a type of level becomes text, and text becomes a level again."""

    kind: type | tuple[type, ...]
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _write_timestamp(value: pd.Timestamp) -> str:
    zone = "" if value.tz is None else str(value.tz)
    return f"{value.asm8.astype(np.int64)} {value.unit} {zone}"


def _read_timestamp(text: str) -> pd.Timestamp:
    ticks, unit, zone = text.split(" ", 2)
    stamp = pd.Timestamp(np.datetime64(int(ticks), unit))  # type: ignore[call-overload]
    return stamp.tz_localize("UTC").tz_convert(zone) if zone else stamp


def _write_timedelta(value: pd.Timedelta) -> str:
    return f"{value.asm8.astype(np.int64)} {value.unit}"


def _read_timedelta(text: str) -> pd.Timedelta:
    ticks, unit = text.split(" ")
    return pd.Timedelta(np.timedelta64(int(ticks), unit))  # type: ignore[call-overload]


CODECS = {  # the first that suits counts, so subclasses come before their parents
    "str": Codec(str, str, str),
    "bool": Codec(Truth, lambda v: str(int(v.value)), lambda t: Truth(t == "1")),
    "int": Codec((int, np.integer), lambda v: hex(v), lambda t: int(t, 16)),
    "float": Codec((float, np.floating), lambda v: float(v).hex(), float.fromhex),
    "bytes": Codec(bytes, bytes.hex, bytes.fromhex),
    "Decimal": Codec(Decimal, str, Decimal),
    "UUID": Codec(UUID, str, UUID),
    "Timestamp": Codec(pd.Timestamp, _write_timestamp, _read_timestamp),
    "Timedelta": Codec(pd.Timedelta, _write_timedelta, _read_timedelta),
    "Period": Codec(
        pd.Period,
        lambda v: f"{v.ordinal} {v.freqstr}",
        lambda t: pd.Period(ordinal=int(t.split(" ")[0]), freq=t.split(" ")[1]),
    ),
    "datetime": Codec(dt.datetime, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "date": Codec(dt.date, dt.date.isoformat, dt.date.fromisoformat),
    "time": Codec(dt.time, dt.time.isoformat, dt.time.fromisoformat),
    "timedelta": Codec(
        dt.timedelta,
        lambda v: f"{v.days} {v.seconds} {v.microseconds}",
        lambda t: dt.timedelta(*map(int, t.split(" "))),
    ),
}
NAMES = list(CODECS)


def prefixed(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the state of a part under the names that it has in that of the whole."""
    return {prefix + name: value for name, value in state.items()}


def part_of(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the state of a part, given that of the whole; undoes :func:`prefixed`."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def parts_of(state: Mapping[str, Any], name: str) -> dict[int, dict[str, Any]]:
    """Return the states of parts that are numbered, "fields.0.", "fields.1." and so on."""
    parts: dict[int, dict[str, Any]] = {}
    for key, value in part_of(state, f"{name}.").items():
        number, _, own = key.partition(".")
        parts.setdefault(int(number), {})[own] = value
    return parts


def pack_keys(keys: Any, label: Any) -> dict[str, Any]:
    """Return keys of levels as arrays.

    Parameters
    ----------
    keys : iterable
        Keys, see :func:`to_keys`.
    label : object
        Name of the column, for errors.

    Returns
    -------
    dict
        "text": UTF-8 bytes of all keys; "lengths": those of each; "types": position of the type of
        each in "type_names", empty if all are strings.

    Raises
    ------
    TypeError
        If a key has a type that cannot be stored.
    """
    keys = list(keys)
    types = [_type_of(key, label) for key in keys]
    texts = [
        CODECS[NAMES[kind]].write(key).encode("utf-8", "surrogatepass")
        for key, kind in zip(keys, types, strict=True)
    ]
    return {
        "text": np.frombuffer(b"".join(texts), dtype=np.uint8),
        "lengths": np.array([len(text) for text in texts], dtype=np.int64),
        "types": np.array(types if any(types) else [], dtype=np.uint8),
        "type_names": NAMES,
    }


def _type_of(key: Any, label: Any) -> int:
    for position, codec in enumerate(CODECS.values()):
        if isinstance(key, codec.kind):
            return position
    raise TypeError(
        f"column {label!r} has a level of type {type(key).__name__}, which cannot be stored; the "
        f"types that can are {', '.join(NAMES)}"
    )


def unpack_keys(state: dict[str, Any]) -> NDArray[np.object_]:
    """Return the keys that :func:`pack_keys` was given."""
    data, types = state["text"].tobytes(), state["types"]
    if (state["lengths"] < 0).any() or state["lengths"].sum() != len(data):
        raise ValueError("the lengths of levels are not those of their text")
    ends = np.cumsum(state["lengths"], dtype=np.int64).tolist()
    starts = [0, *ends[:-1]]
    if data.isascii():  # all at once: places of bytes are those of characters
        whole = data.decode("ascii")
        texts = [whole[a:b] for a, b in zip(starts, ends, strict=False)]
    else:
        texts = [
            data[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=False)
        ]
    keys = np.empty(len(texts), dtype=object)
    read = [CODECS[name].read for name in state["type_names"]]
    keys[:] = (
        [read[kind](text) for kind, text in zip(types, texts, strict=True)] if len(types) else texts
    )
    return keys
