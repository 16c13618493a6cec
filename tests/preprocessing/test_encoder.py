"""The encoder as a whole: weights, order of rows, scikit-learn's conventions, errors."""

import builtins
import pickle
import sys
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import get_tags

from sk_dynint.preprocessing import FieldEncoder

from .reference import encode_levels


def assert_same_encoder(a, b):
    assert a.cardinalities_.tolist() == b.cardinalities_.tolist()
    assert a.binning_ == b.binning_
    for table_a, table_b in zip(a.levels_, b.levels_, strict=True):
        pd.testing.assert_frame_equal(table_a, table_b, check_dtype=False, check_exact=True)
    for field_a, field_b in zip(a._fields, b._fields, strict=True):
        if field_a.is_numeric:
            np.testing.assert_array_equal(field_a.thresholds, field_b.thresholds)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.floats(-5, 5) | st.just(np.nan),
        st.integers(-1, 3000).map(lambda v: v**2 // 1000),
        st.booleans(),
    ),
    min_size=1,
    max_size=120,
)
BINNINGS = st.sampled_from(["auto", "winner", "authors", "literal", "quantile"])


def make_frame(rows):
    X = pd.DataFrame(rows, columns=["s", "x", "n", "b"])
    return X.astype({"s": object, "x": float})


@settings(deadline=None, max_examples=40)
@given(rows=ROWS, binning=BINNINGS, n_bins=st.integers(2, 20), data=st.data())
def test_a_weight_is_a_repetition(rows, binning, n_bins, data):
    X = make_frame(rows)
    weight = data.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X)))
    weight[0] = 1
    encoder = FieldEncoder(binning=binning, n_bins=n_bins, threshold_numeric=True)
    weighted = clone(encoder).fit(X, sample_weight=weight)
    repeated = clone(encoder).fit(X.loc[X.index.repeat(weight)])
    assert_same_encoder(weighted, repeated)
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))
    one_pass = clone(encoder)
    encoded = one_pass.fit_transform(X, sample_weight=weight)
    np.testing.assert_array_equal(encoded, weighted.transform(X))
    assert_same_encoder(one_pass, weighted)


@settings(deadline=None, max_examples=40)
@given(rows=ROWS, binning=BINNINGS, seed=st.integers(0, 99), weighted=st.booleans())
def test_the_order_of_rows_does_not_matter(rows, binning, seed, weighted):
    X = make_frame(rows)
    rng = np.random.default_rng(seed)
    weight = rng.choice([0.1, 0.3, 1.0, 0.7], len(X)) if weighted else np.ones(len(X))
    shuffled = rng.permutation(len(X))
    encoder = FieldEncoder(binning=binning, n_bins=5, min_count=0.3).fit(X, sample_weight=weight)
    other = clone(encoder).fit(X.iloc[shuffled], sample_weight=weight[shuffled])
    assert_same_encoder(encoder, other)


