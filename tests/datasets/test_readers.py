"""Readers of published logs: small files written here in exactly their formats."""

import gzip
import io
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sk_dynint import FieldEncoder
from sk_dynint.datasets import _lines, _logs, read_avazu, read_criteo, read_ipinyou

CRITEO = ["label", *[f"I{i}" for i in range(1, 14)], *[f"C{i}" for i in range(1, 27)]]
AVAZU = [
    *["id", "click", "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category"],
    *["app_id", "app_domain", "app_category", "device_id", "device_ip", "device_model"],
    *["device_type", "device_conn_type", "C14", "C15", "C16", "C17", "C18", "C19", "C20"],
    *["C21"],
]
IPINYOU = [
    *["click", "weekday", "hour", "bidid", "timestamp", "logtype", "ipinyouid", "useragent"],
    *["IP", "region", "city", "adexchange", "domain", "url", "urlid", "slotid", "slotwidth"],
    *["slotheight", "slotvisibility", "slotformat", "slotprice", "creative", "bidprice"],
    *["payprice", "keypage", "advertiser", "usertag"],
]
IPINYOU_FIELDS = [
    *["weekday", "hour", "IP", "region", "city", "adexchange", "domain", "slotid", "slotwidth"],
    *["slotheight", "slotvisibility", "slotformat", "creative", "advertiser", "useragent"],
    *["slotprice"],
]


