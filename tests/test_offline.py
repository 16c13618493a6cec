"""Nothing of the package opens a connection: not its import, nor fit, predict, save and load."""

import os
import subprocess
import sys
import textwrap

from tests.examples.conftest import ROOT

GUARD = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"the network was asked for: {args}")

class Refusing(socket.socket):
    connect = connect_ex = bind = sendto = refuse

def watch(event, args):  # also connections that are made without the module
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        refuse(event, args)

socket.socket = Refusing
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse
sys.addaudithook(watch)
"""
LIFE = """
import tempfile, warnings
from pathlib import Path
import sk_dynint
from sk_dynint.datasets import load_flights, make_ctr_classification

warnings.simplefilter("ignore")
X, y = load_flights(return_X_y=True)
X, y = X[:600], y[:600]
for model in (
    sk_dynint.DynIntClassifier(max_epochs=1, n_members=2, crosses=None, random_state=0),
    sk_dynint.BaselineClassifier("dcnv2", hidden_units=(8,), max_epochs=1),
):
    model.fit(X, y).partial_fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m")
        again = sk_dynint.load(Path(folder) / "m")
    assert (again.predict_proba(X) == model.predict_proba(X)).all()
make_ctr_classification(100, random_state=0)
print("done")
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_no_connection_is_made():
    done = run(GUARD + LIFE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")


def test_the_guard_sees_connections():
    for attempt in (
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import _socket; _socket.socket().connect(('127.0.0.1', 9))",
    ):
        assert "the network was asked for" in run(f"{GUARD}\n{attempt}").stderr
