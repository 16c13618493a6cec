"""Mutated files for everything that reads files: nothing breaks, hangs, or takes much memory.

    python -m tests.fuzzing table 20000 --seed 1

runs one target by hand.  A process of its own sees crashes of compiled code, hangs and the memory
of each call.
"""

import argparse
import bz2
import faulthandler
import gzip
import io
import json
import lzma
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

import sk_dynint
from sk_dynint import FieldEncoder
from sk_dynint.datasets import read_avazu, read_criteo, read_ipinyou, read_table
from tests.conftest import fast, make_clicks
from tests.test_archive import resealed

MAX_SECONDS = 5
MAX_RATIO, MIN_BYTES = 10, 64 << 20  # memory of a call: ten times the file, or a block
ADDRESS_SPACE = 16 << 30  # what no call comes near; else the machine itself would be in danger

PIECES = [
    *[b"\0", b"\n", b"\r", b"\r\n", b"\t", b",", b'"', b"'", b";", b"\\", b" ", b"-", b"#"],
    *[b"1e999", b"nan", b"inf", b"NA", b"9" * 400, b"0" * 30 + b"7", str(2**64).encode(), b"0x1p9"],
    *[b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\x1f\x8b", b"PK\3\4"],
    *[b"\xff" * 4, b"\xff" * 8, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0" * 8, b"{", b"]", b"null"],
]


def mutated(data, rng):
    """Damage a file in one to four places."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place = int(rng.integers(len(data) + 1))
        end = min(len(data), place + int(rng.integers(1, 40)))
        kind = rng.integers(7)
        if kind == 0:
            del data[place:]
        elif kind == 1:
            del data[place:end]
        elif kind == 2:
            data[place:place] = data[place:end] * int(rng.integers(1, 30))
        elif kind == 3:
            data[place:place] = PIECES[rng.integers(len(PIECES))]
        elif kind == 4:
            piece = PIECES[rng.integers(len(PIECES))]
            data[place : place + len(piece)] = piece
        elif place < len(data):
            data[place] = rng.integers(256) if kind == 5 else data[place] ^ (1 << rng.integers(8))
    return bytes(data)


# -- text, packed in several ways ------------------------------------------------------------------


def zipped(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", data)
    return packed.getvalue()


PACKINGS = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, 1),
    ".zip": zipped,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
}


def packed_and_mutated(text, packing, rng):
    """Damage the text, or the file that it is packed in."""
    if rng.random() < 0.5:
        return PACKINGS[packing](mutated(text, rng))
    return mutated(PACKINGS[packing](text), rng)


def lines(rows, separator):
    return "".join(separator.join(row) + "\n" for row in rows).encode()


def table_text():
    X, y = make_clicks(30)
    return X.assign(y=y).to_csv(index=False).encode()


def table(folder, rng):
    """`read_table` of text."""
    text = table_text()
    choices = [{}, {"categorical_features": "all"}, {"numeric_features": ["count"]}]
    while True:
        packing = [*PACKINGS][rng.integers(len(PACKINGS))]
        path = folder / f"clicks.csv{packing}"
        path.write_bytes(packed_and_mutated(text, packing, rng))
        yield path, partial(read_table, path, **choices[rng.integers(3)])


def parquet(folder, rng):
    """`read_table` of Parquet."""
    files = []
    for compression in (None, "snappy"):
        X, y = make_clicks(30)
        X.assign(y=y).to_parquet(folder / "whole.parquet", compression=compression)
        files.append((folder / "whole.parquet").read_bytes())
    while True:
        path = folder / "clicks.parquet"
        path.write_bytes(mutated(files[rng.integers(2)], rng))
        yield path, partial(read_table, path, categorical_features="all")


def logs(folder, rng):
    """The readers of published logs."""
    from tests.datasets import test_readers as written

    texts = [
        (read_criteo, lines(written.criteo_rows(20), "\t")),
        (read_avazu, lines([written.AVAZU, *written.avazu_rows(20)], ",")),
        (read_ipinyou, lines([written.IPINYOU, *written.ipinyou_rows(20)], "\t")),
    ]
    while True:
        read, text = texts[rng.integers(3)]
        packing = [*PACKINGS][rng.integers(len(PACKINGS))]
        path = folder / "log"
        path.write_bytes(packed_and_mutated(text, packing, rng))
        options = {"on_broken": ["raise", "warn"][rng.integers(2)]}
        if rng.random() < 0.2:
            options |= {"n_rows": 5}
        yield path, partial(read, path, **options)


# -- what save wrote -------------------------------------------------------------------------------


def damaged(folder, rng):
    """`load` of a classifier whose bytes are damaged; the checksum fits in half of the files."""
    X, y = make_clicks(200)
    path = folder / "model"
    fast(max_epochs=1, crosses=[("site", "device")]).fit(X, y).save(path)
    whole = path.read_bytes()
    while True:
        data = mutated(whole, rng)
        try:
            resealed(path, data)
        except ValueError:  # no place for a checksum
            path.write_bytes(data)
        yield path, partial(sk_dynint.load, path)


VALUES = [
    *[None, True, False, 0, 1, -1, 2, 7, 2**31, 2**40, 2**63, 10**30, -(2**63), 0.5, 1e300],
    *["", "a", [[2**40] * 3]],
    *["nan", "<U9", "<f8", "<i8", "O", "|V9", "<M8[s]", [], [[]], {}, {"dict": []}, {"float": "x"}],
    *[{"tuple": []}, {"array": "x"}, {"class": "os.system"}, {"frozen": 1}, {"items": [1, "a"]}],
]


def places(tree, found):
    """Collect every container of a tree with the keys of its children."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, child in list(children):
        found.append((tree, key))
        if isinstance(child, dict | list):
            places(child, found)
    return found


def changed(description, rng):
    """Change one to three values of a description."""
    tree = json.loads(description)
    for _ in range(rng.integers(1, 4)):
        everything = places(tree, [])
        parent, key = everything[rng.integers(len(everything))]
        other, its_key = everything[rng.integers(len(everything))]
        kind = rng.integers(5)
        if kind == 0:
            del parent[key]
        elif kind == 1:
            parent[key] = json.loads(json.dumps(other[its_key]))
        elif kind == 2 and isinstance(parent[key], int):
            parent[key] = parent[key] * int(rng.choice([-1, 2, 1000, 2**32]))
        else:
            parent[key] = VALUES[rng.integers(len(VALUES))]
    return json.dumps(tree, separators=(",", ":"))


def made_up(folder, rng):
    """`load` of files whose description was changed, and whose checksum fits."""
    X, y = make_clicks(200)
    path, wholes = folder / "model", []
    for model in (
        fast(max_epochs=1, crosses=[("site", "device")]).fit(X, y),
        fast(max_epochs=1, n_members=2, variant="dgp").fit(X, np.where(y, "yes", "no")),
        FieldEncoder().fit(X),
    ):
        model.save(path)
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        wholes.append((json.loads(data[8 : 8 + length]), data[8 + length :]))
    while True:
        header, arrays = wholes[rng.integers(len(wholes))]
        meta = header["__metadata__"]
        meta = meta | {"sk_dynint": changed(meta["sk_dynint"], rng), "sha256": "0" * 64}
        text = json.dumps(header | {"__metadata__": meta}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        resealed(path, len(text).to_bytes(8, "little") + text + arrays)
        yield path, partial(sk_dynint.load, path)


TARGETS = {f.__name__: f for f in (table, parquet, logs, damaged, made_up)}


# -- running ---------------------------------------------------------------------------------------


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(target, n, seed, keep=None):
    """Read mutated files one after the other; return how many were refused, and the most."""
    rng, refused, slowest, most = np.random.default_rng(seed), 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for i, (path, read) in zip(range(n + 20), TARGETS[target](Path(folder), rng), strict=False):
            size = path.stat().st_size
            before, start = resident(), time.process_time()
            faulthandler.dump_traceback_later(20 * MAX_SECONDS, exit=True)  # busy or waiting
            try:
                read()
            except (ValueError, OSError):
                refused += 1
            except BaseException:
                print(f"{target} seed {seed}: file {i}", file=sys.stderr)
                (keep or Path(tempfile.gettempdir()) / f"fuzz-{target}").write_bytes(
                    path.read_bytes()
                )
                raise
            finally:
                faulthandler.cancel_dump_traceback_later()
            seconds, taken = time.process_time() - start, resident() - before
            if i < 20:  # the first calls load and compile
                continue
            slowest, most = max(slowest, seconds), max(most, taken)
            assert seconds < MAX_SECONDS, f"{target} seed {seed}: file {i} took {seconds:.1f} s"
            allowed = max(MIN_BYTES, MAX_RATIO * size)
            assert taken <= allowed, f"{target} seed {seed}: file {i} took {taken:,} bytes"
    return f"{n:,} files, {refused:,} refused; at most {slowest:.2f} s and {most / 2**20:.0f} MB"


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("n", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    print(run(options.target, options.n, options.seed))


if __name__ == "__main__":
    main()
