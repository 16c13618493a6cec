"""Wrong data and wrong parameters: an error that says what was got and what is allowed."""

import numpy as np
import pandas as pd
import pytest

from sk_dynint import FieldEncoder
from tests.conftest import fast


@pytest.fixture(scope="module")
def fitted(clicks):
    X, y = clicks
    return fast().fit(X, y)


def test_empty_frame(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fast().fit(X.head(0), y[:0])
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        fast().fit(X[[]], y)


def test_one_class(clicks):
    X, _ = clicks
    with pytest.raises(ValueError, match=r"y has one class only, \[1\]"):
        fast().fit(X, np.ones(len(X), int))


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
def test_missing_labels(clicks, missing):
    X, y = clicks
    y = pd.Series(y, dtype=object)
    y.iloc[[3, 5]] = missing
    with pytest.raises(ValueError, match="Input y contains NaN: 2 of 600 labels"):
        fast().fit(X, y)


def test_continuous_labels(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        fast().fit(X, y + 0.5 * np.arange(len(y)))


def test_lengths_differ(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fast().fit(X, y[:-1])


def test_weights(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match="at least one non-zero"):
        fast().fit(X, y, sample_weight=np.zeros(len(y)))
    with pytest.raises(ValueError, match="Negative values"):
        fast().fit(X, y, sample_weight=-np.ones(len(y)))


def test_all_missing_and_constant_columns_are_allowed(clicks):
    X, y = clicks
    X = X.assign(empty=np.nan, nothing=None, constant=3, word="w")
    with pytest.warns(UserWarning, match=r"columns \['empty', 'nothing'\] hold no value"):
        model = fast().fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("Int64", int), ("boolean", bool), (object, int), ("int64[pyarrow]", int), ("str", object)],
)
def test_labels_keep_their_kind(clicks, dtype, expected):
    """Nullable ones became floats, and booleans in a column of objects were refused."""
    X, y = clicks
    labels = pd.Series(y).astype(dtype)
    model = fast(max_epochs=1).fit(X, labels)
    assert model.classes_.dtype == expected
    assert model.predict(X.head(3)).dtype == expected
    truths = pd.Series(y.astype(bool), dtype=object)
    assert fast(max_epochs=1).fit(X, truths).classes_.tolist() == [False, True]


def test_column_missing_or_renamed_at_predict(clicks, fitted):
    X, _ = clicks
    with pytest.raises(ValueError, match=r"(?s)feature names.*site"):
        fitted.predict(X.drop(columns="site"))
    with pytest.raises(ValueError, match=r"(?s)feature names.*website"):
        fitted.predict(X.rename(columns={"site": "website"}))


def test_wrong_dtype_at_predict(clicks, fitted):
    X, _ = clicks
    with pytest.raises((TypeError, ValueError), match="hour"):
        fitted.predict(X.assign(hour="noon"))
    with pytest.raises((TypeError, ValueError), match="site"):
        fitted.predict(X.assign(site=1.5))


def test_infinity(clicks, fitted):
    X, y = clicks
    X = X.assign(count=np.where(np.arange(len(X)) == 7, np.inf, X["count"]))
    with pytest.raises(ValueError, match=r"infinity.*count"):
        fast().fit(X, y)
    with pytest.raises(ValueError, match=r"infinity.*count"):
        fitted.predict(X)


def test_duplicated_column_names(clicks):
    X, y = clicks
    X = pd.concat([X, X[["site"]]], axis=1)
    with pytest.raises(ValueError, match=r"names that differ.*site"):
        fast().fit(X, y)


def test_validation_rows(clicks):
    X, y = clicks
    with pytest.raises(ValueError, match="X_val was passed without y_val"):
        fast().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val was passed without X_val"):
        fast().fit(X, y, y_val=y)
    with pytest.raises(ValueError, match=r"labels \[7\] that are not in \[0, 1\]"):
        fast().fit(X, y, X_val=X, y_val=np.full(len(y), 7))
    with pytest.raises(ValueError, match="validation rows are of one class"):
        fast(scoring="auc").fit(X, y, X_val=X[y == 1], y_val=y[y == 1])
    with pytest.raises(ValueError, match=r"validation_fraction=0.001 of 600 rows cannot be set"):
        fast(validation_fraction=0.001).fit(X, y)
    rare = (np.arange(len(y)) < 3).astype(int)
    with pytest.raises(ValueError, match="validation rows are of one class"):
        fast(scoring="auc").fit(X, rare)
    balanced = fast(class_weight="balanced")
    balanced.fit(X, y, X_val=X[y == 1], y_val=y[y == 1])  # weights are those of the training rows
    with pytest.raises(ValueError, match="'balanced' is not supported by partial_fit"):
        balanced.partial_fit(X, y)
    history = fast().fit(X, y, X_val=X[y == 1], y_val=y[y == 1]).history_
    assert history["valid_auc"].isna().all()
    assert history["valid_loss"].notna().all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:columns .* keep no level")
def test_a_million_levels():
    """Every row its own level: below `min_count` they all share index 0."""
    n_samples = 1_000_000
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"id": np.arange(n_samples).astype(str), "a": rng.integers(0, 3, n_samples)})
    y = rng.integers(0, 2, n_samples)
    kept = fast(encoder=FieldEncoder(min_count=1), max_epochs=1, early_stopping=False).fit(X, y)
    assert kept.encoder_.cardinalities_[0] == n_samples + 2
    merged = fast(encoder=FieldEncoder(min_count=2), max_epochs=1, early_stopping=False).fit(X, y)
    assert merged.encoder_.cardinalities_[0] == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"variant": "dynamic"}, r"variant='dynamic'.*'da', 'dgp', 'dwp', 'pin'"),
        ({"variant": int}, "InteractionLayer"),
        ({"variant_params": {"gates": 1}}, r"variant_params has \['gates'\].*gate_init"),
        ({"variant_params": {"gate_init": "ones"}}, "gate_init='ones'"),
        ({"variant_params": {"output": "sum"}}, "output='sum'"),
        ({"variant": "dwp", "variant_params": {"offset": "half"}}, "offset='half'"),
        ({"n_subspaces": 3}, "n_subspaces=3 must divide embedding_dim=4"),
        ({"n_layers": -1}, "'n_layers' parameter"),
        ({"n_layers": 2.5}, "'n_layers' parameter"),
        ({"embedding_dim": 10**9}, "'embedding_dim' parameter"),
        ({"lr": 0}, "'lr' parameter"),
        ({"optimizer": "sgdd"}, "'optimizer' parameter"),
        ({"optimizer_params": {"l1": -1.0}}, "l1=-1.0"),
        ({"optimizer_params": {"momentum": 1.0}}, "momentum"),
        ({"embedding_optimizer_params": {"start": "warm"}}, "start='warm'"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"scoring": "accuracy"}, "'scoring' parameter"),
        ({"class_weight": {0: 0, 1: 1}}, r"class_weight=\{0: 0, 1: 1\}.*above 0"),
        ({"class_weight": "heavy"}, "'class_weight' parameter"),
        ({"callbacks": [print]}, "skorch callbacks"),
        ({"encoder": "hash"}, "'encoder' parameter"),
        ({"encoder": FieldEncoder(min_count=-1)}, "'min_count' parameter"),
        ({"device": "abacus"}, "abacus"),
    ],
    ids=str,
)
def test_absurd_parameters(clicks, params, message):
    X, y = clicks
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        fast(**params).fit(X, y)
