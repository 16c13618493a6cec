r"""Latency of a prediction: in Python, and of the web service of examples/serving under load.

    pip install -c constraints.txt -e ".[serving,fast,onnx]" onnxruntime
    python examples/benchmarks/bench_serving.py --seconds 10
    SK_DYNINT_COMPILED=0 python examples/benchmarks/bench_serving.py --clients

A single network and an ensemble of four, with default parameters but without crosses, learn from
20,000 flights, and from as many rows of make_ctr_classification.  First one row is predicted again
and again in one thread: from a frame, from a dict, from indices, and by onnxruntime from the same
dict; of an ensemble of each variant, from a dict.  Then uvicorn serves the single network of the
flights with one worker; so many clients as are told, each a thread with a connection of its own,
send one row after the other over the loopback.  Clients and service share the cores, as figures of
a laptop do.
"""

# %%
import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from sk_dynint import DynIntClassifier, EncodedData
from sk_dynint.datasets import load_flights, make_ctr_classification

SERVICE = Path(__file__).parents[1] / "serving"
PORT = 8765


def quantiles(times):
    """Return median and 99th percentile as text."""
    return " | ".join(f"{1e3 * np.quantile(times, q):.2f}" for q in (0.5, 0.99))


def times_of(predict, items, n_rounds=4):
    """Return how long each item takes."""
    times = []
    for item in items * n_rounds:
        start = time.perf_counter()
        predict(item)
        times.append(time.perf_counter() - start)
    return times[len(times) // 10 :]


def onnx_session(model):
    """Return a function that predicts a dict by onnxruntime, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        model.to_onnx(Path(folder) / "model.onnx")
        session = onnxruntime.InferenceSession(Path(folder) / "model.onnx", options)
    missing = {
        each.name: ("<NA>", object) if "string" in each.type else (np.nan, np.float64)
        for each in session.get_inputs()
    }

    def predict(row):
        columns = {
            name: np.array([[other if row[name] is None else row[name]]], dtype)
            for name, (other, dtype) in missing.items()
        }
        return session.run(["probabilities"], columns)[0]

    return predict


def in_python(name, model, X, kinds=("a frame", "a dict", "indices", "a dict, ONNX")):
    """Print what one row takes in this process."""
    frames = [X.iloc[[i]] for i in range(500)]
    dicts = [json.loads(frame.to_json(orient="records"))[0] for frame in frames]
    ways = {
        "a frame": (model.predict_proba, frames),
        "a dict": (model.predict_proba, dicts),
        "indices": (
            model.predict_proba,
            [EncodedData(model.encoder_.transform(row), encoder=model.encoder_) for row in dicts],
        ),
    }
    if "a dict, ONNX" in kinds:
        ways["a dict, ONNX"] = onnx_session(model), dicts
    for kind in kinds:
        print(f"| {name}, {kind} | {quantiles(times_of(*ways[kind]))} |", flush=True)
    return dicts


def client(rows, until, times):
    """Send rows until it is time; a connection for all of them."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    bodies = [json.dumps({"row": row}) for row in rows]
    while time.perf_counter() < until:
        for body in bodies:
            start = time.perf_counter()
            connection.request("POST", "/predict", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            times.append(time.perf_counter() - start)
            if start > until:
                break


def under_load(rows, n_clients, seconds):
    """Print latencies and the number of requests in a second."""
    times, until = [], time.perf_counter() + seconds
    threads = [threading.Thread(target=client, args=(rows, until, times)) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"| {n_clients} | {quantiles(times)} | {len(times) / seconds:,.0f} |", flush=True)


def wait_for(process):
    """Wait until the service answers."""
    for _ in range(300):
        assert process.poll() is None, "the service ended"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT)
            connection.request("GET", "/health")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.2)


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of load by each number")
    parser.add_argument("--clients", nargs="*", type=int, default=[1, 8, 32])
    parser.add_argument("--rows", type=int, default=20_000, help="to learn from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of advice on columns
    flights = load_flights()
    chosen = flights.data.sample(args.rows, random_state=0).drop(columns="month")
    tables = {
        "flights": (chosen, flights.target[chosen.index]),
        "made up": make_ctr_classification(args.rows, random_state=0),
    }
    print("| one row | p50, ms | p99, ms |\n|---|---|---|")
    for name, (X, y) in tables.items():
        of = f"{name}, {X.shape[1]} columns"
        for n_members in (1, 4):
            made = DynIntClassifier(n_members=n_members, random_state=0, crosses=None).fit(X, y)
            networks = "1 network" if n_members == 1 else f"{n_members} members"
            rows = in_python(f"{of}, {networks}", made, X)
            if name == "flights" and n_members == 1:
                model, flight_rows = made, rows
    # Of the last table; how good a network is does not matter.
    for variant in ("pin", "dgp", "dwp"):
        made = DynIntClassifier(variant, n_members=4, random_state=0, crosses=None, max_epochs=1)
        in_python(f"{of}, 4 members, {variant}", made.fit(X, y), X, ["a dict"])
    if args.clients:
        serve(model, flight_rows, args)


def serve(model, rows, args):
    """Print the table of the service."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flights.safetensors"
        model.save(path)
        command = [sys.executable, "-m", "uvicorn", "--app-dir", SERVICE, "app:app"]
        options = ["--port", str(PORT), "--log-level", "warning"]
        environment = os.environ | {"SK_DYNINT_MODEL": str(path)}
        process = subprocess.Popen([*command, *options], env=environment)
        try:
            wait_for(process)
            print("\n| clients | p50, ms | p99, ms | requests/s |\n|---|---|---|---|")
            for n_clients in args.clients:
                under_load(rows, n_clients, args.seconds)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
