"""Forked children, and threads that predict at the same time."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sk_dynint import BaselineClassifier, DynIntClassifier
from tests.conftest import make_clicks

FORKS = """
import os, signal, sys, tempfile, threading, time, warnings
import numpy as np, pandas as pd, torch
from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder

warnings.simplefilter("ignore")
torch.set_num_threads(2)
rng = np.random.default_rng(0)
X = pd.DataFrame({f"c{j}": rng.integers(0, 50, 3000).astype(str) for j in range(12)})
y = rng.integers(0, 2, 3000)
short = {"max_epochs": 1, "early_stopping": False, "random_state": 0}
small = short | {"hidden_units": (64, 64), "batch_size": 512}


def child(work):
    "Fork, and return how the child ended."
    if not (pid := os.fork()):
        try:
            work()
        finally:
            os._exit(sys.exc_info()[0] is not None)
    start = time.monotonic()
    while time.monotonic() < start + 100:  # on a busy machine
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return "hang"


def beside(action, work, n_threads):
    "Fork while threads do something over and over."
    done = threading.Event()

    def repeat():
        while not done.is_set():
            action()

    threads = [threading.Thread(target=repeat) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    time.sleep(0.1 + rng.random() / 5)
    found = child(work)
    done.set()
    for thread in threads:
        thread.join()
    return found


def dropout():
    return BaselineClassifier("dnn", dropout=0.5, **small).fit(X, y)
"""
SITUATIONS = {
    "competitors": """
for name in ("dcnv2", "deepfm", "fm", "autoint"):
    model = BaselineClassifier(name, **small).fit(X, y)
    assert child(lambda: model.predict_proba(X)) == 0, name
    assert child(lambda: BaselineClassifier(name, **small).fit(X, y)) == 0, name
    assert child(lambda: model.partial_fit(X, y)) == 0, name
""",
    "predicting": """
model = DynIntClassifier(**short).fit(X, y)
for _ in range(10):
    assert beside(lambda: model.predict_proba(X), lambda: model.predict_proba(X), 6) == 0
""",
    "fitting": """
dropout()
for _ in range(5):
    assert beside(dropout, dropout, 2) == 0
""",
    "members": """
def members():
    return DynIntClassifier(**steps).fit(X[:1200], y[:1200])

steps = short | {"n_members": 3, "crosses": None, "batch_size": 256, "n_layers": 1}
model = members()
for work in (lambda: model.predict_proba(X), members, lambda: model.partial_fit(X[:900], y[:900])):
    assert child(work) == 0
for _ in range(3):
    assert beside(members, members, 2) == 0
    assert beside(lambda: model.predict_proba(X), lambda: model.predict_proba(X[:9]), 4) == 0
""",
    "compiled loops": """
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()  # so that they are compiled anew
quick = short | {"n_members": 1, "crosses": None, "batch_size": 32}
for variant in ("pin", "dgp"):  # the first fork comes while they are compiled
    fit = lambda: DynIntClassifier(variant, **quick).fit(X[:200], y[:200])
    for _ in range(3):
        assert beside(fit, fit, 2) == 0
""",
    "checkpoint": """
path = os.path.join(tempfile.mkdtemp(), "run")
quick = short | {"n_members": 1, "crosses": None, "n_layers": 1}

def kept(name):
    model = DynIntClassifier(**quick, checkpoint=path + name).fit(X[:1200], y[:1200])
    model.save(path + name + ".model")
    return model

model = kept("parent")
assert child(lambda: kept("child")) == 0
for _ in range(3):
    assert beside(lambda: kept("thread"), lambda: kept("child"), 1) == 0
""",
    "encoding": """
L = pd.concat([X] * 40)
for _ in range(3):
    assert beside(lambda: FieldEncoder().fit(L), lambda: FieldEncoder().fit_transform(L), 2) == 0
""",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_forked_children_do_not_hang(situation):
    """Locks that other threads held, and torch's threads, did not survive the fork."""
    code = FORKS + SITUATIONS[situation]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


SPAWN = """
import multiprocessing, sys, tempfile, os, warnings
import numpy as np, pandas as pd
from sk_dynint import DynIntClassifier, load

def predict(path, X):
    return load(path).predict_proba(X)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"c{j}": rng.integers(0, 50, 1500).astype(str) for j in range(4)})
    y = rng.integers(0, 2, 1500)
    model = DynIntClassifier(max_epochs=1, n_members=2, crosses=None, random_state=0).fit(X, y)
    path = os.path.join(tempfile.mkdtemp(), "model")
    model.save(path)
    for method in ("spawn", "forkserver", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.starmap_async(predict, [(path, X)] * 4).get(timeout=300)
            found += pool.map_async(model.predict_proba, [X] * 2).get(timeout=300)
        for proba in found:
            np.testing.assert_array_equal(proba, model.predict_proba(X))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork here")
def test_pools_of_processes_predict_the_same(tmp_path):
    """However they are started; the model comes from a file, and as a pickle."""
    (tmp_path / "pools.py").write_text(SPAWN)
    subprocess.run([sys.executable, tmp_path / "pools.py"], check=True, timeout=900)


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["pin", "da", "dgp", "dwp", "dcnv2", "autoint", "members"])
def test_threads_that_predict_at_a_time_get_the_same_bits(name, two_threads):
    X, y = make_clicks(2500)
    small = {"max_epochs": 1, "random_state": 0}
    if name == "members":
        model = DynIntClassifier(n_members=3, **small)
    elif len(name) < 4:
        model = DynIntClassifier(name, **small)
    else:
        model = BaselineClassifier(name, **small)
    model.fit(X, y)
    sizes = (1025, 1500, 2500)
    expected = {n: model.predict_proba(X.head(n)) for n in sizes}
    with pytest.MonkeyPatch.context() as patch:  # one thread alone
        patch.setattr("torch.get_num_threads", lambda: 1)
        np.testing.assert_array_equal(model.predict_proba(X), expected[2500])
    with ThreadPoolExecutor(1) as pool:  # a new thread of the user's has torch's threads
        assert pool.submit(torch.get_num_threads).result() == 2
    differing = []

    def predict(seed):
        for n in np.random.default_rng(seed).choice(sizes, 10):
            if not np.array_equal(model.predict_proba(X.head(n)), expected[n]):
                differing.append(n)

    threads = [threading.Thread(target=predict, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differing
