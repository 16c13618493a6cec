"""Files that are damaged, made up, or claim too much: refused quickly, and for little memory."""

import bz2
import gzip
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import sk_dynint
from sk_dynint import FieldEncoder, _archive
from sk_dynint.datasets import read_criteo, read_table
from tests import fuzzing
from tests.conftest import fast
from tests.examples.conftest import ROOT

N_FILES = {"table": 25_000, "parquet": 15_000, "logs": 25_000, "damaged": 40_000, "made_up": 20_000}


@pytest.mark.slow
@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_mutated_files_by_the_thousand(target):
    """In a process of its own, whose end tells of crashes, hangs and memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", target, str(N_FILES[target])],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]


def test_at_least_so_many_files():
    assert sum(N_FILES.values()) > 100_000
    assert N_FILES.keys() == fuzzing.TARGETS.keys()


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_some_mutated_files(target):
    with sk_dynint._warnings.warnings_ignored():
        assert "refused" in fuzzing.run(target, 30, seed=1)


# -- small files that claim much -------------------------------------------------------------------


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """What a saved classifier consists of."""
    path = tmp_path_factory.mktemp("claims") / "model"
    X = pd.DataFrame({"s": list("abc") * 40, "n": np.arange(120.0), "l": [["x"], ["y", "z"]] * 60})
    fast(variant="pin", max_epochs=1, n_knots=4).fit(X, np.arange(120) % 2).save(path)
    return _archive.read(path, [FieldEncoder]).content


CLAIMS = {
    "embedding_dim": {"embedding_dim": 4096},
    "members": {"own": {"n_members_": 1024}},
    "knots": {"n_knots": 2**40},
    "knots, many scales": {"n_knots": (1024,) * 10_000},
    "layers": {"n_layers": 2**30},
    "rank": {"variant": "dgp", "rank": 2**40},
    "beside": {"beside": "dnn", "beside_params": {"hidden_units": (2**20, 2**20)}},
    "classes": {"own": {"classes_": np.arange(100_000)}},
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_more_weights_than_there_are(content, tmp_path, claim):
    params = {k: v for k, v in CLAIMS[claim].items() if k != "own"}
    own = CLAIMS[claim].get("own", {})
    made = {
        "params": content["params"] | params,
        "own": content["own"] | own | {"_built_with": content["own"]["_built_with"] | params},
    }
    refused_for_little(tmp_path, "DynIntClassifier", content | made)


STATES = {
    "columns": ("n_features", 2**62),
    "crosses": ("n_crosses", 2**62),
    "lists": ("fields.1.width", 2**40),
    "lists, not so long": ("fields.1.width", 2**27),
    "lengths of levels": ("fields.0.levels.lengths", np.array([10**6, -(10**6), 10**6])),
}


@pytest.mark.parametrize("state", STATES)
def test_levels_that_are_not_there(tmp_path, state, monkeypatch):
    X = pd.DataFrame({"s": list("abc") * 40, "l": [["x"], ["y", "z"], []] * 40})
    encoder = FieldEncoder().fit(X)
    name, value = STATES[state]
    assert name in encoder.state_dict()
    whole = FieldEncoder.state_dict
    monkeypatch.setattr(FieldEncoder, "state_dict", lambda self: whole(self) | {name: value})
    refused_for_little(tmp_path, "FieldEncoder", encoder)


def test_short_strings_that_are_as_long_as_one(tmp_path):
    labels = np.array(["x" * 10**6, *map(str, range(200_000))], dtype=object)
    path = tmp_path / "a"
    _archive.write(path, "FieldEncoder", labels)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    tree = json.loads(header["__metadata__"]["sk_dynint"])
    tree["content"]["dtype"] = "<U1000000"
    header["__metadata__"]["sk_dynint"] = json.dumps(tree)
    text = json.dumps(header, separators=(",", ":")).encode()
    fuzzing.resealed(path, len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(ValueError, match="200,001 strings of up to 1,000,000 characters"):
        sk_dynint.load(path)


@pytest.mark.parametrize("kind", [["DynIntClassifier"], 3, {}, None, "", "checkpoint"])
def test_kinds_that_are_none(tmp_path, kind):
    _archive.write(tmp_path / "a", "x", 1)
    _archive.write(tmp_path / "a", kind if isinstance(kind, str) else "x", 1)
    data = (tmp_path / "a").read_bytes()
    if not isinstance(kind, str):
        other = json.dumps(json.dumps({"kind": kind})[1:-1])[1:-1].replace(" ", "").encode()
        ours = rb"\"kind\":\"x\""
        length = int.from_bytes(data[:8], "little") + len(other) - len(ours)
        data = length.to_bytes(8, "little") + data[8:].replace(ours, other)
    fuzzing.resealed(tmp_path / "a", data)
    with pytest.raises(ValueError, match=r"which is none of ours|is damaged|is the checkpoint"):
        sk_dynint.load(tmp_path / "a")


def refused_for_little(folder, kind, value):
    """Write a file, and see that it is refused without the memory that it claims."""
    _archive.write(folder / "a", kind, value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r".+"):
        sk_dynint.load(folder / "a")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, bytes])
@pytest.mark.parametrize("start", [b"", b"a,b\n1,2\n"], ids=["header", "line"])
def test_a_table_with_a_line_without_an_end(tmp_path, pack, start):
    path = tmp_path / "clicks.csv"
    path.write_bytes(pack(start + b"x" * (32 << 20)))
    with pytest.raises(ValueError, match=r"clicks.csv: a line is longer than 1,048,576 bytes"):
        read_table(path)
    if not start:
        with pytest.raises(ValueError, match="longer than 1,048,576 bytes"):
            read_criteo(path)


def test_lines_up_to_the_longest(tmp_path):
    longest = "x" * (1 << 20)
    for end in ("\n", "\r\n", "\r"):
        path = tmp_path / "clicks.csv"
        path.write_text(end.join(["a", longest, "y", longest, ""]), newline="")
        assert read_table(path)["a"].tolist() == [longest, "y", longest]
        path.write_text(end.join(["a", "y", longest + "x"]), newline="")
        with pytest.raises(ValueError, match="longer than"):
            read_table(path)
