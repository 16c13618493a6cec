"""What a cell means: the kind of a value, and one object for all values that mean the same.

A level must depend on nothing but the cell: not on the container, nor on the cells beside it.
"""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype

Objects = NDArray[np.object_]

NUMERIC_KINDS = ("numbers", "dates", "durations")
NO_VALUES = "missing values"

_KIND_OF_OBJECTS = {
    "string": "strings",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "boolean": "booleans",
    "bytes": "bytes",
    "datetime": "dates",
    "datetime64": "dates",
    "date": "dates",
    "timedelta": "durations",
    "timedelta64": "durations",
    "empty": NO_VALUES,
}
_DATES = (dt.date, np.datetime64)
_DURATIONS = (dt.timedelta, np.timedelta64)
_JOIN = " and "


class Truth(enum.Enum):
    """A boolean as a level; Python, pandas and category-encoders hold `True == 1`, we do not."""

    FALSE = False
    TRUE = True


def kinds_of(kind: str) -> set[str]:
    """Return the kinds of the values of a column: several if it is mixed, none if it is empty."""
    return set(kind.split(_JOIN)) - {NO_VALUES}


def joined_kinds(kinds: set[str]) -> str:
    """Return the kind of a column that holds values of some kinds."""
    return _JOIN.join(sorted(kinds)) or NO_VALUES


def is_mixed(kind: str) -> bool:
    """Whether a column has cells of several kinds."""
    return _JOIN in kind


def plain_objects(objects: Objects) -> tuple[Any, str]:
    """Return an array of objects with one object for all values that mean the same, and its kind.

    Dates become a datetime64 array in UTC and durations a timedelta64 array if there is nothing
    else.
    """
    kind = _KIND_OF_OBJECTS.get(infer_dtype(objects, skipna=True), "")
    if kind in ("dates", "durations") and pd.isna(objects).all():
        kind = NO_VALUES
    if kind == "dates":
        return _to_dates(objects), kind
    if kind == "durations":
        return pd.to_timedelta(objects).to_numpy(), kind
    if kind:
        return objects, kind
    present = np.flatnonzero(pd.notna(objects))
    plain = np.full(len(objects), np.nan, dtype=object)
    kinds = set()
    for i in present:
        plain[i] = plain_cell(objects[i])
        kinds.add(kind_of_cell(objects[i]))
    return plain, joined_kinds(kinds)


def _to_dates(objects: Objects) -> NDArray[np.datetime64]:
    """Return dates and instants of any time zone in UTC."""
    try:
        return pd.to_datetime(objects, utc=True).tz_localize(None).to_numpy()
    except pd.errors.OutOfBoundsDatetime:  # pandas 2 reads nanoseconds, which end in 2262
        cells = (np.datetime64("NaT") if pd.isna(v) else plain_cell(v).asm8 for v in objects)
        return np.array([cell.astype("M8[us]") for cell in cells])


def kind_of_cell(value: Any) -> str:
    """Return what a value that is not missing is."""
    if isinstance(value, bool | np.bool_ | Truth):
        return "booleans"
    if isinstance(value, str):
        return "strings"
    if isinstance(value, Real | Decimal):
        return "numbers"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, _DATES):
        return "dates"
    if isinstance(value, _DURATIONS):
        return "durations"
    return f"{type(value).__name__} objects"


def plain_cell(value: Any) -> Any:
    """Return the object by which a value that is not missing is compared."""
    if isinstance(value, bool | np.bool_):
        return Truth(bool(value))
    if isinstance(value, Decimal):
        return plain_number(value)
    if isinstance(value, _DATES):
        stamp = pd.Timestamp(value)
        return stamp if stamp.tz is None else stamp.tz_convert(None)
    if isinstance(value, _DURATIONS):
        return pd.Timedelta(value)
    return value


def plain_number(value: Decimal) -> Any:
    """Return the int or the float that a decimal writes out, or itself if it has more digits."""
    if value.is_finite() and value == value.to_integral_value():
        return int(value)
    number = float(value)
    return value if value.is_finite() and Decimal(repr(number)) != value else number


def truths(values: Any) -> Objects:
    """Return booleans as levels; other values as they are."""
    marked = (Truth(bool(v)) if isinstance(v, bool | np.bool_) else v for v in values)
    return np.fromiter(marked, dtype=object, count=len(values))


def from_key(key: Any) -> Any:
    """Return the value that a level stands for."""
    return key.value if isinstance(key, Truth) else key