def criteo_rows(n, seed=0, label=True):
    """Rows as lists of text, with holes."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(-2, 5000, (n, 13)).astype(str)
    levels = [[f"{level:08x}" for level in row] for row in rng.integers(0, 30, (n, 26))]
    holes = rng.random((n, 39)) < 0.2
    text = np.where(holes, "", np.hstack([counts, levels])).tolist()
    return [[str(i % 2), *row] if label else row for i, row in enumerate(text)]


def avazu_rows(n):
    return [
        [f"{10**19 + i}", str(i % 2), f"1410{21 + i % 3}{i % 24:02}", "1005", "0"]
        + [f"{(i * k) % 7:08x}" for k in range(1, 10)]
        + ["1", "0", str(15700 + i % 5), "320", "50", "1722", "0", "35", "-1", "79"]
        for i in range(n)
    ]


def ipinyou_rows(n):
    rows = []
    for i in range(n):
        row = dict.fromkeys(IPINYOU, "null") | {"click": str(i % 2), "weekday": "4", "hour": "00"}
        row |= {"slotprice": str(i), "slotformat": "Na", "region": f"0{i % 3}", "urlid": ""}
        rows.append(list((row | {"domain": "null" if i % 2 else "e80f"}).values()))
    return rows


def write(path, rows, separator="\t", header=None, end="\n", last=True):
    lines = [separator.join(row) for row in ([header] if header else []) + rows]
    path.write_bytes((end.join(lines) + (end if last else "")).encode())
    return path


@pytest.fixture
def criteo(tmp_path):
    return write(tmp_path / "train.txt", criteo_rows(200))


def as_text(frame):
    """Return cells as text, holes as ""; numbers as whole ones."""
    columns = {
        name: column.map("{:.0f}".format).where(column.notna(), "")
        if column.dtype.kind == "f"
        else column.astype("object").where(column.notna(), "")
        for name, column in frame.items()
    }
    return pd.DataFrame(columns).to_numpy().tolist()


# -- formats ---------------------------------------------------------------------------------------


def test_criteo(criteo):
    bunch = read_criteo(criteo)
    assert bunch.feature_names == list(bunch.data) == CRITEO[1:]
    assert (bunch.data.dtypes[:13] == "float64").all()
    assert (bunch.data.dtypes[13:] == "category").all()
    assert bunch.target.dtype == "int64"
    assert as_text(bunch.data) == [row[1:] for row in criteo_rows(200)]
    assert bunch.target.tolist() == [0, 1] * 100
    assert list(bunch.frame) == [*CRITEO[1:], "label"]
    assert bunch.n_broken == 0
    assert bunch.filename == str(criteo)


def test_criteo_without_labels(tmp_path):
    rows = criteo_rows(50, label=False)
    bunch = read_criteo(write(tmp_path / "test.txt", rows))
    assert bunch.target is None
    assert as_text(bunch.data) == rows
    assert list(bunch.frame) == list(bunch.data)
    with pytest.raises(ValueError, match=r"no column 'label', so there is no y"):
        read_criteo(tmp_path / "test.txt", return_X_y=True)


def test_a_broken_first_line_does_not_hide_the_labels(tmp_path):
    rows = criteo_rows(50)
    path = write(tmp_path / "train.txt", [rows[0][:-1], *rows[1:]])
    with pytest.raises(ValueError, match=r"line 1: got 39 fields, allowed are 40"):
        read_criteo(path)


def test_avazu(tmp_path):
    path = write(tmp_path / "train.csv", avazu_rows(60), ",", AVAZU)
    bunch = read_avazu(path)
    assert bunch.feature_names == AVAZU[3:]
    assert len(bunch.feature_names) == 21
    assert (bunch.data.dtypes == "category").all()
    assert as_text(bunch.data) == [row[3:] for row in avazu_rows(60)]
    assert bunch.time[25] == pd.Timestamp("2014-10-22 01:00")
    X = read_avazu(path, time_features=True).data
    assert list(X)[21:] == ["hour", "weekday"]
    assert X["hour"].tolist() == [row[2][6:] for row in avazu_rows(60)]
    assert X["weekday"][:3].tolist() == ["1", "2", "3"]  # 21 October 2014 was a Tuesday


def test_avazu_without_labels(tmp_path):
    rows = [row[:1] + row[2:] for row in avazu_rows(9)]
    path = write(tmp_path / "test.csv", rows, ",", [name for name in AVAZU if name != "click"])
    assert read_avazu(path).target is None
    assert read_avazu(path).data.shape == (9, 21)


@pytest.mark.parametrize("more", [[], ["nclick", "nconversation"]], ids=["train", "test"])
def test_ipinyou(tmp_path, more):
    rows = [row + ["0"] * len(more) for row in ipinyou_rows(20)]
    path = write(tmp_path / "log.txt", rows, header=IPINYOU + more)
    X, y = read_ipinyou(path, return_X_y=True)
    assert list(X) == IPINYOU_FIELDS
    assert X["slotprice"].tolist() == list(range(20))
    assert X["region"].tolist()[:3] == ["00", "01", "02"]
    assert X["domain"].isna().tolist() == [False, True] * 10
    assert (X["slotformat"] == "Na").all()
    assert y.tolist() == [0, 1] * 10


def test_a_header_that_lacks_a_column(tmp_path):
    path = write(tmp_path / "x.txt", [["0", "4"]], header=["click", "weekday"])
    with pytest.raises(ValueError, match=r"no column 'hour'; its header is \['click', 'weekday'\]"):
        read_ipinyou(path)


def test_the_encoder_takes_identifiers_for_categories(tmp_path):
    path = write(tmp_path / "train.csv", avazu_rows(60), ",", AVAZU)
    assert set(FieldEncoder().fit(read_avazu(path).data).field_kinds_) == {"categorical"}
    path = write(tmp_path / "train.txt", criteo_rows(60))
    kinds = FieldEncoder().fit(read_criteo(path).data).field_kinds_
    assert kinds == ["numeric"] * 13 + ["categorical"] * 26


# -- how it is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_line_ends(tmp_path, criteo, end, last):
    path = write(tmp_path / "other.txt", criteo_rows(200), end=end, last=last)
    pd.testing.assert_frame_equal(read_criteo(path).frame, read_criteo(criteo).frame)
    path = write(tmp_path / "train.csv", avazu_rows(20), ",", AVAZU, end=end, last=last)
    assert as_text(read_avazu(path).data) == [row[3:] for row in avazu_rows(20)]


def test_packed_files(tmp_path, criteo):
    (tmp_path / "a.gz").write_bytes(gzip.compress(criteo.read_bytes()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(criteo, "folder/train.txt")
    expected = read_criteo(criteo).frame
    pd.testing.assert_frame_equal(read_criteo(tmp_path / "a.gz").frame, expected)
    pd.testing.assert_frame_equal(read_criteo(tmp_path / "b.zip").frame, expected)
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.writestr("readme.txt", "")
    with pytest.raises(ValueError, match=r"zip archive of 2 files, .* exactly one"):
        read_criteo(tmp_path / "b.zip")


def test_quotes_and_words_for_missing_are_levels(tmp_path):
    row = criteo_rows(1)[0]
    row[14:20] = ['"', 'a"b', "NA", "null", "007", "ü"]
    frame = read_criteo(write(tmp_path / "train.txt", [row, row])).data
    assert frame.loc[1, "C1":"C6"].tolist() == row[14:20]


def test_bytes_that_are_no_utf8_stay_apart(tmp_path):
    path = tmp_path / "train.csv"
    write(path, avazu_rows(3), ",", AVAZU)
    path.write_bytes(path.read_bytes().replace(b"00000001", b"\xff").replace(b"00000002", b"\xfe"))
    X = read_avazu(path).data
    assert X["site_id"].nunique() == 3
    assert X["site_id"].tolist() == ["00000000", "\\xff", "\\xfe"]


@pytest.mark.parametrize("block", [1, 100, 5000])
def test_size_of_blocks_makes_no_difference(criteo, monkeypatch, block):
    expected = as_text(read_criteo(criteo, fraction=0.5, random_state=0).frame)
    monkeypatch.setattr(_logs, "_BLOCK", block)
    assert as_text(read_criteo(criteo, fraction=0.5, random_state=0).frame) == expected


cell = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\0"), max_size=4)
number = st.integers(-(2**53), 2**53).map(str) | st.just("")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("01"), number, cell), min_size=1, max_size=20))
def test_round_trip(tmp_path_factory, rows):
    rows = [[label] + [number] * 13 + [cell] * 26 for label, number, cell in rows]
    path = write(tmp_path_factory.mktemp("round") / "train.txt", rows)
    X, y = read_criteo(path, return_X_y=True)
    assert as_text(X.iloc[:, 13:]) == [row[14:] for row in rows]
    assert [[str(int(v)) if v == v else "" for v in row] for row in X.iloc[:, :13].to_numpy()] == [
        row[1:14] for row in rows
    ]
    assert [str(v) for v in y] == [row[0] for row in rows]


# -- damaged files and endless lines ---------------------------------------------------------------


def zipped(text, password=False, method=zipfile.ZIP_DEFLATED):
    """A zip archive of one file; with `password`, marked as encrypted."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("train.txt", text)
    content = bytearray(packed.getvalue())
    if password:
        content[6] |= 1
        content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def changed(content, position):
    """Change a byte, counted from the end if negative."""
    content = bytearray(content)
    content[position] ^= 0xFF
    return bytes(content)


