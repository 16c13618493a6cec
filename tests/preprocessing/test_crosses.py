"""Columns together: levels of combinations, and the mean of the target in each."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_dynint.preprocessing import FieldEncoder, _crosses
from tests.conftest import make_clicks

from .reference import encode_cross, target_means
from .test_state import assert_same, through_files
from .test_threads import threads

CELLS = st.tuples(
    st.sampled_from(["a", "b", "c", "d", None]),
    st.integers(0, 3),
    st.sampled_from([0.5, 1.0, 1.5, 2.5, np.nan]),
    st.booleans(),
)
ROWS = st.lists(CELLS, min_size=2, max_size=60)
CROSSES = st.sampled_from([[("s", "n")], [("x", "s")], [(0, -1), ("x", "n", "s")], [(2, 1, 0)]])


def make_frame(rows):
    X = pd.DataFrame(rows, columns=["s", "n", "x", "y"])
    return X.drop(columns="y").astype({"s": object, "x": float}), X["y"].to_numpy()


def make_pairs(n_samples=2_000, n_levels=20, seed=0):
    """Frame with a label that depends on nothing but a pair of columns."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, n_levels, (2, n_samples))
    effect = rng.normal(size=(n_levels, n_levels)) * 3
    y = (rng.random(n_samples) < 1 / (1 + np.exp(-effect[user, item]))).astype(int)
    names = {"user": [f"u{i}" for i in user], "item": [f"i{i}" for i in item]}
    return pd.DataFrame(names | {"age": rng.normal(size=n_samples)}), y


def positions(cross):
    """Columns of a cross, in their order."""
    return sorted(dict(zip("snx", range(3), strict=True)).get(key, key) % 3 for key in cross)


@given(
    rows=ROWS, crosses=CROSSES, n_bins=st.integers(2, 6), min_count=st.integers(1, 3), d=st.data()
)
@settings(deadline=None, max_examples=60)
def test_against_the_reference(rows, crosses, n_bins, min_count, d):
    X, y = make_frame(rows)
    weights = d.draw(st.none() | st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X)))
    if weights:
        weights[0] = 1
    encoder = FieldEncoder(crosses=crosses, n_bins=n_bins, min_count=min_count)
    trained = encoder.fit_transform(X, y, weights)
    encoded = encoder.transform(X)
    plain = clone(encoder).set_params(crosses=None).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(encoded[:, :3], plain.transform(X))
    np.testing.assert_array_equal(trained[:, :3], encoded[:, :3])
    for k, cross in enumerate(crosses):
        parts = [tuple(row) for row in encoded[:, positions(cross)].tolist()]
        indices, table = encode_cross(parts, parts, min_count, weights)
        levels, means = 3 + 2 * k, 4 + 2 * k
        assert encoded[:, levels].tolist() == trained[:, levels].tolist() == indices
        assert encoder.levels_[levels]["count"].tolist() == [count for _, count in table]
        weight = weights or [1] * len(X)
        held_out = np.array([target_means(parts, y, weight, fitted) for fitted in (True, False)])
        bins = FieldEncoder(n_bins=n_bins).fit(held_out[0][:, None], sample_weight=weight)
        expected = np.column_stack([bins.transform(values[:, None]) for values in held_out])
        expected[np.isnan(held_out.T)] = 0
        full = np.where(np.array(weight) > 0, expected[:, 0], expected[:, 1])
        assert trained[:, means].tolist() == full.tolist()
        assert encoded[:, means].tolist() == expected[:, 1].tolist()
        assert encoder.levels_[means]["count"].sum() == sum(weight)
    assert encoder.transform(X.iloc[[-1]]).tolist() == encoded[-1:].tolist()
    assert (trained < encoder.cardinalities_).all()


@given(rows=ROWS, crosses=CROSSES, d=st.data())
@settings(deadline=None, max_examples=40)
def test_weights_and_order_of_rows(rows, crosses, d):
    X, y = make_frame(rows)
    weights = d.draw(st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X)))
    weights[0] = 1
    counted = np.array(weights) > 0
    encoder = FieldEncoder(crosses=crosses, target_statistics=False)
    weighted = clone(encoder).fit(X, sample_weight=weights)
    assert weighted.equals(clone(encoder).fit(X.loc[X.index.repeat(weights)]))
    order = d.draw(st.permutations(range(len(X))))
    fractions = np.array(weights) * 0.1
    shuffled = clone(encoder).fit(X.iloc[order], sample_weight=fractions[order])
    assert shuffled.equals(clone(encoder).fit(X, sample_weight=fractions))
    encoder.set_params(target_statistics=True)
    absent = clone(encoder).fit(X[counted], y[counted], np.array(weights)[counted])
    with_zeros = clone(encoder)
    encoded = with_zeros.fit_transform(X, y, weights)
    assert with_zeros.equals(absent)
    np.testing.assert_array_equal(encoded[~counted], with_zeros.transform(X)[~counted])


