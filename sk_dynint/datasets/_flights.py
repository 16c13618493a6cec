"""Departures from New York in 2013, shipped with the package.

The file holds four tables, as arrays named `table.column`; joining them gives the rows.

============  =====================================================================================
`flights`     one row a flight: its day (0 = 1 January), the positions of its schedule and plane
              in the tables below, and the label
`schedules`   carrier, number, airports, scheduled times and distance of a flight
`planes`      what the aircraft registry knows of a tail number
`weather`     one row for each airport (in alphabetical order), day and hour, in this order
============  =====================================================================================

Flights are in the order of days, schedules in the order of departure times. The build script is
`examples/data/build_flights.py`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

FLIGHTS_FILE = Path(__file__).parent / "data" / "flights_2013_v1.npz"

TARGET = "late15"
SCHEDULE = ["sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
PLANE = [
    "tailnum",
    "plane_year",
    "plane_type",
    "manufacturer",
    "plane_model",
    "engines",
    "seats",
    "engine",
]
WEATHER = [
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
]
FEATURES = [
    *["month", "day", "weekday", "sched_hour", "sched_dep_time", "sched_arr_time"],
    *["carrier", "flight", "tailnum", "origin", "dest", "distance"],
    *WEATHER,
    *PLANE[1:],
]
AIRPORTS = ["EWR", "JFK", "LGA"]
N_DAYS = 365
FIRST_DAY = np.datetime64("2013-01-01", "s")


@overload
def load_flights(*, return_X_y: Literal[False] = ...) -> Bunch: ...
@overload
def load_flights(*, return_X_y: Literal[True]) -> tuple[pd.DataFrame, pd.Series]: ...
def load_flights(*, return_X_y: bool = False) -> Bunch | tuple[pd.DataFrame, pd.Series]:
    """Load departures from New York in 2013, with the label "15 minutes late or more".

    =================   =========================================================
    Rows                327,346 flights, in the order of their scheduled departure
    Features            28: 20 numeric, 8 strings
    Classes             0 on time (75.5 %), 1 late (24.5 %)
    Period              1 January to 31 December 2013
    Source              https://github.com/tidyverse/nycflights13, as of March 2020
    Licence             CC0: public domain
    =================   =========================================================

    Rows are all flights that left Newark (EWR), Kennedy (JFK) or LaGuardia (LGA) for a domestic
    airport and arrived where they should, joined with the weather at the airport in the hour of
    scheduled departure and with the aircraft registry. 9,430 flights that were cancelled or
    diverted have no delay and are left out.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return `(data, target)` instead of a Bunch.

    Returns
    -------
    flights : Bunch
        data : DataFrame of shape (327346, 28)
            The features, see Notes. Whole numbers without holes are int64, other numbers
            float64, the rest strings; missing values are NaN.
        target : Series of shape (327346,)
            `late15`: 1 if the flight arrived 15 minutes late or more, else 0.
        frame : DataFrame of shape (327346, 29)
            data and target.
        date : Series of shape (327346,)
            Day of departure, for a split in time; not a feature.
        feature_names : list of str
            Names of the columns of data.
        target_names : list of str
            Names of the classes 0 and 1.
        DESCR : str
            This text.
        filename : str
            Path of the shipped file.
    (data, target) : tuple of DataFrame and Series
        If `return_X_y=True`. Strings have no place in an array, so there is no `as_frame`.

    Notes
    -----
    Time of the flight (local, never missing):

    ==================  ==========================================================================
    month, day          of departure; 1 to 12, 1 to 31
    weekday             0 Monday to 6 Sunday
    sched_hour          hour of scheduled departure, 5 to 23
    sched_dep_time      scheduled departure as HHMM: 515 is 5:15
    sched_arr_time      scheduled arrival as HHMM, in the time zone of the destination
    ==================  ==========================================================================

    The flight (never missing):

    ==================  ==========================================================================
    carrier             two-letter code of the airline (16)
    flight              flight number, an identifier (3,835)
    tailnum             tail number of the plane (4,037)
    origin, dest        airport codes (3 and 104)
    distance            between the airports, in miles
    ==================  ==========================================================================

    Weather at the origin, as measured (missing in 0.5 %, wind_dir in 2.9 %, pressure in 11 %,
    wind_gust in 76 % of the rows, mostly because there were no gusts):

    =====================  =======================================================================
    temp, dewp             temperature and dew point, in °F
    humid                  relative humidity, in %
    wind_dir               direction of the wind, in degrees
    wind_speed, wind_gust  in miles per hour
    precip                 precipitation in the hour, in inches
    pressure               at sea level, in millibars
    visib                  visibility, in miles
    =====================  =======================================================================

    The plane, as registered (missing in 15 % of the rows, plane_year in 16 %: American Airlines
    and Envoy report fleet numbers instead of tail numbers):

    =========================  ===================================================================
    plane_year                 year of manufacture
    plane_type                 such as "Fixed wing multi engine" (3)
    manufacturer, plane_model  35 and 127 levels
    engines, seats             how many
    engine                     type of the engines, such as "Turbo-fan" (6)
    =========================  ===================================================================

    **Leakage.** What is known only after the event is left out: actual times, delays and time in
    the air. The source lists the flights of a day by *actual* departure, so that a row's position
    tells its delay (AUC .78); here they are ordered by schedule alone. No single feature comes
    near that: the best is the scheduled departure (.64), and month and day together reach .71.
    The weather is measured in the hour of departure: known to those who predict then, to be
    replaced by a forecast by those who predict earlier.

    **Split.** Flights of one day share its storms and queues, and month and day name the day. A
    random split measures how well a model fills gaps in days it has seen; to measure how well it
    predicts, split in time: `date < "2013-10-01"`, or by position, as rows are chronological.

    References
    ----------
    Hadley Wickham, nycflights13: Flights that Departed NYC in 2013. Flights from the US Bureau of
    Transportation Statistics, weather from the ASOS stations by way of the Iowa Environmental
    Mesonet, planes from the registry of the Federal Aviation Administration.

    Examples
    --------
    >>> from sk_dynint.datasets import load_flights
    >>> flights = load_flights()
    >>> flights.data.shape
    (327346, 28)
    >>> past = flights.date < "2013-10-01"
    >>> X_train, y_train = flights.data[past], flights.target[past]
    >>> X_test, y_test = flights.data[~past], flights.target[~past]
    >>> print(f"{y_train.mean():.3f} late until September, {y_test.mean():.3f} later")
    0.250 late until September, 0.230 later
    """
    frame, date = _join(FLIGHTS_FILE)
    data, target = frame[FEATURES], frame[TARGET]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        date=date,
        feature_names=list(FEATURES),
        target_names=["on time", "late"],
        DESCR=inspect.getdoc(load_flights) or "",  # no docstrings under python -OO
        filename=str(FLIGHTS_FILE),
    )


def _join(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features with the target as the last column, and the day of each row."""
    with np.load(path) as file:
        tables = {
            table: {column: file[f"{table}.{column}"] for column in columns}
            for table, columns in (
                ("flights", ["day", "schedule", "plane", TARGET]),
                ("schedules", SCHEDULE),
                ("planes", PLANE),
                ("weather", WEATHER),
            )
        }
    flights, schedules = tables["flights"], tables["schedules"]
    day, schedule, plane = (flights[key].astype(np.intp) for key in ("day", "schedule", "plane"))
    airport = np.searchsorted(AIRPORTS, schedules["origin"])
    hour = schedules["sched_dep_time"] // 100
    time = (airport[schedule] * N_DAYS + day) * 24 + hour[schedule]
    date = pd.Series(FIRST_DAY + day * np.timedelta64(1, "D"), name="date")
    columns = {
        "month": _widen(date.dt.month.to_numpy()),
        "day": _widen(date.dt.day.to_numpy()),
        "weekday": _widen(date.dt.day_of_week.to_numpy()),
        "sched_hour": _widen(hour)[schedule],
        TARGET: _widen(flights[TARGET]),
    }
    for table, position in (("schedules", schedule), ("planes", plane), ("weather", time)):
        columns |= {name: _spread(values, position) for name, values in tables[table].items()}
    return pd.DataFrame({name: columns[name] for name in [*FEATURES, TARGET]}), date


def _spread(values: NDArray[Any], position: NDArray[np.intp]) -> Any:
    """Return the values at the positions, in dtypes that users expect."""
    if values.dtype.kind == "U":  # "" stands for missing
        strings = pd.Series(values)
        return strings.where(strings != "").array.take(position)
    return _widen(values)[position]


def _widen(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.kind == "f" else values.astype(np.int64)