DAMAGES = {
    "gzip, cut off": (lambda text: gzip.compress(text)[:-40], "ended before the end"),
    "gzip, CRC": (lambda text: changed(gzip.compress(text), -6), "CRC check failed"),
    "gzip, garbage": (lambda text: gzip.compress(text)[:10] + b"\xff" * 50, "invalid block type"),
    "zip, encrypted": (lambda text: zipped(text, password=True), "is encrypted"),
    "zip, cut off": (lambda text: zipped(text)[:-100], "is not a zip file"),
    "zip, CRC": (
        lambda text: changed(zipped(text, method=zipfile.ZIP_STORED), 50),
        "Bad CRC-32",
    ),
    "zip, LZMA": (
        lambda text: changed(zipped(text, method=zipfile.ZIP_LZMA), 60),
        "Corrupt input data",
    ),
    "zip, packed otherwise": (
        lambda text: zipped(text).replace(b"\x08\x00", b"\x63\x00"),
        "compression",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_named(criteo, damage, message):
    criteo.write_bytes(damage(criteo.read_bytes()))
    with pytest.raises(OSError, match=rf"train\.txt cannot be read: .*{message}") as info:
        read_criteo(criteo)
    assert len(str(info.value)) < 250 + len(str(criteo))


def test_a_missing_file_is_python_s_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: .*nowhere"):
        read_criteo(tmp_path / "nowhere")


@pytest.fixture(params=[1, 100, 10_000], ids=lambda size: f"blocks of {size}")
def short_lines(request, monkeypatch):
    """Lines of Criteo's 400 bytes are allowed, and not many more."""
    for module in (_lines, _logs):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 500)
    monkeypatch.setattr(_logs, "_BLOCK", request.param)
    monkeypatch.setattr(_logs, "_PEEK", request.param)
    return 500


def padded(row, n_bytes):
    """Lengthen the last cell, so that the line has so many bytes."""
    return [*row[:-1], row[-1] + "x" * (n_bytes - len("\t".join(row)))]


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("place", [0, 3, 9], ids=["first", "in the middle", "last"])
def test_a_line_of_the_greatest_length_and_a_longer_one(tmp_path, short_lines, end, place):
    rows = criteo_rows(10)
    whole = [*rows[:place], padded(rows[place], short_lines), *rows[place + 1 :]]
    path = write(tmp_path / "train.txt", whole, end=end, last=False)
    assert as_text(read_criteo(path).data) == [row[1:] for row in whole]
    for n_bytes in (short_lines + 1, short_lines + 2, 35_000):
        longer = [*rows[:place], padded(rows[place], n_bytes), *rows[place + 1 :]]
        write(path, longer, end=end, last=place % 2)
        message = f"line {place + 1}: longer than 500 bytes"
        with pytest.raises(ValueError, match=rf"train\.txt, {message}") as info:
            read_criteo(path)
        assert len(str(info.value)) < 200 + len(str(path))
        with pytest.warns(UserWarning, match=f"skipped 1 of 10 lines, .*{message}"):
            X = read_criteo(path, on_broken="warn").data
        assert as_text(X) == [row[1:] for row in rows[:place] + rows[place + 1 :]]


def test_an_endless_line_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_logs, "_BLOCK", 1000)
    for module in (_lines, _logs):
        monkeypatch.setattr(module, "MAX_LINE_BYTES", 5000)
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"\t".join([b"1"] * 40) + b"\n" + b"x" * 10**7))
    assert len(read_criteo(path, n_rows=1).data) == 1
    n_read, read = [], gzip.GzipFile.read

    def count(self, size):
        n_read.append(size)
        return read(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", count)
    with pytest.raises(ValueError, match=r"train.txt.gz, line 2: longer than 5,000 bytes"):
        read_criteo(path, n_rows=5)
    assert sum(n_read) < 10**5


def test_messages_are_short(tmp_path, monkeypatch):
    path = write(tmp_path / "x.txt", [["0"]], header=["y" * 10**5, *["name"] * 10**4])
    with pytest.raises(ValueError, match=r"no column .*; its header is \['y+\.\.\.', ") as info:
        read_ipinyou(path)
    assert len(str(info.value)) < 1000 + len(str(path))
    monkeypatch.setattr(_lines, "MAX_LINE_BYTES", 10**5)
    with pytest.raises(ValueError, match="line 1: the header is longer than 100,000 bytes"):
        read_ipinyou(path)
    row = criteo_rows(1)[0]
    with pytest.raises(ValueError, match=r"line 1: label is 'z+\.\.\.', allowed is") as info:
        read_criteo(write(path, [["z" * 10**4, *row[1:]]]))
    assert len(str(info.value)) < 200 + len(str(path))
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(2):
            archive.writestr("a" * 10**4 + str(i), "")
    with pytest.raises(ValueError, match="zip archive of 2 files") as info:
        read_criteo(path)
    assert len(str(info.value)) < 500 + len(str(path))


# -- samples ---------------------------------------------------------------------------------------


def test_first_rows(criteo):
    whole = read_criteo(criteo).frame
    assert as_text(read_criteo(criteo, n_rows=7).frame) == as_text(whole[:7])
    assert len(read_criteo(criteo, n_rows=10**6).frame) == 200


def test_first_rows_look_no_further(tmp_path):
    rows = criteo_rows(50)
    path = write(tmp_path / "train.txt", [*rows[:20], ["broken"], *rows[20:]])
    assert len(read_criteo(path, n_rows=20).frame) == 20
    with pytest.warns(UserWarning, match=r"skipped 1 of 22 lines"):
        assert len(read_criteo(path, n_rows=21, on_broken="warn").frame) == 21


def test_sample_is_reproducible_and_keeps_the_order(criteo):
    rows = as_text(read_criteo(criteo).frame)
    sample = as_text(read_criteo(criteo, fraction=0.3, random_state=0).frame)
    assert sample == as_text(read_criteo(criteo, fraction=0.3, random_state=0).frame)
    assert sample != as_text(read_criteo(criteo, fraction=0.3, random_state=1).frame)
    positions = [rows.index(row) for row in sample]
    assert positions == sorted(positions)
    assert len(sample) == pytest.approx(60, abs=25)
    first = read_criteo(criteo, fraction=0.3, n_rows=5, random_state=0)
    assert as_text(first.frame) == sample[:5]
    assert as_text(read_criteo(criteo, fraction=1.0).frame) == rows


# -- broken lines ----------------------------------------------------------------------------------

BROKEN = {
    "short": (lambda row: row[:12], "got 12 fields, allowed are 40"),
    "long": (lambda row: [*row, ""], "got 41 fields, allowed are 40"),
    "empty": (lambda row: [""], "got 1 fields, allowed are 40"),
    "label": (lambda row: ["2", *row[1:]], "label is '2', allowed is 0 or 1"),
    "no label": (lambda row: ["", *row[1:]], "label is nothing, allowed is 0 or 1"),
    "count": (
        lambda row: [*row[:3], "abc", *row[4:]],
        "I3 is 'abc', allowed is a finite number, or nothing",
    ),
    "infinity": (lambda row: [*row[:3], "inf", *row[4:]], "I3 is 'inf', allowed is a finite"),
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_line(tmp_path, spoil, message):
    rows = criteo_rows(30)
    good = as_text(read_criteo(write(tmp_path / "good.txt", rows[:11] + rows[12:])).frame)
    path = write(tmp_path / "train.txt", [*rows[:11], spoil(rows[11]), *rows[12:]])
    with pytest.raises(ValueError, match=f"train.txt, line 12: {message}"):
        read_criteo(path)
    with pytest.warns(UserWarning, match=f"skipped 1 of 30 lines, .*line 12: {message}") as caught:
        bunch = read_criteo(path, on_broken="warn")
    assert caught[0].filename == __file__
    assert len(caught) == 1
    assert bunch.n_broken == 1
    assert as_text(bunch.frame) == good


def test_the_first_of_several_broken_lines(tmp_path):
    rows = criteo_rows(40)
    for i in (5, 9, 13, 17, 21, 25, 29):
        rows[i] = rows[i][:2] if i % 8 == 5 else ["x", *rows[i][1:]]
    path = write(tmp_path / "train.txt", rows)
    with pytest.raises(ValueError, match=r"line 6: got 2 fields"):
        read_criteo(path)
    with pytest.warns(
        UserWarning, match=r"skipped 7 of 40 .*line 6: .*line 10: .*line 22: .*; \.\.\."
    ):
        read_criteo(path, on_broken="warn")


def test_levels_of_skipped_lines_are_forgotten(tmp_path):
    rows = criteo_rows(5)
    rows[2] = ["7", *rows[2][1:14], *["only here"] * 26]
    path = write(tmp_path / "train.txt", rows)
    with pytest.warns(UserWarning, match="skipped 1"):
        X, _ = read_criteo(path, on_broken="warn", return_X_y=True)
    assert "only here" not in X["C1"].cat.categories


@pytest.mark.parametrize("hour", ["2014-10-21", "14132100", "14102124", "", "141021 0"])
def test_broken_hour(tmp_path, hour):
    rows = avazu_rows(3)
    rows[1][2] = hour
    path = write(tmp_path / "train.csv", rows, ",", AVAZU)
    with pytest.raises(ValueError, match=r"line 3: hour is .*, allowed is YYMMDDHH"):
        read_avazu(path)


def test_nothing_to_return(tmp_path):
    path = write(tmp_path / "train.txt", [["a", "b"]] * 3)
    with pytest.raises(
        ValueError, match=r"no row to return: all 3 lines are broken \(line 1: got 2"
    ):
        read_criteo(path, on_broken="warn")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no row to return: no line was read"):
        read_criteo(path)
    write(path, criteo_rows(3))
    with pytest.raises(ValueError, match=r"no line was read"):
        read_criteo(path, fraction=1e-9, random_state=0)


@pytest.mark.parametrize(
    "params",
    [{"n_rows": 0}, {"n_rows": 1.5}, {"fraction": 0}, {"fraction": 2}, {"on_broken": "skip"}],
    ids=str,
)
def test_wrong_parameters(criteo, params):
    with pytest.raises(ValueError, match=f"The '{next(iter(params))}' parameter"):
        read_criteo(criteo, **params)


def test_nothing_is_said_of_a_good_file(criteo, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_criteo(criteo, on_broken="warn")
    assert capsys.readouterr() == ("", "")
