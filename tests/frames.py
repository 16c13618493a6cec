"""A strategy of frames with everything that columns can hold."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=6)  # lone surrogates, too
TEXTS = (
    ANY_TEXT
    | st.sampled_from(["", " ", "a", "A", "007", "7", "7.0", "nan", "NA", "None", "é", "e\u0301"])
    | st.sampled_from(["x" * 50_000, "x" * 49_999 + "y", "\ud800", "\0", "a\0", "😀", "true"])
)
INTEGERS = st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1])
HUGE = INTEGERS | st.sampled_from([2**63, 2**64 - 1, 2**64, 2**64 + 1, -(2**63) - 1, 10**40])
FLOATS = st.sampled_from(
    [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1e-300, 0.1, 1.0, -7.0, 2.0**53, 1e300, 1.7e308]
) | st.floats(allow_nan=False, allow_infinity=False)
DAYS = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
INSTANTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2250, 1, 1))
DURATIONS = st.timedeltas(dt.timedelta(-10_000), dt.timedelta(10_000))
MISSING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])
ZONES = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"])
CELLS = (
    TEXTS
    | HUGE
    | FLOATS
    | DAYS
    | INSTANTS
    | st.booleans()
    | st.binary(max_size=3)
    | st.sampled_from([Decimal("0.1"), Decimal(7), UUID(int=1), (1, "a"), np.float32(0.1)])
)


def is_unicode(text):
    """Whether pandas can make a category of it."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def series(cells, dtype, missing):
    """Strategy of columns of a type; the lists of cells are drawn with holes if it has any."""
    if missing is not None:
        cells = cells | st.just(missing)
    return lambda n: st.lists(cells, min_size=n, max_size=n).map(
        lambda values: pd.Series(values, dtype=dtype)
    )


def objects(cells):
    """Strategy of columns of objects, with holes of every kind."""
    return series(cells | MISSING, object, None)


def in_zones(n):
    column = series(INSTANTS, "datetime64[us]", pd.NaT)(n)
    return st.builds(lambda c, zone: c.dt.tz_localize("UTC").dt.tz_convert(zone), column, ZONES)


def categories(n):
    kinds = st.sampled_from(
        [objects(TEXTS.filter(is_unicode)), objects(INTEGERS), series(FLOATS, "float64", None)]
    )
    return kinds.flatmap(lambda make: make(n)).map(lambda column: column.astype("category"))


COLUMNS = {
    "text": objects(TEXTS),
    "strings": series(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), "string", pd.NA
    ),
    "int64": series(INTEGERS, "int64", None),
    "uint64": series(st.sampled_from([0, 1, 2**53 + 1, 2**63, 2**64 - 1]), "uint64", None),
    "int8": series(st.integers(-128, 127), "int8", None),
    "Int64": series(INTEGERS, "Int64", pd.NA),
    "float64": series(FLOATS, "float64", np.nan),
    "float32": series(st.floats(width=32, allow_infinity=False), "float32", None),
    "float16": series(st.floats(width=16, allow_infinity=False), "float16", None),
    "longdouble": series(st.floats(-1e300, 1e300), np.longdouble, np.nan),
    "Float64": series(FLOATS, "Float64", pd.NA),
    "bool": series(st.booleans(), "bool", None),
    "boolean": series(st.booleans(), "boolean", pd.NA),
    "instants": series(INSTANTS, "datetime64[us]", pd.NaT),
    "seconds": series(INSTANTS, "datetime64[s]", pd.NaT),
    "zones": in_zones,
    "durations": series(DURATIONS, "timedelta64[us]", pd.NaT),
    "integers": objects(HUGE),
    "numbers": objects(HUGE | FLOATS),
    "days": objects(DAYS),
    "truths": objects(st.booleans()),
    "mixed": objects(CELLS),
    "categories": categories,
    "lists": objects(st.lists(st.sampled_from(["a", "b", ""]), max_size=3)),
}


@st.composite
def frames(draw, min_rows=1, max_rows=90, kinds=tuple(COLUMNS)):
    """A frame of one to four columns with an index in which labels repeat."""
    n = draw(st.integers(min_rows, max_rows))
    chosen = draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4))
    few = draw(st.integers(1, min(n, 9)))  # a long column repeats few cells, and is drawn quickly
    order = np.random.default_rng(draw(st.integers(0, 99))).integers(0, few, n)
    columns = {
        f"{kind} {i}": draw(COLUMNS[kind](few)).iloc[order].reset_index(drop=True)
        for i, kind in enumerate(chosen)
    }
    return pd.DataFrame(columns).set_axis(draw(INDICES)(n), axis=0)


INDICES = st.sampled_from(
    [
        pd.RangeIndex,
        lambda n: np.arange(n) // 3,
        lambda n: ["same"] * n,
        lambda n: pd.MultiIndex.from_arrays([np.arange(n) // 2, ["a"] * n]),
    ]
)
