"""fingerprint: the same for the same values in every container, another one for other columns."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sk_dynint import BaselineClassifier, compare
from sk_dynint.comparison import fingerprint
from tests.comparison.conftest import Recorder

NUMBERS = [3, 1, 2]
DATES = [datetime.datetime(2014, 1, 1), datetime.datetime(2015, 1, 1, 2), None]


def of(values, dtype=None):
    """Fingerprint of one column, a list or a series."""
    return fingerprint(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}), [0, 1, 1])


def of_polars(values, dtype=None):
    return fingerprint(pl.DataFrame({"a": pl.Series(values, dtype=dtype)}), [0, 1, 1])


def test_plain_columns_have_the_fingerprint_that_is_in_files_of_runs():
    """Another one would throw away the runs in docs/reproduction.csv and in users' files."""
    assert of([1, 2, 3]) == "49119aeef77d7ff2"
    assert of([1, 2, None]) == "9e5f5740c4424c4f"
    assert of(["a", "b", None]) == "64ab8e69192d1c70"
    X = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "s": ["a", None]})
    assert fingerprint(X, [0, 1], "70/10/20 at random", [2, 1]) == "ca591e78b8a2bed4"


@pytest.mark.parametrize(
    "dtype",
    ["str", "object", "category", "string[python]", "string[pyarrow]"]
    + [pd.ArrowDtype(kind) for kind in (pa.string(), pa.dictionary(pa.int32(), pa.string()))],
    ids=str,
)
@pytest.mark.parametrize("values", [["a", "b", None], [None] * 3], ids=["strings", "nothing"])
def test_strings_are_the_same_in_every_type(dtype, values):
    assert of(values, dtype) == of(values, "str") == of_polars(values, pl.String)
    assert of_polars(values, pl.Categorical) == of(values, "str")


def test_other_types_of_the_same_values():
    for dtype in ("int32", "Int64", "uint8", "int64[pyarrow]"):
        assert of(NUMBERS, dtype) == of(NUMBERS) == of_polars(NUMBERS)
    truth = [True, None, False]
    for dtype in ("boolean", "object", "bool[pyarrow]"):
        assert of(truth, dtype) == of_polars(truth)
    assert of([True, False, True]) == of_polars([True, False, True])
    dates = pd.Series(DATES, dtype="datetime64[us]")
    for dtype in ("datetime64[s]", "datetime64[ns]", pd.ArrowDtype(pa.timestamp("ms"))):
        assert of(dates.astype(dtype)) == of(dates) == of_polars(DATES)
    table = pa.table({"a": NUMBERS, "b": [True, False, True], "c": DATES})
    assert fingerprint(table, [0, 1, 1]) == fingerprint(pl.from_arrow(table), [0, 1, 1])


def test_lists():
    tags = [["a", "b"], None, ["b"]]
    for same in (
        pd.Series(tags, dtype=pd.ArrowDtype(pa.list_(pa.string()))),
        [np.array(["a", "b"]), [], {"b"}],
        pd.Categorical([frozenset("ab"), None, frozenset("b")]),
    ):
        assert of(same) == of(tags) == of_polars(tags)
    others = [["ab", None, "b"], [["b", "a"], None, ["b"]], [["a"], ["b"], ["b"]], [[1], None, [2]]]
    assert len({of(other) for other in (tags, *others)}) == 5


def test_types_that_change_the_meaning():
    ticks = pd.Series(DATES[:2] * 2, dtype="datetime64[us]")[:3]
    for columns in (
        [NUMBERS, pd.Series(NUMBERS, dtype="category"), pd.Series(NUMBERS, dtype="object")],
        [pd.Series(["3", "1", "2"]), pd.Series(NUMBERS, dtype="object")],
        [[1, 0, 1], [True, False, True], pd.Series([True, False, True], dtype="category")],
        [ticks, ticks.astype("int64"), ticks.astype("category"), ticks - ticks.min()],
        [ticks - ticks[0], (ticks - ticks[0]).astype("int64")],
    ):
        assert len({of(column) for column in columns}) == len(columns)


def test_which_column_is_a_category_counts():
    X = pd.DataFrame({"a": NUMBERS, "b": NUMBERS})
    changed = [X, X.astype({"a": "category"}), X.astype({"b": "category"}), X.astype("category")]
    assert len({fingerprint(frame, [0, 1, 1]) for frame in changed}) == 4


def test_compare_takes_lists(table):
    X, y = table
    X = X.assign(tags=[["a", "b"][: 1 + i % 2] for i in range(len(X))])
    models = {"lr": BaselineClassifier("lr", max_epochs=1)}
    assert len(compare(X, y, models, seeds=1)) == 1


def test_compare_makes_no_use_of_runs_on_another_type(table, tmp_path):
    X, y = table
    compare(X, y, {"a": Recorder()}, seeds=1, out=tmp_path / "runs.csv")
    with pytest.raises(ValueError, match="holds runs on other data"):
        compare(
            X.assign(row=X["row"].astype("category")),
            y,
            {"a": Recorder()},
            seeds=1,
            out=tmp_path / "runs.csv",
        )
