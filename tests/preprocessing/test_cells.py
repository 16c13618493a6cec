"""One cell, one index: neither the container nor the rows beside it decide what a cell is."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder

polars = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

UTC = dt.UTC
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
DAYS = [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(1970, 1, 1), dt.date(2024, 2, 29)]
INSTANTS = [
    dt.datetime(1960, 1, 1, 12),
    dt.datetime(2024, 3, 31, 1, 30),
    dt.datetime(2024, 3, 31, 1, 30, 0, 1),
    dt.datetime(2024, 3, 31, 7),
]

VALUES = {
    "integers": [0, 1, -1, 7, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1],
    "unsigned": [0, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1],
    "whole decimals": [0, 7, 2**64, 2**64 + 1, 10**30, 10**30 + 1],
    "decimals": [Decimal(t) for t in ("0.1", "0.10001", "7", "-1.5", "12345678901234567890.5")],
    "floats": [0.1, 0.25, 7.0, -1.5, 1e300, 2.0**53],
    "strings": ["007", "07", "7", "7.0", "NA", "", " ", "nan", "ä", "None"],
    "bytes": [b"007", b"7", b"", b"\xff"],
    "uuids": [UUID(int=i) for i in (1, 2, 2**100)],
    "booleans": [False, True],
    "days": DAYS,
    "instants": INSTANTS,
    "durations": [dt.timedelta(seconds=1), dt.timedelta(microseconds=1), dt.timedelta(days=-1)],
    "mixed": [7, True, "1", b"1", 1.5, Decimal("1.25"), dt.date(2024, 1, 1), UUID(int=1), (1, 2)],
}
POLARS = {
    "integers": [polars.Int64, polars.Decimal(38, 0)],
    "unsigned": [polars.UInt64],
    "whole decimals": [polars.Decimal(38, 0)],
    "decimals": [polars.Decimal(38, 5)],
    "floats": [polars.Float64],
    "strings": [polars.String, polars.Categorical, polars.Enum(VALUES["strings"])],
    "bytes": [polars.Binary, polars.Object],
    "uuids": [polars.Object],
    "mixed": [polars.Object],
    "booleans": [polars.Boolean],
    "days": [polars.Date, polars.Datetime("ms"), polars.Datetime("us")],
    "instants": [polars.Datetime("us"), polars.Datetime("us", "UTC")],
    "durations": [polars.Duration("us")],
}
ARROW = {
    "integers": [pa.int64(), pa.decimal128(20, 0), pa.decimal256(40, 3)],
    "unsigned": [pa.uint64(), pa.decimal128(20, 0)],
    "whole decimals": [pa.decimal128(38, 0)],
    "decimals": [pa.decimal128(38, 5), pa.decimal256(50, 9)],
    "floats": [pa.float64()],
    "strings": [pa.string(), pa.large_string(), pa.string_view()],
    "bytes": [pa.binary(), pa.large_binary()],
    "uuids": [pa.uuid()],
    "booleans": [pa.bool_()],
    "days": [pa.date32(), pa.date64(), pa.timestamp("s")],
    "instants": [pa.timestamp("us"), pa.timestamp("us", "Asia/Kolkata")],
    "durations": [pa.duration("us")],
}
PANDAS = {
    "integers": ["Int64"],
    "unsigned": ["UInt64"],
    "floats": ["Float64", "float64"],
    "strings": [pd.StringDtype("python"), pd.StringDtype("pyarrow")],
    "booleans": ["boolean"],
    "days": ["datetime64[s]", "datetime64[us]"],
    "instants": ["datetime64[us]"],
    "durations": ["timedelta64[us]"],
}
if pd.__version__ >= "3":  # before, astype("str") made strings of missing cells
    PANDAS["strings"].append("str")
NUMPY = {
    "integers": ["int64"],
    "unsigned": ["uint64"],
    "floats": ["float64"],
    "strings": ["U7"],
    "booleans": ["bool"],
    "days": ["datetime64[D]"],
    "instants": ["datetime64[us]"],
    "durations": ["timedelta64[us]"],
}


def frames(kind, values):
    """The same cells, None where one is missing, in every frame that can hold them."""
    objects = pd.Series(values, dtype=object)
    yield "objects", pd.DataFrame({"c": objects})
    yield "category", pd.DataFrame({"c": objects.astype("category")})
    for dtype in PANDAS.get(kind, []):
        series = objects.astype("datetime64[us]") if kind == "days" else objects
        yield f"pandas {dtype}", pd.DataFrame({"c": series.astype(dtype)})
        yield f"category of {dtype}", pd.DataFrame({"c": series.astype(dtype).astype("category")})
    if kind == "instants":
        for zone in (UTC, INDIA):
            aware = [v if v is None else v.replace(tzinfo=UTC).astimezone(zone) for v in values]
            yield f"objects {zone}", pd.DataFrame({"c": pd.Series(aware, dtype=object)})
        zoned = pd.to_datetime(objects, utc=True).dt.tz_convert("America/New_York")
        yield "zoned", pd.DataFrame({"c": zoned})
        yield "category of zoned", pd.DataFrame({"c": zoned.astype("category")})
    for dtype in POLARS.get(kind, []):
        yield f"polars {dtype}", as_polars(values, dtype).to_frame()
    for dtype in ARROW.get(kind, []):
        array = as_arrow(kind, values, dtype)
        yield f"Arrow {dtype}", pa.table({"c": array})
        if not isinstance(dtype, pa.BaseExtensionType):
            yield f"pandas Arrow {dtype}", pd.DataFrame({"c": pd.arrays.ArrowExtensionArray(array)})
        if dtype in (pa.string(), pa.int64()):
            yield f"Arrow {dtype} dictionary", pa.table({"c": array.dictionary_encode()})


def as_polars(values, dtype):
    if dtype == polars.Decimal:
        values = [v if v is None else Decimal(v) for v in values]
    if dtype == polars.Datetime("us", "UTC"):
        return polars.Series("c", values, dtype=polars.Datetime("us")).dt.replace_time_zone("UTC")
    if dtype == polars.Datetime:
        return polars.Series("c", values, dtype=None).cast(dtype)
    return polars.Series("c", values, dtype=dtype)


def as_arrow(kind, values, dtype):
    if pa.types.is_decimal(dtype):
        decimals = [v if v is None else Decimal(v) for v in values]
        return pa.array(decimals, type=dtype)
    if kind == "uuids":
        stored = pa.array([v if v is None else v.bytes for v in values], type=pa.binary(16))
        return pa.ExtensionArray.from_storage(dtype, stored)
    if kind == "days" and pa.types.is_timestamp(dtype):
        return pa.array(values, type=pa.date32()).cast(dtype)
    return pa.array(values, type=dtype)


def arrays(kind, values):
    """The same cells as arrays of two dimensions."""
    yield "array of objects", pd.Series(values, dtype=object).to_numpy()[:, None]
    if None not in values:
        for dtype in NUMPY.get(kind, []):
            yield f"array {dtype}", np.array(values, dtype=dtype)[:, None]


def row(X, i):
    if isinstance(X, pd.DataFrame):
        return X.iloc[i : i + 1]
    return X.slice(i, 1) if isinstance(X, pa.Table) else X[i : i + 1]


@st.composite
def tables(draw):
    kind = draw(st.sampled_from(sorted(VALUES)))
    cells = st.sampled_from(VALUES[kind])
    if draw(st.booleans()):
        cells |= st.none()
    n_rows = draw(st.sampled_from([1, 64, 65, 200]))
    start = draw(st.lists(cells, min_size=1, max_size=9))
    return kind, (start * n_rows)[:n_rows]


@given(table=tables())
@settings(max_examples=150, deadline=None)
def test_one_cell_one_index(table):
    kind, rows = table
    known = VALUES[kind] * 2 + [None]
    for containers in (frames, arrays):
        fitted = {
            name: FieldEncoder(categorical_features="all").fit(X)
            for name, X in containers(kind, known)
        }
        first = next(iter(fitted.values()))
        assert first.cardinalities_.tolist() == [2 + len(VALUES[kind])]
        assert all(encoder.equals(first) for encoder in fitted.values()), fitted.keys()
        expected = None
        for name, X in containers(kind, rows):
            found = first.transform(X)
            expected = found if expected is None else expected
            assert (found == expected).all(), name
            assert ((found == 1).ravel() == [v is None for v in rows]).all(), name
            assert found.all(), name
            alone = [first.transform(row(X, i)).item() for i in range(min(9, len(rows)))]
            assert alone == found[:9].ravel().tolist(), name
            decoded = first.inverse_transform(found)
            if containers is arrays:
                decoded = decoded.to_numpy()
            if kind == "mixed" or containers is frames:
                assert (first.transform(decoded) == found).all(), name


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_column_is_of_the_kind_of_its_values(kind):
    """Not of that of the box they are in; only a box of categories says more than its values."""
    values = VALUES[kind] * 2 + [None]
    by_name = {
        name: FieldEncoder().fit(X).field_kinds_[0]
        for containers in (frames, arrays)
        for name, X in containers(kind, values)
        if not any(word in name.lower() for word in ("categor", "dictionary", "enum"))
    }
    numeric = {"floats", "days", "instants", "durations", "integers", "unsigned"}
    expected = "numeric" if kind in numeric or "decimals" in kind else "categorical"
    assert set(by_name.values()) == {expected}, by_name


@pytest.mark.parametrize("n_rows", [1, 64, 65, 200])
def test_large_ids_beside_a_missing_one(n_rows):
    """The example of a bug report: short frames took them through float64."""
    ids = [1000009418151094273, 1000009418151094274, 1000009418151094275, None]
    X = pd.DataFrame({"id": pd.array(ids * 60, dtype="Int64")})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    assert encoder.transform(X[:n_rows]).ravel().tolist() == ([2, 3, 4, 1] * 60)[:n_rows]


@pytest.mark.parametrize(
    ("known", "given", "kind"),
    [
        (["a"], [b"a"], "bytes"),
        ([UUID(int=1)], [str(UUID(int=1))], "strings"),
        (["123"], [123.0], "numbers"),
        ([pd.Period("2024-01")], [pd.Timestamp("2024-01-01")], "dates"),
        (["2024-01-01"], [dt.date(2024, 1, 1)], "dates"),
        (["a"], ["a", 7], "numbers and strings"),
        (["a", 7], [True], "booleans"),
        (["True"], [True], "booleans"),
    ],
)
def test_another_kind_of_value_is_refused(known, given, kind):
    """Instead of being unseen in all rows, without a word."""
    X = pd.DataFrame({"c": pd.Series(known * 70, dtype=object)})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    for n_rows in (1, 70):
        X = pd.DataFrame({"c": pd.Series(given * n_rows, dtype=object)})
        with pytest.raises(ValueError, match=f"column 'c' holds {kind}, but it is categorical"):
            encoder.transform(X)


@pytest.mark.parametrize("n_rows", [1, 200])
def test_a_part_of_the_kinds_of_a_mixed_column(n_rows):
    cells = ["a", 7, dt.date(2024, 1, 1), None]
    X = pd.DataFrame({"c": pd.Series(cells * 2, dtype=object)})
    encoder = FieldEncoder().fit(X)
    expected = encoder.transform(X).ravel()[:4]
    for cell, index in zip(cells, expected, strict=True):
        for dtype in (object, None, "category"):
            column = pd.DataFrame({"c": pd.Series([cell] * n_rows, dtype=dtype)})
            assert (encoder.transform(column) == index).all()
    twice = pd.DataFrame({"c": pd.Categorical(["a"] * n_rows, categories=["a", True])})
    assert (encoder.transform(twice) == expected[0]).all()


def test_a_column_of_unseen_levels_is_told():
    X = pd.DataFrame({"site": ["a", "b"] * 100, "n": np.arange(200) % 10 / 2})
    encoder = FieldEncoder().fit(X)
    with pytest.warns(
        UserWarning, match=r"did not see, in so much of these rows: {'site': '100%'}"
    ):
        encoder.transform(X.assign(site=X["site"] + " "))
    with pytest.warns(UserWarning, match=r"beyond the range of fit.*: {'n': '20%'}"):
        encoder.transform(X.assign(n=X["n"].where(X["n"] < 4, 5)))
    encoder.transform(X.assign(n=np.where(X.index < 10, 99, 1), site=None))
    encoder.transform(X.assign(site="c").head(99))


@pytest.mark.parametrize("numbers", ["int64", "float64", "Int64", "uint16", object])
def test_identifiers_in_bins_are_told(numbers):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "userId": rng.integers(0, 671, 5000),
            "movie_id": rng.integers(0, 80, 5000) * 1000,
            "row": np.arange(5000),
            "age": rng.integers(18, 90, 5000),
            "clicks": np.floor(np.exp(rng.normal(2, 1.5, 5000))),
            "day": rng.integers(1, 366, 5000),
            "idea": rng.integers(0, 100, 5000),
        }
    ).astype(numbers)
    told = (
        r"columns \['userId', 'movie_id', 'row'\] hold whole numbers with 671 and 80 and 5,000 "
        "values and were put in 64 bins; if they are identifiers, name them in categorical_features"
    )
    for fit in (FieldEncoder().fit, FieldEncoder().fit_transform):
        with pytest.warns(UserWarning, match=told):
            fit(X)
    encoder = FieldEncoder(
        categorical_features=["userId"], binning=dict.fromkeys(["movie_id", 2], "quantile")
    ).fit(X.assign(site="a"))
    assert encoder.field_kinds_ == ["categorical"] + ["numeric"] * 6 + ["categorical"]


def test_names_of_a_multiindex_can_be_called_categorical():
    X = pd.DataFrame([[1, 2.0, "a"]] * 4)
    X.columns = pd.MultiIndex.from_tuples([("u", "id"), ("u", "n"), ("s", "site")])
    encoder = FieldEncoder(categorical_features=[("u", "id")]).fit(X)
    assert encoder.field_kinds_ == ["categorical", "numeric", "categorical"]