def test_sums_of_fractions_do_not_depend_on_the_order():
    """Neither within a level nor over the rare levels, although 0.1 + 0.2 + 0.3 does."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"c": [f"rare{i}" for i in range(100)] + ["often"] * 100})
    weight = rng.random(200)
    encoder = FieldEncoder(min_count=2).fit(X, sample_weight=weight)
    for _ in range(5):
        rows = rng.permutation(200)
        other = FieldEncoder(min_count=2).fit(X.iloc[rows], sample_weight=weight[rows])
        assert_same_encoder(encoder, other)


def test_a_row_without_weight_leaves_no_trace():
    X = pd.DataFrame({"c": ["a'", 'a"', "b", "c"]}, dtype=object)
    encoder = FieldEncoder(min_count=1).fit(X, sample_weight=[1, 1, 1, 0])
    assert_same_encoder(encoder, FieldEncoder(min_count=1).fit(X[:3]))
    assert encoder.transform(X).tolist() == [[3], [2], [4], [0]]


def test_weights_count_in_the_table():
    X = pd.DataFrame({"c": ["a", "a", "b", None, "z"]})
    weight = [1.5, 0.5, 1.5, 0.25, 0]
    encoder = FieldEncoder(min_count=1.5).fit(X, sample_weight=weight)
    _, expected = encode_levels(X["c"], X["c"], 1.5, weight)
    table = encoder.levels_[0]
    assert list(zip(table["level"][2:], table["count"][2:], strict=True)) == expected[2:]
    assert table["count"].tolist() == [0, 0.25, 2, 1.5]


@settings(deadline=None, max_examples=40)
@given(rows=ROWS, binning=BINNINGS)
def test_one_pass_short_and_long_frames_agree(rows, binning):
    X = make_frame(rows)
    encoder = FieldEncoder(binning=binning)
    encoded = encoder.fit_transform(X)
    assert encoded.dtype == np.int32
    assert encoded.flags.c_contiguous
    assert (encoded >= 0).all()
    assert (encoded < encoder.cardinalities_).all()
    np.testing.assert_array_equal(encoder.transform(X), encoded)
    by_row = [encoder.transform(X.iloc[[i]]) for i in range(min(len(X), 9))]
    np.testing.assert_array_equal(np.vstack(by_row), encoded[:9])
    long = encoder.transform(pd.concat([X] * 80))
    np.testing.assert_array_equal(long, np.vstack([encoded] * 80))


@settings(deadline=None, max_examples=40)
@given(rows=ROWS, binning=BINNINGS)
@example(rows=[("a", 0.0, 0, False), ("a", 5e-324, 0, False)], binning="auto")
def test_inverse_transform_goes_there_and_back(rows, binning):
    X = make_frame(rows)
    encoder = FieldEncoder(binning=binning, n_bins=6, min_count=2)
    encoded = encoder.fit_transform(X)
    decoded = encoder.inverse_transform(encoded)
    assert decoded.columns.tolist() == ["s", "x", "n", "b"]
    kept = encoded[:, 0] >= 2
    assert decoded["s"][kept].tolist() == X["s"][kept].tolist()
    assert decoded.isna().to_numpy().tolist() == (encoded < 2).tolist()
    np.testing.assert_array_equal(encoder.transform(decoded), np.where(encoded == 0, 1, encoded))


def test_inverse_transform_gives_types_back():
    X = pd.DataFrame({"s": ["a", "b"], "i": [3, 4], "b": [True, False], "m": ["1", 1]})
    encoder = FieldEncoder(categorical_features="all", min_count=1).fit(X)
    decoded = encoder.inverse_transform(encoder.transform(X))
    pd.testing.assert_frame_equal(decoded, X)
    assert FieldEncoder().fit([[1.0], [2.0]]).inverse_transform([[2]]).columns.tolist() == ["x0"]


def test_attributes(clicks):
    X, _ = clicks
    encoder = FieldEncoder(binning="auto").fit(X)
    assert encoder.n_features_in_ == 6
    assert encoder.feature_names_in_.tolist() == X.columns.tolist()
    assert encoder.get_feature_names_out().tolist() == X.columns.tolist()
    assert encoder.binning_ == [None, "quantile", "winner", None, "quantile", None]
    assert encoder.field_kinds_ == ["numeric" if b else "categorical" for b in encoder.binning_]
    for table, cardinality in zip(encoder.levels_, encoder.cardinalities_, strict=True):
        assert table.index.tolist() == list(range(cardinality))
        assert table["count"].sum() == len(X)
    assert FieldEncoder().fit(X.to_numpy()).get_feature_names_out()[:2].tolist() == ["x0", "x1"]


def test_tags():
    tags = get_tags(FieldEncoder())
    assert tags.input_tags.allow_nan
    assert tags.input_tags.string
    assert tags.input_tags.categorical
    assert not tags.input_tags.sparse
    assert not tags.target_tags.required


@pytest.mark.parametrize("method", ["transform", "fit_transform"])
def test_set_output(clicks, method):
    X, _ = clicks
    X = X.set_axis(X.index + 5)
    plain = FieldEncoder().fit_transform(X)
    encoder = FieldEncoder().fit(X)
    framed = getattr(encoder.set_output(transform="pandas"), method)(X)
    pd.testing.assert_frame_equal(framed, pd.DataFrame(plain, X.index, X.columns))
    framed = getattr(encoder.set_output(transform="polars"), method)(X)
    assert framed.equals(pl.DataFrame(plain, schema=X.columns.tolist()))


def test_in_a_pipeline(clicks):
    X, y = clicks
    one_hot = OneHotEncoder(handle_unknown="ignore")
    assert make_pipeline(FieldEncoder(), one_hot).fit_transform(X, y).sum() == X.size


@pytest.mark.parametrize(
    "convert", [pl.from_pandas, pa.Table.from_pandas, pa.RecordBatch.from_pandas]
)
def test_other_frames(clicks, convert):
    X, _ = clicks
    X = X.drop(columns="mobile").assign(price=X["count"].astype("float32"))
    encoder = FieldEncoder()
    encoded = encoder.fit_transform(X)
    np.testing.assert_array_equal(encoder.transform(convert(X)), encoded)
    other = FieldEncoder()
    np.testing.assert_array_equal(other.fit_transform(convert(X)), encoded)
    assert_same_encoder(encoder, other)
    assert other.feature_names_in_.tolist() == X.columns.tolist()


def test_polars_types():
    X = pl.DataFrame(
        {
            "int": [1, 2, None],
            "bool": [True, None, True],
            "date": pl.Series([1, 2, None]).cast(pl.Date),
            "tz": pl.Series([1, 2, None]).cast(pl.Datetime("us", "Europe/Paris")),
            "enum": pl.Series(["x", None, "x"], dtype=pl.Enum(["y", "x"])),
            "decimal": pl.Series(["1.5", "2", None]).cast(pl.Decimal(10, 2)),
            "null": [None, None, None],
        }
    )
    encoder = FieldEncoder()
    encoded = encoder.fit_transform(X)
    assert encoded.tolist() == [
        [2, 2, 2, 2, 2, 2, 1],
        [3, 1, 3, 3, 1, 3, 1],
        [1, 2, 1, 1, 2, 1, 1],
    ]
    kinds = [
        "numeric",
        "categorical",
        "numeric",
        "numeric",
        "categorical",
        "numeric",
        "categorical",
    ]
    assert encoder.field_kinds_ == kinds


def test_arrays_and_lists(clicks):
    X, _ = clicks
    X = X[["site", "hour", "count", "mobile"]]
    encoded = FieldEncoder().fit_transform(X)
    objects = X.astype(object).to_numpy()
    np.testing.assert_array_equal(FieldEncoder().fit_transform(objects), encoded)
    np.testing.assert_array_equal(FieldEncoder().fit_transform(objects.tolist()), encoded)
    numbers = X[["hour", "count"]].to_numpy()
    for dtype in (np.float64, np.float32, np.float16, np.longdouble, ">f8"):
        encoder = FieldEncoder()
        np.testing.assert_array_equal(
            encoder.fit_transform(np.asfortranarray(numbers.astype(dtype))), encoded[:, 1:3]
        )
    texts = np.array([["a", "b"], ["a", "c"]])
    assert FieldEncoder().fit_transform(texts).tolist() == [[2, 0], [2, 0]]
    ids = np.array([[2**53 + 1, 2**53]] * 2, dtype=object).reshape(-1, 1)
    assert FieldEncoder(categorical_features="all").fit(ids).cardinalities_.tolist() == [4]


def test_without_pyarrow(clicks, monkeypatch):
    X, _ = clicks
    encoded = FieldEncoder().fit_transform(X)
    real_import = builtins.__import__

    def no_pyarrow(name, *args, **kwargs):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    polars = pl.from_pandas(X)
    X = X.astype({"site": "string[python]"})
    monkeypatch.setattr(builtins, "__import__", no_pyarrow)
    for module in [m for m in sys.modules if m.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, module)
    encoder = FieldEncoder()
    np.testing.assert_array_equal(encoder.fit_transform(X), encoded)
    np.testing.assert_array_equal(encoder.transform(X), encoded)
    with pytest.raises(ImportError, match=r"polars frame .* pip install 'sk-dynint\[arrow\]'"):
        encoder.transform(polars)


def test_fitted_encoder_is_compact_and_free(clicks):
    rng = np.random.default_rng(0)
    levels = pd.Series(rng.permutation(20_000)).map("{:08x}".format)
    X = pd.DataFrame({"c": pd.concat([levels] * 5, ignore_index=True).astype("str")})
    encoder = FieldEncoder().fit(X)
    encoder.transform(X[:1])
    stored = pickle.dumps(encoder)
    assert len(stored) < 20_000 * 35  # 8 letters and some bytes of frame, a count of 8
    again = pickle.loads(stored)
    np.testing.assert_array_equal(again.transform(X[:500]), encoder.transform(X[:500]))
    pd.testing.assert_frame_equal(again.inverse_transform([[9]]), encoder.inverse_transform([[9]]))
    reference = weakref.ref(X)
    del X
    assert reference() is None


def test_clone_and_repr():
    encoder = FieldEncoder(binning={"a": "winner"}, min_count=3)
    assert clone(encoder).get_params() == encoder.get_params()
    assert repr(FieldEncoder(min_count=3)) == "FieldEncoder(min_count=3)"


@pytest.mark.parametrize(
    "categorical",
    [
        ["n"],
        pd.Index(["n"]),
        ["n", 1],
        np.array(["n"]),
        [1],
        [-1],
        [False, True],
        np.array([False, True]),
    ],
)
def test_categorical_features(categorical):
    X = pd.DataFrame({"x": [1.0, 2.0, 2.0], "n": [7, 7, 3]})
    encoder = FieldEncoder(categorical_features=categorical).fit(X)
    assert encoder.field_kinds_ == ["numeric", "categorical"]
    assert FieldEncoder(categorical_features=[]).fit(X).field_kinds_ == ["numeric"] * 2
    assert FieldEncoder(categorical_features="all").fit(X).field_kinds_ == ["categorical"] * 2


def test_columns_of_one_or_no_value():
    X = pd.DataFrame(
        {"none": [None, None], "nan": [np.nan, np.nan], "same": ["a", "a"], "zero": [0, 0]}
    )
    encoder = FieldEncoder()
    assert encoder.fit_transform(X).tolist() == [[1, 1, 2, 2]] * 2
    assert encoder.cardinalities_.tolist() == [2, 2, 3, 3]
    assert encoder.binning_ == [None, "quantile", None, "quantile"]
    new = pd.DataFrame({"none": ["a", 1], "nan": [1, 2], "same": [None, "b"], "zero": [None, 9]})
    for n in (1, 40):
        encoded = encoder.transform(pd.concat([new] * n))
        assert encoded.tolist() == [[0, 0, 1, 1], [0, 0, 0, 2]] * n
    empty_strings = FieldEncoder().fit(pd.DataFrame({"c": pd.Series([None], dtype="str")}))
    assert empty_strings.transform(pd.DataFrame({"c": [1]})).tolist() == [[0]]


FITTED = pd.DataFrame(
    {
        "n": [1.0, 2.0, 2.0],
        "s": ["a", "b", "b"],
        "b": [True, False, True],
        "d": pd.to_datetime(["2024-01-01"] * 3),
    }
)
HUGE = FITTED.assign(n=pd.Series([10**400, 1, 2], dtype=object))  # pandas 2.2 infers no such dtype


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("n", ["1", "2", "x"], "column 'n' holds strings, but it is numeric and held numbers"),
        ("n", FITTED["d"], "column 'n' holds dates, but it is numeric and held numbers in fit"),
        ("s", [1, 2, 2], "column 's' holds numbers, but it is categorical and held strings"),
        ("b", [0, 1, 1], "column 'b' holds numbers, but it is categorical and held booleans"),
        ("d", [0, 1, 1], "column 'd' holds numbers, but it is numeric and held dates in fit"),
        ("n", [1, "x", None], "column 'n' holds numbers and strings, but it is numeric"),
        ("n", [1.0, np.inf, 2.0], r"Input X contains infinity .* in column 'n'"),
    ],
)
def test_transform_refuses_other_values(name, values, message):
    encoder = FieldEncoder().fit(FITTED)
    with pytest.raises(ValueError, match=message):
        encoder.transform(FITTED.assign(**{name: values}))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_transform_takes_a_column_of_holes_for_any(missing):
    encoder = FieldEncoder().fit(FITTED)
    for dtype in (object, "float", "category") if missing is not pd.NA else (object,):
        holes = FITTED.astype(object).assign(**dict.fromkeys(FITTED, missing)).astype(dtype)
        assert encoder.transform(holes).tolist() == [[1, 1, 1, 1]] * 3


def test_transform_refuses_other_columns():
    encoder = FieldEncoder().fit(FITTED)
    with pytest.raises(ValueError, match=r"Feature names must be in the same order"):
        encoder.transform(FITTED[["s", "n", "b", "d"]])
    with pytest.raises(ValueError, match=r"Feature names seen at fit time, yet now missing:\n- d"):
        encoder.transform(FITTED[["n", "s", "b"]])
    with pytest.raises(ValueError, match=r"Feature names unseen at fit time:\n- x"):
        encoder.transform(FITTED.rename(columns={"d": "x"}))
    with pytest.raises(ValueError, match="X has 1 features, but FieldEncoder is expecting 2"):
        FieldEncoder().fit([[1, 2]]).transform([[1]])
    with pytest.raises(NotFittedError):
        FieldEncoder().transform(FITTED)
    assert not hasattr(FieldEncoder(), "levels_")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (FITTED[:0], ValueError, r"0 sample\(s\) \(shape=\(0, 4\)\) while a minimum of 1"),
        (FITTED[[]], ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        (np.empty((0, 2)), ValueError, r"0 sample\(s\)"),
        (FITTED[["n", "n", "s"]], ValueError, r"names that differ, got more than one of \['n'\]"),
        (FITTED.rename(columns={"n": 0}), TypeError, "Feature names are only supported if all"),
        (FITTED.assign(n=[1, -np.inf, 2]), ValueError, r"contains infinity .* in column 'n'"),
        (np.array([[1, np.inf]]), ValueError, r"contains infinity .* in column 1"),
        (HUGE, ValueError, r"a value too large .* in column 'n'"),
        (FITTED.assign(s=[{}, 1, 2]), TypeError, r"must be a string or a number .*column 's'"),
        (FITTED.assign(s=["1", [], "2"]), TypeError, "column 's' holds lists, but '1' in row 0"),
        (FITTED.assign(s=[[], "1", "2"]), TypeError, "column 's' holds lists, but '1' in row 1"),
        (FITTED.assign(n=[1j, 2, 3]), ValueError, r"Complex data not supported: column 'n'"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (sp.eye_array(3, format="csr"), TypeError, "Sparse data was passed"),
        (FITTED["n"], ValueError, "Expected 2D|Expected a 2-dimensional"),
        ("table.parquet", FileNotFoundError, "there is no file .table.parquet."),
    ],
)
def test_fit_refuses(X, error, message):
    with pytest.raises(error, match=message):
        FieldEncoder().fit(X)
    with pytest.raises(error, match=message):
        FieldEncoder().fit_transform(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"binning": "log"}, "The 'binning' parameter of FieldEncoder must be"),
        ({"n_bins": 1}, "The 'n_bins' parameter"),
        ({"n_bins": 2.5}, "The 'n_bins' parameter"),
        ({"min_count": -1}, "The 'min_count' parameter"),
        ({"min_count": np.nan}, "The 'min_count' parameter"),
        ({"threshold_numeric": "yes"}, "The 'threshold_numeric' parameter"),
        ({"categorical_features": "some"}, "The 'categorical_features' parameter"),
        ({"categorical_features": ["s", "q"]}, "categorical_features names column 'q', which is"),
        ({"categorical_features": [4]}, "categorical_features names column 4, which is neither"),
        ({"categorical_features": [True]}, "a mask of length 1, but X has 4 columns"),
        ({"categorical_features": [["s"]]}, r"must be a one-dimensional .* got shape \(1, 1\)"),
        ({"binning": {"q": "winner"}}, "binning names column 'q', which is neither a name nor"),
        ({"binning": {"n": "log"}}, r"binning\['n'\] must be one of .*, got 'log'"),
        ({"binning": {"s": "winner"}}, r"binning\['s'\]='winner', but column 's' is categorical"),
    ],
)
def test_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        FieldEncoder(**parameters).fit(FITTED)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([0, 0, 0], "at least one non-zero"),
        ([1, -1, 1], "Negative values"),
        ([1, np.nan, 1], "NaN"),
        ([1, 1], r"sample_weight.shape == \(2,\), expected \(3,\)"),
    ],
)
def test_weights_are_checked(weight, message):
    with pytest.raises(ValueError, match=message):
        FieldEncoder().fit(FITTED, sample_weight=weight)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([[2, 2, 2]], "X has 3 features, but FieldEncoder is expecting 4 features"),
        ([[2, 3, 2, 2]], r"column 's' has indices 0 to 2, got .*3"),
        ([[2, 2, -1, 2]], r"column 'b' has indices 0 to 2, got .*-1"),
        ([[2, 2, 2, 1.5]], r"column 'd' has indices 0 to 2, got .*1.5"),
    ],
)
def test_inverse_transform_refuses(indices, message):
    encoder = FieldEncoder().fit(FITTED)
    with pytest.raises(ValueError, match=message):
        encoder.inverse_transform(indices)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"a": [1, 2], "tags": [{"x": 1}, {"x": 2}]}), "must be a string or a number"),
        (pl.DataFrame({"a": pl.Series([1, 2], dtype=pl.Int128)}), "Arrow cannot hold"),
    ],
    ids=["structs", "128 bits"],
)
def test_polars_frames_that_cannot_be_read(frame, message):
    with pytest.raises(TypeError, match=message):
        FieldEncoder().fit(frame)
