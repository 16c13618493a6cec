"""The graph of an encoder gives the indices that the encoder gives, to the last one."""

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from sk_dynint import FieldEncoder
from sk_dynint.preprocessing import EncoderGraph
from sk_dynint.preprocessing._binning import SCORES
from sk_dynint.preprocessing._onnx import MISSING_STRING, MISSING_WHOLE, edges_of

# Columns of few rows hold little, and new rows hold many values that fit never met.
pytestmark = pytest.mark.filterwarnings("ignore:column:UserWarning")

LARGE = 2**53 - 1
"""No two whole numbers up to this are the same in double precision."""


def session(encoder):
    """What runs the graph of an encoder by itself."""
    graph = EncoderGraph(encoder)
    n = len(encoder.cardinalities_)
    output = helper.make_tensor_value_info("sk_dynint/indices", TensorProto.INT64, ["N", n])
    made = helper.make_graph(graph.nodes, "encoder", graph.inputs, [output], graph.constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def feed(run, X):
    """The columns of a frame as the inputs ask for them."""
    columns = {}
    for value in run.get_inputs():
        column = X[value.name]
        is_missing = column.isna().to_numpy()
        if value.type == "tensor(string)":
            cells = np.where(is_missing, MISSING_STRING, column.astype(object))
        elif value.type == "tensor(int64)":
            whole = [MISSING_WHOLE if pd.isna(v) else int(v) for v in column]
            cells = np.array(whole, dtype=np.int64)
        elif column.dtype.kind in "mM":
            microseconds = column.astype(f"{column.dtype.kind}8[us]").astype(np.int64)
            whole, part = np.divmod(microseconds.to_numpy(), 10**6)
            cells = np.where(is_missing, np.nan, whole + part / 10**6)
        else:
            cells = column.astype(object).where(~is_missing, np.nan).to_numpy(np.float64)
        columns[value.name] = cells[:, np.newaxis]
    return columns


def assert_same_indices(encoder, X):
    run = session(encoder)
    for n in (1, len(X)):
        indices = run.run(None, feed(run, X[:n]))[0]
        np.testing.assert_array_equal(indices, encoder.transform(X[:n]))
    return [value.type for value in run.get_inputs()]


def object_series(*values):
    return pd.Series(values, dtype=object)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
CELLS = {
    "text": st.one_of(st.sampled_from(["a", "b", "", "é", "e\u0301", "\0", "nan"]), TEXT),
    "digit": st.integers(-3, 3),
    "hash": st.one_of(st.integers(2**62, 2**62 + 4), st.integers(-(2**63) + 1, 2**63 - 1)),
    "number": st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, 2.0, 5e-324, -1.5]),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    "flag": st.booleans(),
    "day": st.integers(-(10**5), 10**5).map(lambda d: pd.Timestamp(0) + pd.Timedelta(d, "D")),
    "wait": st.integers(-(10**9), 10**9).map(lambda t: pd.Timedelta(t, "us")),
}
LEVELS = ["text", "digit", "hash", "flag", "day"]
DTYPES = {"number": "float64", "day": "datetime64[us]", "wait": "timedelta64[us]"}


@st.composite
def frames(draw):
    """A frame to fit on and new rows."""

    def frame(n, is_fit):
        cells = {}
        for name, some in CELLS.items():
            values = draw(st.lists(st.none() | some, min_size=n, max_size=n))
            if is_fit and all(value is None for value in values):  # it would hold no kind
                values[0] = draw(some)
            cells[name] = pd.Series(values, dtype=DTYPES.get(name, object))
        return pd.DataFrame(cells)

    return frame(draw(st.integers(4, 12)), True), frame(draw(st.integers(2, 8)), False)


@given(
    frames=frames(),
    binning=st.sampled_from([*SCORES, "auto"]),
    min_count=st.integers(1, 2),
    levels=st.sets(st.sampled_from(LEVELS)),
    cross=st.sets(st.sampled_from(sorted(CELLS)), min_size=2, max_size=4),
)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_columns(frames, binning, min_count, levels, cross):
    X, new = frames
    encoder = FieldEncoder(
        categorical_features=sorted({"text", "hash", "flag"} | levels),
        binning=binning,
        n_bins=4,
        min_count=min_count,
        crosses=[tuple(cross)],
    )
    encoder.fit(X, np.arange(len(X)) % 2)
    assert_same_indices(encoder, pd.concat([new, X], ignore_index=True))


