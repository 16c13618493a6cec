"""Values through files: what comes back is what was written, and damage is told."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, safe_open

from sk_dynint import FieldEncoder, _archive
from sk_dynint._packing import ArchiveError

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def through(path, value, trusted=()):
    _archive.write(path, "thing", value)
    return _archive.read(path, trusted).content


@given(value=VALUES)
def test_plain_values(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "plain"
    found = through(path, value)
    assert found == value
    assert repr(found) == repr(value)  # 1, 1.0 and True; tuples and lists


ARRAYS = [
    np.arange(5),
    np.array([[1, -200]], dtype=np.int16),
    np.array([2**40, 3]),
    np.array([], dtype=np.int64),
    np.array([1.5, np.nan, -np.inf], dtype=np.float32),
    np.array([True, False]),
    np.array(["a", "längeres"]),
    np.array([["a", None], [1, 2.5]], dtype=object),
    np.zeros((3, 4))[:, ::2],
    np.array(3, dtype=np.uint8),
    np.zeros((0, 3), dtype=np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=range(len(ARRAYS)))
def test_arrays(tmp_path, array):
    found = through(tmp_path / "a", {"x": [array, array]})["x"]
    for each in found:
        assert each.dtype == array.dtype
        assert each.shape == array.shape
        np.testing.assert_array_equal(each, array)


def test_numbers_frames_and_transformers(tmp_path):
    value = {
        "nan": [math.nan, math.inf, np.float32(0.1), np.int64(3)],
        "frame": pd.DataFrame({"a": [1, 2], 3: ["x", None], ("t", 1): [0.5, math.nan]}),
        "encoder": FieldEncoder(min_count=3, binning={"n": "winner"}),
        "fitted": FieldEncoder().fit(pd.DataFrame([["a", 1], ["b", 2]])),
    }
    value["frame"].attrs = {"why": {"with": 0.5}}
    found = through(tmp_path / "a", value, [FieldEncoder])
    assert np.isnan(found["nan"][0])
    assert found["nan"][1] == math.inf
    assert [type(v) for v in found["nan"][2:]] == [np.float32, np.int64]
    pd.testing.assert_frame_equal(found["frame"], value["frame"])
    assert found["frame"].attrs == value["frame"].attrs
    assert found["encoder"].get_params() == value["encoder"].get_params()
    assert found["fitted"].equals(value["fitted"])
    assert found["fitted"]._labels_in == [0, 1]


def test_what_cannot_be_saved_is_named(tmp_path):
    path = tmp_path / "a"
    for value, message in [
        ({"a": [object()]}, r"thing.a.0 holds a object, which cannot be saved without code"),
        ({"f": len}, "thing.f holds a builtin_function_or_method"),
        ({"d": np.array(["2024"], dtype="M8[D]")}, "an array of datetime64"),
    ]:
        with pytest.raises(TypeError, match=message):
            _archive.write(path, "thing", value)
    assert list(tmp_path.iterdir()) == []


class Mine:
    pass


def test_classes_have_to_be_trusted(tmp_path):
    with pytest.raises(ArchiveError, match=r"names the class tests.test_archive.Mine; .*\[Mine\]"):
        through(tmp_path / "a", Mine)
    assert through(tmp_path / "a", Mine, [Mine]) is Mine


def test_the_file_is_plain_safetensors(tmp_path):
    path = tmp_path / "a"
    _archive.write(path, "thing", {"x": np.arange(300), "y": "text"})
    assert load_file(path)["thing.x"].dtype == np.uint16  # as small as it can be
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["sk_dynint"])
    assert description["format"] == 1
    assert {"sk_dynint", "python", "numpy", "torch"} <= description["versions"].keys()
    assert list(tmp_path.iterdir()) == [path]  # nothing temporary is left


def test_other_files(tmp_path):
    path = tmp_path / "a"
    for data in (b"", b"short", b"\x80\x04K\x01.", b"PK\x03\x04" + b"0" * 99, bytes(64)):
        path.write_bytes(data)
        with pytest.raises(ArchiveError, match="is no file that sk_dynint saved"):
            _archive.read(path)
    with pytest.raises(FileNotFoundError):
        _archive.read(tmp_path / "nothing")


def resealed(path, data):
    """Write a file with a checksum that fits."""
    place = data.index(b'"sha256":"') + len(b'"sha256":"')
    path.write_bytes(data[:place] + b"0" * 64 + data[place + 64 :])
    with open(path, "r+b") as file:
        digest, place = _archive._digest(file)
        file.seek(place)
        file.write(digest)


def test_newer_formats_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a"
    monkeypatch.setattr(_archive, "FORMAT", 9)
    _archive.write(path, "thing", 1)
    monkeypatch.undo()
    with pytest.raises(ArchiveError, match=r"has format 9, written by sk_dynint .*up to 1"):
        _archive.read(path)


@pytest.mark.parametrize("n", [300, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sealed", [False, True], ids=["damaged", "resealed"])
def test_mutated_files(tmp_path, n, sealed):
    """Damage never passes; with a new checksum the content may differ, but nothing breaks."""
    path = tmp_path / "a"
    frame = pd.DataFrame({"s": list("abca"), "n": [1.5, 2, 3, math.nan]})
    _archive.write(path, "thing", {"e": FieldEncoder().fit(frame), "w": np.arange(50.0)})
    original = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(n):
        data = bytearray(original)
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        for place in rng.integers(max(len(data), 1), size=rng.integers(1, 4)):
            if place < len(data):
                data[place] = rng.integers(256)
        if data == original:
            continue
        if sealed and re.search(rb'"sha256":"[^"]{64}"', data) and len(data) > 100:
            try:
                resealed(path, bytes(data))
            except ArchiveError:
                continue
        else:
            path.write_bytes(data)
        try:
            _archive.read(path, [FieldEncoder])
        except ArchiveError:
            continue
        assert sealed
