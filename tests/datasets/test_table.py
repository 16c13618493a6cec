"""Tables from files: identifiers stay as they are written."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sk_dynint import FieldEncoder
from sk_dynint.datasets import read_table, write_table

CELLS = st.text("0123456789.eE+-NaA ", min_size=1, max_size=20) | st.sampled_from(
    ["NA", "null", "nan", "None", "True", "1e5", "007", "inf", str(2**53 + 1), str(2**64 + 1)]
)


@given(cells=st.lists(CELLS | st.none(), min_size=1, max_size=30), data=st.data())
def test_identifiers_are_read_as_they_are_written(cells, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "clicks.tsv"
    frame = pd.DataFrame({"id": cells, "n": range(len(cells))})
    frame.to_csv(path, sep="\t", index=False)
    found = read_table(path, categorical_features=["id"])
    assert [v if isinstance(v, str) else None for v in found["id"]] == cells
    assert found["n"].tolist() == list(range(len(cells)))


def test_ids_with_leading_zeros_namibia_and_holes(tmp_path):
    """The examples of a bug report: levels that a reader makes one, or cuts in two."""
    ids = ["007", "07", "7", "NA", "", str(2**53), str(2**53 + 1)]
    path = tmp_path / "clicks.csv"
    path.write_text("id,whole\n" + "".join(f"{v},{v if len(v) > 9 else ''}\n" for v in ids * 2))
    X = read_table(path, categorical_features=["id"])
    encoder = FieldEncoder(categorical_features="all").fit(X)
    assert encoder.cardinalities_.tolist() == [2 + 6, 2 + 2]  # whole numbers beside holes, too
    assert encoder.levels_[1]["level"].tolist()[2:] == [2**53, 2**53 + 1]


def test_a_long_column_whose_last_rows_are_text(tmp_path):
    """A reader that guesses by parts made half of it numbers, and half of it strings."""
    path = tmp_path / "clicks.csv"
    rows = [str(i % 5) for i in range(600_000)] + ["x"] * 10
    path.write_text("id\n" + "\n".join(rows) + "\n")
    for named in ((), ["id"]):
        levels = read_table(path, categorical_features=named)["id"].unique()
        assert sorted(levels) == ["0", "1", "2", "3", "4", "x"]


def test_columns_and_kinds(tmp_path):
    path = tmp_path / "clicks.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("a;b;c\n1;2;x\n;4;y\n")
    X = read_table(path, separator=";", columns=["c", "a"], categorical_features="all")
    assert X.to_dict("list") == {"c": ["x", "y"], "a": ["1", X["a"][1]]}
    X = read_table(path, separator=";", categorical_features="all", numeric_features=["b"])
    assert X["b"].tolist() == [2, 4]
    write_table(X, tmp_path / "copy.parquet")
    copy = read_table(tmp_path / "copy.parquet", categorical_features=["b"])
    assert isinstance(copy["b"].dtype, pd.CategoricalDtype)
    assert read_table(tmp_path / "copy.parquet", columns=["b"]).shape == (2, 1)
    write_table(X, tmp_path / "copy.csv")
    assert read_table(tmp_path / "copy.csv", numeric_features=["b"])["b"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {"categorical_features": ["c"]}, r"there is no column 'c'; its columns are"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "there is no column 'c'"),
        ("a,b\n1,x\n2,\n", {"numeric_features": ["b"]}, "holds 'x' in row 1 and 1 such cells"),
        (
            "a,b\n1,x\n",
            {"numeric_features": ["b"], "categorical_features": ["b"]},
            r"columns \['b'\] are called categorical and numeric",
        ),
        ("a;b\n1;2\n", {}, "its only column is 'a;b'; the separator is ',', should it be ';'"),
        ("", {}, "No columns to parse"),
        ("a,b\n1,2,3,4\n1,2\n1,2,3,4,5\n", {}, "clicks.csv: .*(tokenizing|Length of header)"),
    ],
)
def test_errors_name_the_file(tmp_path, text, options, message):
    path = tmp_path / "clicks.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as found:
        read_table(path, **options)
    assert str(path) in str(found.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(ValueError, match=r"clicks.json must end with one of .parquet, .csv, .tsv"):
        read_table(tmp_path / "clicks.json")
    with pytest.raises(ValueError, match="must end with one of"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "a.xls")
    whole = gzip.compress(b"a,b\n" + np.random.default_rng(0).bytes(500).hex().encode())
    (tmp_path / "cut.csv.gz").write_bytes(whole[:-50])
    with pytest.raises(ValueError, match=r"cut.csv.gz: "):
        read_table(tmp_path / "cut.csv.gz")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"bad.parquet: "):
        read_table(tmp_path / "bad.parquet")