@pytest.mark.parametrize("binning", SCORES)
def test_both_sides_of_every_edge(binning):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.lognormal(3, 3, 500) * rng.choice([-1, 1], 500), [0.0, 1, 2, 3]])
    encoder = FieldEncoder(binning=binning, n_bins=16).fit(values[:, np.newaxis])
    edges = edges_of(encoder._fields[0])
    edges = edges[np.isfinite(edges)]
    assert len(edges) > 10
    near = [edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    special = [0.0, -0.0, np.nan, 5e-324, -5e-324, 1.7e308, -1.7e308]
    numbers = np.concatenate([*near, *(-each for each in near), special, values])
    run = session(encoder)
    indices = run.run(None, {"0": numbers[:, np.newaxis]})[0]
    np.testing.assert_array_equal(indices, encoder.transform(numbers[:, np.newaxis]))
    # An infinite number, which the encoder refuses, is like a very large one.
    infinite, large = (
        run.run(None, {"0": np.array([[size], [-size]])})[0] for size in (np.inf, 1.7e308)
    )
    np.testing.assert_array_equal(infinite, large)


def test_whole_numbers_of_64_bits():
    small = pd.DataFrame({"id": [LARGE, LARGE - 1, -LARGE, 0] * 2})
    encoder = FieldEncoder(categorical_features="all").fit(small)
    new = pd.DataFrame({"id": object_series(LARGE, LARGE - 2, 0, None, -LARGE, LARGE + 2)})
    assert assert_same_indices(encoder, new) == ["tensor(double)"]
    large = pd.DataFrame({"id": [2**53, 2**53 + 1, 2**63 - 1, 1 - 2**63] * 2})
    encoder = FieldEncoder(categorical_features="all").fit(large)
    new = pd.DataFrame({"id": object_series(2**53, 2**53 + 1, 2**53 + 2, None, 2**63 - 1, 0)})
    assert assert_same_indices(encoder, new) == ["tensor(int64)"]


def test_numbers_that_are_no_levels():
    encoder = FieldEncoder(categorical_features="all").fit(pd.DataFrame({"a": [1, 2] * 3}))
    new = pd.DataFrame({"a": [1.0, 1.5, -2.0, 1e300, -1e300, np.nan, 2.0**63, np.nextafter(1, 2)]})
    assert_same_indices(encoder, new)
    run = session(encoder)
    infinite = np.array([[np.inf], [-np.inf]])
    assert (run.run(None, {"a": infinite})[0] == 0).all()


def test_dates_as_levels():
    days = ["2024-01-01", "1969-12-31T23:59:59", "2024-01-03"] * 2
    X = pd.DataFrame({"day": np.array(days, dtype="datetime64[us]")})
    X["wait"] = X["day"] - X["day"][0]
    encoder = FieldEncoder(categorical_features="all").fit(X)
    new = X + pd.Timedelta(1, "s")
    new.loc[1, ["day", "wait"]] = pd.NaT
    assert_same_indices(encoder, pd.concat([X, new], ignore_index=True))


def test_columns_without_any_value():
    X = pd.DataFrame({"number": np.nan, "object": object_series(*[None] * 4), "b": list("xyxy")})
    encoder = FieldEncoder().fit(X)
    assert_same_indices(encoder, X)
    assert_same_indices(encoder, X.assign(number=[1.0, np.nan, 0.0, -1.0]))


def test_crosses_of_so_many_levels_that_codes_are_too_large():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.integers(0, 900, 1000).astype(str) for name in "abcdefgh"})
    X = pd.concat([X, X[:300]], ignore_index=True)
    encoder = FieldEncoder(crosses=[tuple("abcdefgh"), ("a", "b")], min_count=1)
    encoder.fit(X, rng.integers(0, 2, len(X)))
    assert encoder._crosses[0].codebook.prefixes
    new = X[:200].assign(a=X["a"][:200].to_numpy()[::-1])
    new.loc[:20, "c"] = "new"
    new.loc[21:40, "d"] = None
    assert_same_indices(encoder, pd.concat([X, new], ignore_index=True))


def test_means_of_several_classes():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: rng.choice(list("uvwxyz"), 500) for name in "ab"})
    encoder = FieldEncoder(crosses=[("a", "b")]).fit(X, rng.integers(0, 3, 500))
    assert len(encoder.cardinalities_) == 6
    assert_same_indices(encoder, X)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 1.5], "holds numbers, of which some are no whole numbers of 64 bits"),
        ([2**63, 1], "holds numbers, of which some are no whole numbers of 64 bits"),
        ([-(2**63), 1], "holds numbers, of which some are no whole numbers of 64 bits"),
        (["a", 1], "holds numbers and strings, which an ONNX graph cannot read"),
        ([True, 1], "holds booleans and numbers, which an ONNX graph cannot read"),
        ([b"a", b"b"], "holds bytes, of which some"),
        ([pd.Timestamp(0), pd.Timestamp(0.5, unit="s")], "holds dates, of which some"),
        ([["a"], ["a", "b"]], "holds lists of strings, which an ONNX graph cannot read"),
        (["a", "<NA>"], "has the level '<NA>', which stands for missing"),
    ],
)
def test_what_a_graph_cannot_read(values, message):
    X = pd.DataFrame({"b": ["x", "y"] * 4, "odd": pd.Series([*values] * 4, dtype=object)})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    with pytest.raises(ValueError, match=f"column 'odd' {message}.*; use raw_inputs=False"):
        EncoderGraph(encoder)


def test_a_kind_of_which_no_level_was_kept():
    """Strings too rare to be levels are still held by the column."""
    X = pd.DataFrame({"odd": object_series(1, 1, 2, 2, "rare", "too")})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    with pytest.raises(ValueError, match="column 'odd' holds numbers and strings"):
        EncoderGraph(encoder)


def test_a_column_without_a_name():
    encoder = FieldEncoder().fit(pd.DataFrame({"": list("xy"), "b": list("xy")}))
    with pytest.raises(ValueError, match="a column has the name '', which no input can have"):
        EncoderGraph(encoder)


@pytest.mark.slow
def test_a_million_levels():
    X = pd.DataFrame({"id": np.arange(10**6).astype(str)})
    encoder = FieldEncoder(min_count=1).fit(X)
    assert_same_indices(encoder, X[::-1][:1000].reset_index(drop=True))
