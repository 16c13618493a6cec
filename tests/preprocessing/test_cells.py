"""The index of a cell depends on the cell: not on its container, nor on the rows beside it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder

polars = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

AROUND = [0, 1, -1, 7, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1]


def containers(values):
    """The same integers, None where one is missing, in every container that can hold them."""
    missing = any(v is None for v in values)
    found = {
        "nullable": pd.DataFrame({"id": pd.array(values, dtype="Int64")}),
        "pandas Arrow": pd.DataFrame({"id": pd.array(values, dtype="int64[pyarrow]")}),
        "objects": pd.DataFrame({"id": pd.Series(values, dtype=object)}),
        "polars": polars.DataFrame({"id": polars.Series(values, dtype=polars.Int64)}),
        "pyarrow": pa.table({"id": pa.array(values, type=pa.int64())}),
        "decimal": pa.table({"id": pa.array(values, type=pa.int64()).cast(pa.decimal128(20, 0))}),
        "array of objects": np.array(values, dtype=object)[:, None],
    }
    if not missing:
        found["NumPy"] = pd.DataFrame({"id": np.array(values, dtype=np.int64)})
        found["array"] = np.array(values, dtype=np.int64)[:, None]
    return found


@given(
    cells=st.lists(st.sampled_from(AROUND) | st.none(), min_size=1, max_size=12),
    n_rows=st.sampled_from([1, 64, 65, 200]),
)
@settings(max_examples=40, deadline=None)
def test_whole_numbers_in_every_container(cells, n_rows):
    known = AROUND * 2 + [None]
    encoder = FieldEncoder(categorical_features="all", min_count=1)
    expected = {v: i for i, v in enumerate(sorted(AROUND), start=2)} | {None: 1}
    for name, fitted_on in containers(known).items():
        encoder.fit(fitted_on)
        assert encoder.cardinalities_.tolist() == [2 + len(AROUND)], name
        rows = (cells * n_rows)[:n_rows]
        for other, X in containers(rows).items():
            if isinstance(X, np.ndarray) != isinstance(fitted_on, np.ndarray):
                continue
            found = encoder.transform(X).ravel().tolist()
            assert found == [expected[v] for v in rows], f"{name}, then {other}"
            if other == "objects":
                decoded = encoder.inverse_transform(encoder.transform(X))
                assert encoder.transform(decoded).ravel().tolist() == found


@pytest.mark.parametrize("n_rows", [1, 64, 65, 200])
def test_large_ids_beside_a_missing_one(n_rows):
    """The example of a bug report: short frames took them through float64."""
    ids = [1000009418151094273, 1000009418151094274, 1000009418151094275, None]
    X = pd.DataFrame({"id": pd.array(ids * 60, dtype="Int64")})
    encoder = FieldEncoder(categorical_features="all").fit(X)
    assert encoder.transform(X[:n_rows]).ravel().tolist() == ([2, 3, 4, 1] * 60)[:n_rows]


def test_unsigned_integers_beyond_the_signed_ones():
    ids = [2**64 - 1, 2**64 - 2, None] * 2
    for X in (
        polars.DataFrame({"id": polars.Series(ids, dtype=polars.UInt64)}),
        pa.table({"id": pa.array(ids, type=pa.uint64())}),
        pd.DataFrame({"id": pd.array(ids, dtype="UInt64")}),
    ):
        encoder = FieldEncoder(categorical_features="all").fit(X)
        assert encoder.transform(X).ravel().tolist() == [3, 2, 1] * 2
