"""The web service of the examples: what it answers, to good requests and to bad ones."""

import http.client
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import sk_dynint
from tests.conftest import fast, make_clicks
from tests.examples.conftest import ROOT

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")


class Client:
    """Sends requests to a port of this machine; returns status and text of the answers."""

    def __init__(self, port):
        self.port = port

    def get(self, path):
        return self._ask("GET", path)

    def post(self, path, body):
        return self._ask("POST", path, body if isinstance(body, bytes) else json.dumps(body))

    def _ask(self, *request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(*request, headers={"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text


@contextmanager
def running(app):
    """Context with a client of a service that runs in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Client(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def service():
    """The module of the service, which is no package."""
    path = ROOT / "examples" / "serving" / "app.py"
    spec = importlib.util.spec_from_file_location("serving_app", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table():
    X, y = make_clicks(600)
    return X.drop(columns="day"), y


@pytest.fixture(scope="module")
def served(table, tmp_path_factory, service):
    """A client of the service, and the model behind it."""
    model = fast(n_members=2).fit(*table)
    path = tmp_path_factory.mktemp("served") / "clicks.safetensors"
    model.save(path)
    with running(service.make_app(path)) as client:
        yield client, model


@pytest.fixture(scope="module")
def rows(table):
    X, _ = table
    return X.astype(object).where(X.notna(), None).to_dict("records")


def test_one_row_and_many(served, rows, table):
    client, model = served
    proba = model.predict_proba(table[0])[:, 1]
    for row, wanted in zip(rows[:20], proba, strict=False):
        _, answer = client.post("/predict", {"row": row})
        assert json.loads(answer) == {"probability": pytest.approx(wanted, abs=1e-6)}
    _, answer = client.post("/predict_batch", {"rows": rows})
    np.testing.assert_allclose(json.loads(answer)["probabilities"], proba, atol=1e-6)
    unseen = rows[0] | {"site": "never seen", "hour": None}
    assert client.post("/predict", {"row": unseen})[0] == 200


def test_what_it_tells_of_itself(served):
    client, _ = served
    _, answer = client.get("/columns")
    assert json.loads(answer) == {
        "site": "strings",
        "hour": "numbers",
        "count": "numbers",
        "mobile": "booleans",
        "device": "strings",
    }
    _, answer = client.get("/health")
    assert json.loads(answer) == {"status": "ok", "sk_dynint": sk_dynint.__version__}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": "red"}, "has ['color'], which fit did not"),
        ({"hour": "12"}, "column 'hour' holds strings, but it is numeric and held numbers"),
        ({"site": 7}, "column 'site' holds numbers, but"),
        ({"site": ["a"]}, "site"),
        ({"count": float("inf")}, "count"),
    ],
)
def test_bad_rows(served, rows, change, message):
    client, _ = served
    status, answer = client.post("/predict", {"row": rows[0] | change})
    assert status == 422
    assert message in answer


def test_bad_requests(served, rows, service):
    client, _ = served
    lacking = {name: value for name, value in rows[0].items() if name != "site"}
    status, answer = client.post("/predict", {"row": lacking})
    assert status == 422
    assert "lacks ['site']" in answer
    for path, body in (
        ("/predict", {"row": rows[0], "more": 1}),
        ("/predict", {}),
        ("/predict", rows[0]),
        ("/predict_batch", {"rows": []}),
        ("/predict_batch", {"rows": [rows[0]] * (service.MAX_ROWS + 1)}),
        ("/predict_batch", {"rows": rows[0]}),
        ("/predict", b"{"),
    ):
        assert client.post(path, body)[0] == 422, body


def test_mlflow_unpickles_nothing(table, tmp_path):
    """Where MLflow is installed; its flavour is the code of the example and the saved file."""
    pytest.importorskip("mlflow")
    X, y = table
    model = fast().fit(X, y)
    model.save(tmp_path / "clicks.safetensors")
    X.to_pickle(tmp_path / "rows")
    script = ROOT / "examples" / "serving" / "mlflow_model.py"
    source, target = tmp_path / "clicks.safetensors", tmp_path / "flavour"
    subprocess.run([sys.executable, script, source, target], check=True, capture_output=True)
    code = f"""
        import cloudpickle, joblib, mlflow, pandas, pickle, torch
        rows = pandas.read_pickle({str(tmp_path / "rows")!r})
        def refuse(*args, **options):
            raise AssertionError("unpickled")
        for module in (cloudpickle, joblib, pickle, torch):
            module.load = module.loads = refuse
        model = mlflow.pyfunc.load_model({str(target)!r})
        print(model.predict(rows).tolist())
    """
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"SK_DYNINT_COMPILED": "0"},  # has a cache
    )
    np.testing.assert_allclose(json.loads(out.stdout), model.predict_proba(X)[:, 1], atol=1e-6)
