"""
Saving and serving
==================

A fitted classifier becomes one file without code, a row may be a dict, and an ONNX file needs
neither Python nor torch.  A web service around this is in ``examples/serving``.
"""

# %%
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sk_dynint
from sk_dynint import DynIntClassifier
from sk_dynint.datasets import load_flights

flights = load_flights()
X = flights.data.sample(10_000, random_state=0)
y = flights.target[X.index]
model = DynIntClassifier(n_members=1, crosses=None, random_state=0).fit(X[:8_000], y[:8_000])
folder = TemporaryDirectory()

# %%
# Save and load
# -------------
# The file holds arrays and JSON.  Loading it runs no code, wherever it came from.
path = Path(folder.name) / "flights.safetensors"
model.save(path)
loaded = sk_dynint.load(path)
print(f"{path.stat().st_size / 1e6:.2f} MB")
print("same bits:", (loaded.predict_proba(X[8_000:]) == model.predict_proba(X[8_000:])).all())

# %%
# One row
# -------
# A request is a dict, with keys in any order.  What it lacks is missing, and levels that training
# never saw are fine.
row = X.iloc[8_000].to_dict()
print(f"late with probability {loaded.predict_proba(row)[0, 1]:.3f}")
print(f"same with another carrier: {loaded.predict_proba(row | {'carrier': 'new'})[0, 1]:.3f}")

# %%
# How long a row takes: as a frame, as a dict, and by an ONNX file, of which encoder and network are
# parts.  That needs the extra ``onnx`` and the package ``onnxruntime``.
ways = {
    "a frame": lambda: loaded.predict_proba(X[8_000:8_001]),
    "a dict": lambda: loaded.predict_proba(row),
}
try:
    import onnxruntime

    loaded.to_onnx(Path(folder.name) / "flights.onnx")
except ImportError as error:
    print(f"No ONNX file: {error}")
else:
    session = onnxruntime.InferenceSession(Path(folder.name) / "flights.onnx")
    strings = X.select_dtypes(exclude="number").columns
    cells = {name: np.array([[value]]) for name, value in row.items() if name not in strings}
    cells = {name: cell.astype(float) for name, cell in cells.items()}
    for name in strings:  # in an ONNX file a missing string has a name
        cells[name] = np.array([[row[name] if isinstance(row[name], str) else "<NA>"]])
    label, proba = session.run(None, cells)
    print(f"by the ONNX file: {proba[0, 1]:.3f}")
    ways["ONNX"] = lambda: session.run(None, cells)


def milliseconds(call, n_calls=200):
    """How long each of several calls takes."""
    times = []
    for _ in range(n_calls):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times


times = pd.DataFrame({name: milliseconds(call) for name, call in ways.items()})
print(times.quantile([0.5, 0.99]).round(2).rename_axis("quantile of ms").to_string())

# %%
ax = plt.figure(figsize=(6.4, 2.2), layout="constrained").gca()
ax.boxplot(times, orientation="horizontal", tick_labels=list(times), whis=(5, 95), sym="")
ax.set(xlabel="ms for one row (box: quartiles; whiskers: 5 % and 95 %)", xscale="log")
ax.grid(axis="x", alpha=0.3)
plt.show()
folder.cleanup()

# %%
# A dict saves most of what a frame costs, and the ONNX file most of the rest: the network is little
# work, of which most is calling one operation after the other.
