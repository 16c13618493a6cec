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
import os, signal, sys, threading, time, warnings
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
    while time.monotonic() < start + 20:
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
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["pin", "da", "dgp", "dwp", "dcnv2", "autoint"])
def test_threads_that_predict_at_a_time_get_the_same_bits(name, two_threads):
    X, y = make_clicks(2500)
    small = {"max_epochs": 1, "random_state": 0}
    is_variant = len(name) < 4
    model = DynIntClassifier(name, **small) if is_variant else BaselineClassifier(name, **small)
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
