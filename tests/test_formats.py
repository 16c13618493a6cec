"""Files of every format that was ever released can be read: ``tests/data/format-*``.

``python -m tests.test_formats`` writes those of the present format.  It is run once, when the
format is new; files that are there already must not change.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sk_dynint
from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._archive import FORMAT

DATA = Path(__file__).parent / "data"
FOLDERS = sorted(DATA.glob("format-*"))


def make_table():
    """400 rows of columns of all kinds."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "site": rng.choice(["a", "b", "ü", "rare"], 400, p=[0.5, 0.3, 0.19, 0.01]),
            "zip": rng.integers(10**9, 10**9 + 3, 400),
            "price": np.round(rng.lognormal(1, 2, 400), 2),
            "mobile": rng.random(400) < 0.5,
            "tags": [list(rng.choice(["x", "y", "z"], rng.integers(0, 3))) for _ in range(400)],
        }
    )
    X.loc[rng.random(400) < 0.1, ["site", "price"]] = None
    y = np.where((X["site"] == "a") ^ X["mobile"] ^ (rng.random(400) < 0.1), "yes", "no")
    return X, y


def make_models(X, y):
    """Name -> what is saved, and how."""
    params = {"max_epochs": 3, "random_state": 0, "early_stopping": False}
    encoder = FieldEncoder(categorical_features=["site", "zip"], crosses=[("site", "mobile")])
    members = DynIntClassifier("dgp", rank=2, n_members=2, encoder=encoder, **params)
    return {
        "members": members.fit(X, y),
        "da": DynIntClassifier("da", n_members=1, crosses=None, n_layers=2, **params).fit(X, y),
        "deepfm": BaselineClassifier("deepfm", hidden_units=(8,), **params).fit(X, y),
        "classes": DynIntClassifier("pin", n_members=1, crosses=None, **params).fit(X, X["zip"]),
    }


def write(folder):
    """Write models, an encoder, rows and what is predicted for them."""
    folder.mkdir(parents=True)
    X, y = make_table()
    models, rows = make_models(X, y), X[:20].astype(object).where(X[:20].notna(), None)
    rows = rows.to_dict("records")
    expected = {"rows": rows, "encoded": {}, "proba": {}}
    for name, model in models.items():
        model.save(folder / f"{name}.safetensors", training_state=name == "members")
        expected["proba"][name] = model.predict_proba(rows).tolist()
    models["members"].encoder_.save(folder / "encoder.safetensors")
    expected["encoded"] = models["members"].encoder_.transform(rows).tolist()
    (folder / "expected.json").write_text(json.dumps(expected, default=lambda v: v.item()))


def test_the_present_format_has_files():
    assert DATA / f"format-{FORMAT}" in FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_was_saved_is_what_is_read(folder):
    expected = json.loads((folder / "expected.json").read_text())
    for name, proba in expected["proba"].items():
        model = sk_dynint.load(folder / f"{name}.safetensors")
        np.testing.assert_allclose(model.predict_proba(expected["rows"]), proba, atol=1e-6)
    encoder = sk_dynint.load(folder / "encoder.safetensors")
    np.testing.assert_array_equal(encoder.transform(expected["rows"]), expected["encoded"])
    X, y = make_table()
    members = sk_dynint.load(folder / "members.safetensors").partial_fit(X, y)
    assert members.n_iter_ > 0
    assert sorted(path.stem for path in folder.glob("*.safetensors")) == sorted(
        [*expected["proba"], "encoder"]
    )


if __name__ == "__main__":
    write(DATA / f"format-{FORMAT}")
