"""Columns of lists, against a dict of counts and loops over rows."""

import pickle
from collections import Counter
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_dynint.preprocessing import FieldEncoder

pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")

TAGS = [["a", "b"], None, [], ["b", "b", "c"], ["c"], ["a", None, "d"]]
FRAME = pd.DataFrame({"n": [1, 2, 1, 2, 1, 1], "tags": TAGS, "s": list("xyxyxy")})
# By rows that hold them, a and b and c occur twice, d once: b's index is 3, though it is there
# three times.
ENCODED = [[2, 3, -1], [1, -1, -1], [1, -1, -1], [3, 3, 4], [4, -1, -1], [2, 1, 0]]


def by_slot(encoder, indices, j):
    """Indices of each row in field j."""
    return indices[:, encoder.slots_ == j].tolist()


def test_a_column_of_lists():
    encoder = FieldEncoder()
    indices = encoder.fit_transform(FRAME)
    assert indices.dtype == np.int32
    assert by_slot(encoder, indices, 1) == ENCODED
    assert encoder.slots_.tolist() == [0, 1, 2, 1, 1]
    assert encoder.field_kinds_ == ["numeric", "list", "categorical"]
    assert encoder.value_kinds_ == ["numbers", "lists of strings", "strings"]
    assert encoder.cardinalities_.tolist() == [4, 5, 4]
    assert encoder.get_feature_names_out().tolist() == ["n", "tags", "s", "tags[1]", "tags[2]"]
    np.testing.assert_array_equal(encoder.transform(FRAME), indices)
    plain = FieldEncoder().fit_transform(FRAME[["n", "s"]])
    np.testing.assert_array_equal(indices[:, [0, 2]], plain)
    table = encoder.levels_[1]
    assert table["level"].tolist()[2:] == ["a", "b", "c"]
    assert table["count"].tolist() == [1, 3, 2, 2, 2]  # d; two rows without lists, and a None


def test_new_lists():
    encoder = FieldEncoder().fit(FRAME)
    X = pd.DataFrame({"n": [1] * 4, "tags": [["z", "a"], None, list("abcab"), []], "s": ["x"] * 4})
    assert by_slot(encoder, encoder.transform(X), 1) == [
        *([0, 2, -1], [1, -1, -1], [2, 3, 4], [1, -1, -1])
    ]
    nothing = X.assign(tags=None)
    assert by_slot(encoder, encoder.transform(nothing), 1) == [[1, -1, -1]] * 4