@given(rows=ROWS, crosses=CROSSES)
@settings(deadline=None, max_examples=30)
def test_the_order_of_columns_in_a_cross_does_not_matter(rows, crosses):
    X, y = make_frame(rows)
    one, two = FieldEncoder(crosses=crosses), FieldEncoder(crosses=[c[::-1] for c in crosses])
    np.testing.assert_array_equal(one.fit_transform(X, y), two.fit_transform(X, y))
    assert one.equals(two)
    assert one.get_feature_names_out().tolist() == two.get_feature_names_out().tolist()


@given(rows=ROWS, n_rows=st.integers(1, 20), weighted=st.booleans(), bound=st.integers(1, 11))
@settings(deadline=None, max_examples=40)
def test_codes_beyond_the_range_of_integers(rows, n_rows, weighted, bound):
    """Codes of some digits are replaced by their positions; rows are encoded in blocks."""
    X, y = make_frame(rows)
    weights = (np.arange(len(X)) % 3 < 2) * 1.0 if weighted else None
    encoder = FieldEncoder(crosses=[("s", "n", "x"), ("n", "x")], min_count=1)
    encoded = clone(encoder).fit_transform(X, y, weights)
    usual = clone(encoder).fit(X, y, weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_crosses, "MAX_CODE", bound)
        patch.setattr(_crosses, "_ROWS", n_rows)
        np.testing.assert_array_equal(encoder.fit_transform(X, y, weights), encoded)
        assert encoder._crosses[0].codebook.prefixes
        np.testing.assert_array_equal(encoder.transform(X), usual.transform(X))
        new = X.iloc[:3].assign(s="z")
        np.testing.assert_array_equal(encoder.transform(new), usual.transform(new))
    for ours, theirs in zip(encoder.levels_, usual.levels_, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
    twin = clone(encoder).load_state_dict(through_files(encoder.state_dict()))
    assert twin.equals(encoder)
    assert not usual.equals(encoder)
    assert_same(twin, encoder, X)


def test_many_columns_of_many_levels():
    """Eight columns of 300 levels make more combinations than 64 bits can count."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 300, (4_000, 8))
    X = pd.DataFrame(np.vstack([rows, rows]).astype(str))
    encoder = FieldEncoder(crosses=[tuple(range(8))], target_statistics=False)
    encoded = encoder.fit_transform(X)[:, 8]
    np.testing.assert_array_equal(encoded[:4_000], encoded[4_000:])
    assert sorted(encoded[:4_000]) == list(range(2, 4_002))
    other = X.assign(last=np.roll(X[7], 1)).drop(columns=7).set_axis(X.columns, axis=1)
    is_same = (other == X).all(axis=1)
    np.testing.assert_array_equal(encoder.transform(other)[:, 8], np.where(is_same, encoded, 0))
    levels = encoder.levels_[8]["level"].iloc[encoded[:3]].tolist()
    assert levels == [tuple(row) for row in X.iloc[:3].to_numpy().tolist()]


def test_a_combination_that_fit_did_not_meet():
    X = pd.DataFrame({"a": ["p", "p", "q", "q"] * 4, "b": ["r", "s", "r", "r"] * 4})
    encoder = FieldEncoder(crosses=[("a", "b")]).fit(X, [0, 1] * 8)
    new = pd.DataFrame([["q", "s"], ["q", None], ["z", "r"]], columns=["a", "b"])
    assert encoder.transform(new).tolist() == [[3, 3, 0, 0], [3, 1, 0, 0], [0, 2, 0, 0]]
    rare = pd.DataFrame({"a": ["p", "p", "q"] * 2, "b": ["r", "r", "s"] * 2, "c": list("uuuvwx")})
    encoder = FieldEncoder(crosses=[("a", "b"), ("a", "c")], min_count=3)
    encoded = encoder.fit(rare, [0, 1, 0, 1, 0, 1]).transform(rare)
    assert encoded.tolist()[2] == [0, 0, 2, 0, 0, 0, 0]  # "q" itself is rare
    frame = rare.assign(a="p")
    encoded = (
        FieldEncoder(crosses=[("a", "c")], min_count=2).fit(frame, [0, 1] * 3).transform(frame)
    )
    assert encoded[0, 3] == 2


def test_a_rare_level_has_a_mean():
    X = pd.DataFrame({"a": list("ppqq"), "b": list("rsrs")})
    encoder = FieldEncoder(crosses=[("a", "b")]).fit(X.loc[[0, 0, 0, 1, 2, 2, 3, 3]], [0, 1] * 4)
    encoded = encoder.transform(X)
    assert encoded[:, 2].tolist() == [2, 0, 3, 4]
    assert encoded[1, 3] >= 0
    assert encoder.levels_[2]["count"].tolist() == [1, 0, 3, 2, 2]
    assert encoder.levels_[2]["level"].tolist()[2:] == [("p", "r"), ("q", "r"), ("q", "s")]


def test_missing_parts_and_bins_in_levels():
    X = pd.DataFrame({"a": ["p", None, "p", None], "n": [1.0, 2.0, np.nan, 2.0]})
    X = pd.concat([X, X, X.assign(n=[7.0, 8.0, 9.0, 9.5])])
    encoder = FieldEncoder(crosses=[("n", "a")], n_bins=2, target_statistics=False).fit(X)
    levels = [level for level in encoder.levels_[2]["level"] if isinstance(level, tuple)]
    assert ("p", np.nan) in [(a, np.nan if pd.isna(n) else n) for a, n in levels]
    assert any(pd.isna(a) and n == pd.Interval(1, 2, closed="both") for a, n in levels)
    dates = pd.DataFrame({"a": ["p"] * 4, "d": pd.to_datetime(["2024-01-01", "2024-01-02"] * 2)})
    encoder = FieldEncoder(crosses=[("a", "d")], target_statistics=False).fit(dates)
    assert encoder.levels_[2]["level"].tolist()[2:] == [
        ("p", pd.Timestamp("2024-01-01")),
        ("p", pd.Timestamp("2024-01-02")),
    ]


def test_names_and_attributes():
    X, y = make_pairs()
    crosses = [("item", "user"), ["age", 0]]
    encoder = FieldEncoder(crosses=crosses).fit(X, y)
    names = ["user", "item", "age"]
    extra = ["user:item", "target mean of user:item", "user:age", "target mean of user:age"]
    assert encoder.get_feature_names_out().tolist() == names + extra
    assert encoder.feature_names_in_.tolist() == names
    assert encoder.n_features_in_ == len(encoder.value_kinds_) == 3
    assert encoder.field_kinds_[2:] == ["numeric", *["cross", "statistic"] * 2]
    assert encoder.binning_ == [None, None, "quantile", *[None, "quantile"] * 2]
    assert len(encoder.cardinalities_) == 7
    made_of = [columns.tolist() for columns in encoder.field_columns_]
    assert made_of == [[0], [1], [2], *[[0, 1]] * 2, *[[0, 2]] * 2]
    for table, cardinality in zip(encoder.levels_, encoder.cardinalities_, strict=True):
        assert table.index.tolist() == list(range(cardinality))
        assert table["count"].sum() == len(X)
        assert table["count"].dtype.kind == "i"
    array = FieldEncoder(crosses=[(0, 1)]).fit(X.to_numpy(), y)
    assert array.get_feature_names_out().tolist() == [
        *("x0", "x1", "x2"),
        *("x0:x1", "target mean of x0:x1"),
    ]
    framed = encoder.set_output(transform="pandas").fit_transform(X, y)
    assert framed.columns.tolist() == names + extra
    assert encoder.set_output(transform="polars").transform(X).columns == names + extra
    tags = [get_tags(FieldEncoder(crosses=c)).target_tags.required for c in (None, crosses)]
    assert tags == [False, True]


def test_inverse_transform_decodes_columns():
    X, y = make_pairs()
    encoder = FieldEncoder(crosses=[("user", "item")])
    decoded = encoder.inverse_transform(encoder.fit_transform(X, y))
    assert decoded.columns.tolist() == ["user", "item", "age"]
    np.testing.assert_array_equal(encoder.transform(decoded), encoder.transform(X))
    with pytest.raises(ValueError, match="X has 3 features, but FieldEncoder is expecting 5"):
        encoder.inverse_transform([[2, 2, 2]])
    with pytest.raises(ValueError, match=r"column 'user:item' has indices 0 to .*, got 9999"):
        encoder.inverse_transform([[2, 2, 2, 9999, 0]])


@pytest.mark.parametrize(
    "convert",
    [
        lambda y: np.where(y, "yes", "no"),
        lambda y: np.where(y, "yes", "no").astype(object).tolist(),
        lambda y: pd.Series(y).astype("category"),
        lambda y: pd.Series(y).astype("boolean"),
        lambda y: pd.Series(y * 3).astype("Int64"),
        lambda y: y == 1,
        lambda y: y * 2.0 - 1,
        lambda y: y[:, None],
    ],
)
def test_labels_of_any_kind(convert):
    X, y = make_pairs(300)
    encoder = FieldEncoder(crosses=[("user", "item")])
    expected = encoder.fit_transform(X, y)
    np.testing.assert_array_equal(encoder.fit_transform(X, convert(y)), expected)


def test_more_than_two_classes():
    X, _ = make_pairs(600, n_levels=5)
    y = np.random.default_rng(0).choice(["a", "b", "c"], 600)
    encoder = FieldEncoder(crosses=[("user", "item"), ("age", "item")])
    encoded = encoder.fit_transform(X, y)
    assert encoded.shape == (600, 3 + 2 * 4)
    assert encoder.field_kinds_[3:7] == ["cross", *["statistic"] * 3]
    names = encoder.get_feature_names_out()[4:7].tolist()
    assert names == [f"target mean of user:item, class {c}" for c in "abc"]
    for i, c in enumerate("abc"):
        alone = FieldEncoder(crosses=[("user", "item")]).fit_transform(X, y == c)
        np.testing.assert_array_equal(encoded[:, 4 + i], alone[:, 4])
    twin = FieldEncoder().load_state_dict(through_files(encoder.state_dict()))
    assert twin.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()
    one_class = FieldEncoder(crosses=[("user", "item")]).fit_transform(X, ["a"] * 600)
    assert one_class.shape == (600, 5)


def test_a_class_without_weight_has_no_field():
    X, y = make_pairs(300, n_levels=5)
    encoder = FieldEncoder(crosses=[("user", "item")])
    labels, weight = y.astype(float), np.ones(300)
    labels[:9], weight[:9] = [2, 3, np.nan] * 3, 0
    assert encoder.fit(X, labels, weight).equals(clone(encoder).fit(X[9:], y[9:]))


def test_training_rows_do_not_see_their_own_labels():
    """Labels that nothing tells of: pairs of two rows each would give half of them away."""
    rng = np.random.default_rng(0)
    pairs = np.arange(4_000) // 2
    X = pd.DataFrame({"a": (pairs % 50).astype(str), "b": (pairs // 50).astype(str)})
    y = rng.integers(0, 2, len(X))
    encoder = FieldEncoder(crosses=[("a", "b")])
    trained = encoder.fit_transform(X, y)[:, 3]
    encoded = encoder.transform(X)[:, 3]
    told = [
        sum(abs(y[index == i].mean() - 0.5) * (index == i).mean() for i in np.unique(index))
        for index in (trained, encoded)
    ]
    assert told[0] < 0.03
    assert told[1] > 0.2


def test_the_same_folds_every_time():
    X, y = make_pairs(200)
    np.random.seed(1)  # noqa: NPY002
    one = FieldEncoder(crosses=[("user", "item")]).fit_transform(X, y)
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.random.random() == drawn  # noqa: NPY002
    np.testing.assert_array_equal(FieldEncoder(crosses=[("user", "item")]).fit_transform(X, y), one)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_make_no_difference(n_threads, monkeypatch):
    X, y = make_pairs(1_000)
    encoder = FieldEncoder(crosses=[("user", "item"), ("item", "age"), ("age", "user")])
    encoded, trained = encoder.fit(X, y).transform(X), encoder.fit_transform(X, y)
    monkeypatch.setattr(_crosses, "_ROWS", 64)
    with threads(n_threads):
        np.testing.assert_array_equal(encoder.fit_transform(X, y), trained)
        np.testing.assert_array_equal(encoder.transform(X), encoded)


def test_without_means():
    X, y = make_pairs()
    encoder = FieldEncoder(crosses=[("user", "item")], target_statistics=False)
    encoded = encoder.fit_transform(X)
    assert encoder.get_feature_names_out().tolist() == [*X, "user:item"]
    np.testing.assert_array_equal(encoder.transform(X), encoded)
    np.testing.assert_array_equal(encoder.fit_transform(X, y), encoded)
    with_means = FieldEncoder(crosses=[("user", "item")]).fit_transform(X, y)
    np.testing.assert_array_equal(with_means[:, :4], encoded)
    np.testing.assert_array_equal(FieldEncoder(crosses=[]).fit_transform(X), encoded[:, :3])
    kept = encoder.cardinalities_[3] - 2
    assert len(encoder._crosses[0].codes) == kept + 1  # rare levels need no place


def test_state_pickle_and_equals():
    X, y = make_clicks(400)
    crosses = [("site", "hour"), ("device", "mobile", "day"), ("count", "site")]
    encoder = FieldEncoder(crosses=crosses).fit(X, y)
    state = through_files(encoder.state_dict())
    twin = FieldEncoder().load_state_dict(state)
    assert_same(encoder, twin, X)
    assert twin.equals(encoder)
    assert pickle.loads(pickle.dumps(encoder)).equals(encoder)
    assert twin.field_kinds_ == encoder.field_kinds_
    for other in (None, crosses[:2], [*crosses[:2], ("count", "hour")]):
        assert not encoder.equals(FieldEncoder(crosses=other).fit(X, y))
    assert not encoder.equals(clone(encoder).fit(X, 1 - y))
    assert not encoder.equals(clone(encoder).set_params(target_statistics=False).fit(X))


FITTED = pd.DataFrame({"a": list("xyxy"), "b": list("zzww"), "c": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("crosses", "message"),
    [
        ("ab", "The 'crosses' parameter of FieldEncoder must be"),
        (("a", "b"), r"crosses must be a list of tuples of columns, .* but 'a' is no tuple"),
        ([("a",)], r"a cross has two or more columns that differ, got \('a',\)"),
        ([("a", "a")], r"a cross has two or more columns that differ, got \('a', 'a'\)"),
        ([("a", "b", 0)], r"a cross has two or more columns that differ, got \('a', 'b', 0\)"),
        ([("a", "d")], r"crosses names column 'd', which .* the columns are \['a', 'b', 'c'\]"),
        ([("a", 3)], "crosses names column 3, which is neither a name nor a position"),
        ([("a", "b"), ("b", 0)], r"crosses has \('b', 0\) twice; the order of columns does not"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_crosses_are_checked(crosses, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(FieldEncoder(crosses=crosses), method)(FITTED, [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "target y is None: crosses have means .* pass y, or target_statistics=False"),
        ([0, 1, 0], "inconsistent numbers of samples"),
        ([0, 1, np.nan, 1], "Input y contains NaN: 1 of 4 labels are missing"),
        (["a", None, None, "b"], "Input y contains NaN: 2 of 4 labels are missing"),
        ([0.5, 1, 0, 1], "y must hold classes for target_statistics=True, got numbers such as 0.5"),
        ([[0, 1]] * 4, "y should be a 1d array"),
    ],
)
def test_labels_are_checked(y, message):
    with pytest.raises(ValueError, match=message):
        FieldEncoder(crosses=[("a", "b")]).fit(FITTED, y)
    FieldEncoder().fit(FITTED, y)
    FieldEncoder(crosses=[("a", "b")], target_statistics=False).fit(FITTED, y)


def test_no_merging():
    encoder = FieldEncoder(crosses=[("a", "b")], target_statistics=False, keep_counts=True)
    one, two = clone(encoder).fit(FITTED), clone(encoder).fit(FITTED)
    with pytest.raises(ValueError, match="encoders with crosses cannot be merged: counts of the"):
        one.merge(two)


@parametrize_with_checks(
    [FieldEncoder(crosses=[(0, 1)], target_statistics=False), FieldEncoder(crosses=[(0, 1)])],
    expected_failed_checks=lambda encoder: (
        {"check_fit2d_1feature": "a cross has two columns"}
        | dict.fromkeys(
            [
                "check_transformer_general",
                "check_transformer_data_not_an_array",
                "check_sample_weight_equivalence_on_dense_data",
            ]
            if encoder.target_statistics
            else [],
            "means of the target are cross-fitted, by folds of the rows",
        )
    ),
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
