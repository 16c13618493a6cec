"""Tables in parts: which files they are, which rows, and what is said of bad ones."""

import shutil

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sk_dynint import FieldEncoder
from sk_dynint._sources import Source, Store, as_source, folder_for, is_lazy, opened

pytestmark = [
    pytest.mark.filterwarnings("ignore:columns .'empty'. hold no value"),
    pytest.mark.filterwarnings("ignore:columns .'user'. hold whole numbers"),
]


def rows_of(source, start=0):
    """All cells of the first column."""
    return [x for _, t in source.tables(start) for x in t.column(0).to_pylist()]


@pytest.mark.parametrize("start", [0, 1, 129, 130, 131, 999, 1000, 2999, 3000])
@pytest.mark.parametrize("frame", [False, True])
def test_rows_from_a_position_on(start, frame, shards, table):
    source = as_source(pl.scan_parquet(shards / "*.parquet") if frame else shards)
    source = source.select(["user"])
    assert rows_of(source, start) == table["user"].tolist()[start:]
    rows = np.flatnonzero(np.random.default_rng(0).random(len(table)) < 0.3)
    part = source[rows]
    assert part.shape == (len(rows), 1)
    assert rows_of(part) == table["user"].iloc[rows].tolist()
    assert rows_of(part, start // 10) == table["user"].iloc[rows].tolist()[start // 10 :]
    again = part[np.arange(len(rows)) % 2 == 1]
    assert rows_of(again) == table["user"].iloc[rows[1::2]].tolist()


def test_rows_keep_their_order(shards):
    with pytest.raises(ValueError, match="keep their order"):
        as_source(shards)[[3, 1]]


def test_what_is_read_in_parts(shards, table):
    assert all(map(is_lazy, [shards, str(shards), ds.dataset(shards), pl.LazyFrame({"a": [1]})]))
    assert not any(map(is_lazy, [table, pl.DataFrame({"a": [1]}), [["a"]], pa.table({"a": [1]})]))


def test_labels_and_weights_are_no_features(shards, table):
    source, y, weight, moments = opened(shards, "user", "amount", "at")
    assert source.columns == [c for c in table if c not in ("user", "amount")]
    assert y.tolist() == table["user"].tolist()
    assert np.array_equal(weight, table["amount"], equal_nan=True)
    assert np.array_equal(moments, table["at"].to_numpy(), equal_nan=True)
    with pytest.raises(ValueError, match="y='nope', but the table has the columns"):
        opened(shards, "nope", None, None)


def test_folders(shards, tmp_path):
    folder = tmp_path / "log"
    shutil.copytree(shards, folder / "day=1")
    shutil.copytree(shards, folder / "day=2")
    (folder / "_SUCCESS").write_text("")
    (folder / ".part.parquet.tmp").write_text("no table")
    assert len(as_source(folder)) == 6000
    assert len(as_source(folder / "day=1" / "part-[01].parquet")) == 2000
    assert len(as_source(str(folder / "**" / "*.parquet"))) == 6000
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing"):
        as_source(folder / "nothing-*.parquet")
    (folder / "x.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match=r"must all end with .*there is .*x\.csv"):
        as_source(folder)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(ValueError, match=r"there is .*x\.json"):
        as_source(tmp_path / "x.json")


def test_a_file_that_lacks_a_column(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "log")
    last = folder / "part-2.parquet"
    pq.write_table(pq.read_table(last).drop_columns(["user"]), last)
    with pytest.raises(ValueError, match=r"part-2\.parquet lacks the columns \['user'\]"):
        as_source(folder)


def test_a_file_that_holds_something_else(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "log")
    last = folder / "part-2.parquet"
    table = pq.read_table(last)
    j = table.column_names.index("user")
    pq.write_table(table.set_column(j, "user", table.column(j).cast(pa.string())), last)
    with pytest.raises(ValueError, match=r"part-2\.parquet holds .*string in column 'user'"):
        as_source(folder)


def test_numbers_may_be_whole_in_one_file_and_fractions_in_another(tmp_path):
    for number, values in enumerate(([1, 2, 2], [1, 2.5, None], [None, None, None])):
        pd.DataFrame({"x": values}).to_parquet(tmp_path / f"{number}.parquet")
    encoder = FieldEncoder(categorical_features=["x"], min_count=1).fit(tmp_path)
    assert encoder.levels_[0]["level"].tolist()[2:] == [1, 2, 2.5]
    assert encoder.levels_[0]["count"].tolist() == [0, 4, 2, 2, 1]


def test_a_damaged_file_is_named_with_its_row_group(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "log")
    victim = folder / "part-1.parquet"
    group = pq.ParquetFile(victim).metadata.row_group(2)
    column = group.column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(victim.read_bytes())
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    victim.write_bytes(bytes(content))
    with pytest.raises((OSError, ValueError), match=r"part-1\.parquet, row group 2 cannot be read"):
        FieldEncoder().fit(folder)
    victim.write_bytes(bytes(content[:1000]))
    with pytest.raises((OSError, ValueError), match=r"part-1\.parquet cannot be read"):
        FieldEncoder().fit(folder)


def test_infinity_is_refused_with_its_place(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "log")
    frame = pd.read_parquet(folder / "part-1.parquet")
    frame.loc[700, "amount"] = np.inf
    frame.to_parquet(folder / "part-1.parquet", row_group_size=300)
    with pytest.raises(ValueError, match=r"part-1.parquet, row group 2: .*infinity in .*'amount'"):
        FieldEncoder().fit(folder)


def test_a_plan_without_an_order_is_noticed():
    calls = []

    def shuffled(frame):
        calls.append(None)
        return frame.sample(fraction=1, shuffle=True, seed=len(calls))

    frame = pl.DataFrame({"a": range(500), "y": [0, 1] * 250})
    plan = frame.lazy().map_batches(shuffled, schema=frame.schema)
    source, *_ = opened(plan, "y", None, None)
    with pytest.raises(ValueError, match="in another order, than when it was read at first"):
        FieldEncoder().fit(source)


def test_a_table_without_rows(shards):
    empty = pl.scan_parquet(shards / "*.parquet").filter(pl.col("user") < 0)
    with pytest.raises(ValueError, match="0 sample"):
        FieldEncoder().fit(empty)


def test_what_is_kept_goes_on_where_it_ended(shards, tmp_path, monkeypatch):
    source = as_source(shards).select(["user", "site"]).in_folder(str(tmp_path))
    whole = FieldEncoder().fit_transform(as_source(shards).select(["user", "site"]))
    reads = []
    tables = Source.tables

    def failing(self, start=0):
        for number, each in enumerate(tables(self, start)):
            if len(reads) in (3, 7, 12, 20, 40):
                reads.append(None)
                raise KeyboardInterrupt
            reads.append(number)
            yield each

    monkeypatch.setattr(Source, "tables", failing)
    interrupts = 0
    while True:
        try:
            found = FieldEncoder().fit_transform(source)
            break
        except KeyboardInterrupt:
            interrupts += 1
    assert interrupts == 5
    assert np.array_equal(found, whole)
    n_reads = len(reads)
    assert np.array_equal(FieldEncoder().fit_transform(source), whole)
    assert len(reads) == n_reads


def test_other_files_and_parameters_are_counted_anew(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "log")
    kept = tmp_path / "cache"
    with folder_for(kept) as cache:
        first = FieldEncoder().fit_transform(as_source(folder).in_folder(cache))
        FieldEncoder(min_count=5).fit_transform(as_source(folder).in_folder(cache))
        assert len(list(kept.iterdir())) == 2
        (folder / "part-2.parquet").unlink()
        second = FieldEncoder().fit_transform(as_source(folder).in_folder(cache))
    assert len(list(kept.iterdir())) == 3
    assert (len(first), len(second)) == (3000, 2000)


def test_a_disk_without_room(shards, tmp_path, monkeypatch):
    free = shutil._ntuple_diskusage(100, 99, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(OSError, match=r"takes .* GB, but .* has 0.0 GB left; name a folder"):
        FieldEncoder().fit_transform(as_source(shards).in_folder(str(tmp_path)))
    assert not [f for f in tmp_path.rglob("*") if f.is_file()]


def test_a_cache_that_is_a_file(tmp_path):
    (tmp_path / "x").write_text("")
    with (
        pytest.raises(NotADirectoryError, match="is a file; name a folder"),
        folder_for(tmp_path / "x"),
    ):
        pass


def test_an_unfinished_store_is_no_store(shards, tmp_path):
    source = as_source(shards).in_folder(str(tmp_path))
    store = Store(source, "x")
    assert store.n_encoded() == 0
    store.keep_encoded(np.zeros((5, 2), dtype=np.int32), 0)
    assert Store(source, "x").n_encoded() == 5
    assert Store(source, "y").n_encoded() == 0
    (store.path / "encoded.json").write_text("{")
    assert Store(source, "x").n_encoded() == 0