CONTAINERS = {
    "arrays": lambda tags: pd.Series([t and np.array(t, dtype=object) for t in tags]),
    "pyarrow": lambda tags: pd.Series(tags, dtype=pd.ArrowDtype(pa.list_(pa.string()))),
    "both": lambda tags: pd.Series([np.array(t) if t == ["c"] else t for t in tags]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    expected = FieldEncoder().fit_transform(FRAME)
    encoder = FieldEncoder()
    X = FRAME.assign(tags=CONTAINERS[name](TAGS))
    np.testing.assert_array_equal(encoder.fit_transform(X), expected)
    np.testing.assert_array_equal(encoder.transform(FRAME), expected)


def test_polars_and_arrow():
    expected = FieldEncoder().fit_transform(FRAME)
    columns = {name: FRAME[name].tolist() for name in FRAME}
    for X in (pl.DataFrame(columns), pa.table(columns)):
        np.testing.assert_array_equal(FieldEncoder().fit_transform(X), expected)
    rows = [list(row) for row in FRAME.itertuples(index=False)]
    np.testing.assert_array_equal(FieldEncoder().fit_transform(rows), expected)


@pytest.mark.parametrize("dtype", [object, "str", "category", pd.StringDtype("pyarrow")])
def test_strings_with_a_separator(dtype):
    lists = [["a", "b"], None, ["b", "c", "b"], [], ["a"], ["c", "a"]]
    strings = pd.Series(["a|b", None, "b||c|b", "", "a|", "c|a"], dtype=dtype)
    expected = FieldEncoder().fit_transform(pd.DataFrame({"t": pd.Series(lists)}))
    encoder = FieldEncoder(separators={"t": "|"})
    X = pd.DataFrame({"t": strings})
    np.testing.assert_array_equal(encoder.fit_transform(X), expected)
    np.testing.assert_array_equal(encoder.transform(X), expected)
    np.testing.assert_array_equal(encoder.transform(X.iloc[[0]]), expected[:1])


def test_sets_are_sorted():
    lists = pd.Series([["a", "b"], ["b", "c"], ["a", "b", "c"]])
    expected = FieldEncoder().fit_transform(pd.DataFrame({"t": lists}))
    for kind in (set, frozenset):
        X = pd.DataFrame({"t": lists.map(kind)})
        np.testing.assert_array_equal(FieldEncoder().fit_transform(X), expected)


def test_sets_of_equal_elements_are_equal():
    """Whatever the type of a number, and in whatever order a set gives its elements."""
    sets = [{1, 2.5, 10, "1"}, {1.0, 2.5, np.int64(10), "1"}, {Decimal(1), Decimal("2.5"), 10, "1"}]
    indices = FieldEncoder().fit_transform(pd.DataFrame({"t": sets}))
    assert indices.tolist() == [indices[0].tolist()] * 3
    levels = FieldEncoder().fit(pd.DataFrame({"t": [{10, 9, None}, {9.0, 10}]})).levels_[0]["level"]
    assert levels.tolist()[2:] == [9, 10]


def test_categories_may_be_sets():
    sets = pd.Series([frozenset("ab"), None, frozenset("c"), frozenset("ab"), frozenset("c")])
    expected = FieldEncoder().fit_transform(pd.DataFrame({"t": sets}))
    for unused in ([], [frozenset("xyz")]):
        X = pd.DataFrame({"t": pd.Categorical(sets, [*sets.dropna().unique(), *unused])})
        np.testing.assert_array_equal(FieldEncoder().fit_transform(X), expected)


def test_a_tuple_is_one_value():
    X = pd.DataFrame({"t": [(1, 2), (1, 2), (2, 1)]})
    assert FieldEncoder(min_count=1).fit(X).field_kinds_ == ["categorical"]


def test_elements_mean_what_cells_mean():
    X = pd.DataFrame({"t": [[1, "1", True], [1.0, 2**53], [2**53 + 1, np.float32(1)]]})
    encoder = FieldEncoder(min_count=1).fit(X)
    assert sorted(map(str, encoder.levels_[0]["level"][2:])) == sorted(
        ["1", "1", "True", str(2**53), str(2**53 + 1)]
    )
    assert encoder.levels_[0]["count"].max() == 3  # of the number 1


def test_long_lists_are_cut():
    X = pd.DataFrame({"t": [list(range(100)), [5], None]})
    with pytest.warns(UserWarning, match=r"\{'t': 100\}; of longer ones the first 64 count"):
        encoder = FieldEncoder(min_count=1).fit(X)
    assert len(encoder.slots_) == 64
    with pytest.warns(UserWarning, match="the first 1 count"):
        encoder = FieldEncoder(min_count=1, max_list_length=1).fit(X)
    assert encoder.transform(X).tolist() == [[2], [3], [1]]  # 0 and 5
    assert encoder.field_kinds_ == ["list"]


@pytest.mark.parametrize(
    ("cells", "error", "message"),
    [
        ([["a"], "b"], TypeError, "column 't' holds lists, but 'b' in row 1; every cell must be"),
        ([["a"], 3], TypeError, "but 3 in row 1"),
        ([["a"], {"b": 1}], TypeError, "in row 1"),
        (["b", ["a"]], TypeError, "column 't' holds lists, but 'b' in row 0; every cell must be"),
        ([None, 3, {"a"}], TypeError, "but 3 in row 1"),
        ([3.5, np.array(["a"])], TypeError, "but 3.5 in row 0"),
        ([["a"], np.zeros((2, 2))], TypeError, r"an array of shape \(2, 2\) in row 1"),
        ([["a"], [["b"]]], TypeError, "holds lists of list objects"),
        ([[["a"]], [["b"]]], TypeError, "holds lists of list objects"),
        ([["a"], [{}]], TypeError, "holds lists of dict objects"),
        ([[1.0], [np.inf]], ValueError, "contains infinity"),
    ],
)
def test_bad_cells(cells, error, message):
    X = pd.DataFrame({"t": pd.Series(cells, dtype=object)})
    with pytest.raises(error, match=message):
        FieldEncoder().fit(X)


def test_bad_parameters_and_columns():
    for separators, message in [
        ({"u": "|"}, "separators names column 'u'"),
        ({"tags": ""}, r"separators\['tags'\] must be a string of one character or more"),
        ({"tags": "|"}, "column 'tags', which holds lists of strings, not strings"),
        ({"n": "|"}, "column 'n', which holds numbers, not strings"),
    ]:
        with pytest.raises(ValueError, match=message):
            FieldEncoder(separators=separators).fit(FRAME)
    with pytest.raises(ValueError, match=r"\['tags'\] hold lists, which have no cross"):
        FieldEncoder(crosses=[("n", "tags")], target_statistics=False).fit(FRAME)
    fitted = FieldEncoder().fit(FRAME)
    with pytest.raises(ValueError, match="holds strings, but held lists of strings in fit"):
        fitted.transform(FRAME.assign(tags=["a"] * 6))
    with pytest.raises(ValueError, match=r"holds lists of strings, but .* held strings in fit"):
        fitted.transform(FRAME.assign(s=TAGS))
    with pytest.raises(ValueError, match=r"holds lists of numbers, but .* lists of strings in fit"):
        fitted.transform(FRAME.assign(tags=[[1]] * 6))
    with pytest.raises(ValueError, match=r"lists of strings, but .* held missing values in fit"):
        FieldEncoder().fit(FRAME.assign(tags=None)).transform(FRAME)


def test_beside_crosses():
    """Columns of crosses stand between those of fields and those of further elements."""
    y = [0, 1, 0, 1, 0, 1]
    encoder = FieldEncoder(crosses=[("n", "s")])
    indices = encoder.fit_transform(FRAME, y)
    alone = FieldEncoder(crosses=[("n", "s")])
    expected = alone.fit_transform(FRAME[["n", "s"]], y)
    np.testing.assert_array_equal(indices[:, [0, 2, 3, 4]], expected)
    assert by_slot(encoder, indices, 1) == ENCODED
    np.testing.assert_array_equal(
        encoder.transform(FRAME)[:, [0, 2, 3, 4]], alone.transform(FRAME[["n", "s"]])
    )


def test_state_pickle_merge_and_decoding():
    encoder = FieldEncoder(keep_counts=True)
    indices = encoder.fit_transform(FRAME)
    for twin in (
        pickle.loads(pickle.dumps(encoder)),
        FieldEncoder().load_state_dict(encoder.state_dict()),
    ):
        assert twin.equals(encoder)
        np.testing.assert_array_equal(twin.transform(FRAME), indices)
    halves = [FieldEncoder(keep_counts=True).fit(FRAME[part]) for part in (slice(3), slice(3, 6))]
    assert halves[0].merge(halves[1]).equals(encoder)
    decoded = encoder.inverse_transform(indices)
    assert decoded["tags"].tolist()[0] == ["a", "b"]
    assert decoded["tags"].isna().tolist() == [False, True, True, False, False, False]
    np.testing.assert_array_equal(encoder.transform(decoded)[:, [1, 3]][:5], indices[:5][:, [1, 3]])
    with pytest.raises(ValueError, match="column 'tags' has indices 0 to 4, got 9"):
        encoder.inverse_transform(np.where(indices < 0, 9, indices))


def test_weights_are_counts():
    weight = [0, 1, 2, 1, 3, 0]
    encoder = FieldEncoder()
    indices = encoder.fit_transform(FRAME, sample_weight=weight)
    repeated = FRAME.loc[np.repeat(FRAME.index, weight)]
    other = FieldEncoder().fit(repeated)
    assert encoder.equals(other)
    np.testing.assert_array_equal(other.transform(FRAME), indices)


CELLS = st.lists(
    st.none() | st.lists(st.sampled_from(["a", "b", "c", 1, 2.5, None]), max_size=4),
    min_size=1,
    max_size=30,
)


@given(CELLS, st.integers(1, 3))
def test_against_a_dict(cells, min_count):
    if all(cell is None for cell in cells):
        return
    X = pd.DataFrame({"t": pd.Series(cells, dtype=object)})
    encoder = FieldEncoder(min_count=min_count)
    indices = encoder.fit_transform(X)
    np.testing.assert_array_equal(encoder.transform(X), indices)
    lists = [cell or [None] for cell in cells]
    counts = Counter(level for cell in lists for level in {v for v in cell if v is not None})
    found = encoder.levels_[0]["level"].tolist()
    assert set(found[2:]) == {level for level, n in counts.items() if n >= min_count}
    for row, cell in zip(indices, lists, strict=True):
        expected = [1 if v is None else found.index(v) if v in found[2:] else 0 for v in cell]
        assert row[row >= 0].tolist() == expected
        assert (row[len(expected) :] == -1).all()
    assert indices.shape[1] == max(map(len, lists)) == len(encoder.slots_)
