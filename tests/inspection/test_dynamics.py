"""Gates, singular values and pair weights against the NumPy reference."""

import numpy as np
import pytest
import torch

from sk_dynint.inspection import gates, pair_weights, singular_values
from tests.conftest import fast
from tests.inspection.references import frozen_layer
from tests.references import dgp_matrices, dwp_factors, part, split, to_numpy


def rows_and_parameters(clf, X, h=2):
    """Embeddings (B, M, Ds) and the body's parameters as arrays."""
    module = clf.net_.module_
    with torch.no_grad():
        x = module.embedding(torch.as_tensor(clf.encoder_.transform(X))).double().numpy()
    return split(x, h), to_numpy(module.body)


@pytest.mark.parametrize("shape", ["feature", "element"])
def test_gates(fitted, clicks, shape):
    X, _ = clicks
    clf = fitted("da", variant_params={"gate_shape": shape})
    found = gates(clf, X[:5])
    assert found.shape == (5, 2, 6, 2 if shape == "feature" else 4)
    rows, params = rows_and_parameters(clf, X[:5])
    for i, row in enumerate(rows):
        for layer in range(2):
            _, G = frozen_layer(part(params, f"layers.{layer}"), "da", row, gate_shape=shape)
            for f in range(6):
                expected = np.concatenate([G[s * 6 + f] for s in range(2)])
                assert found[i, layer, f] == pytest.approx(expected, abs=1e-5)


def test_singular_values(fitted, clicks):
    X, _ = clicks
    clf = fitted("dgp", rank=3)
    found = singular_values(clf, X[:5])
    assert found.shape == (5, 2, 3)
    rows, params = rows_and_parameters(clf, X[:5])
    for layer in range(2):
        p = part(params, f"layers.{layer}")
        matrices = dgp_matrices(p, rows)
        for i in range(5):
            expected = p["u"] @ np.diag(found[i, layer]) @ p["v"].T
            assert matrices[i] == pytest.approx(expected, abs=1e-5)


def test_singular_values_of_full_matrices(fitted, clicks):
    X, _ = clicks
    clf = fitted("dgp", rank=3, variant_params={"sigma": "full"})
    found = singular_values(clf, X[:5])
    assert (np.diff(found) <= 0).all()
    assert (found >= 0).all()


def test_pair_weights(fitted, clicks):
    X, _ = clicks
    clf = fitted("dwp")
    found = pair_weights(clf, X[:5])
    assert found.shape == (5, 2, 12, 12)
    rows, params = rows_and_parameters(clf, X[:5])
    for layer in range(2):
        u, v = dwp_factors(part(params, f"layers.{layer}"), rows, rank=2)
        assert found[:, layer] == pytest.approx(np.einsum("bki,bkj->bij", u, v), abs=1e-5)


def test_members_outputs_and_hybrids(fitted, clicks, three_classes):
    X, y = clicks
    clf = fitted("da", n_members=2)
    assert not np.array_equal(gates(clf, X[:5]), gates(clf, X[:5], member=1))
    three, *_ = three_classes
    assert not np.array_equal(gates(three, X[:5]), gates(three, X[:5], output=2))
    hybrid = fast(beside="fm").fit(X, y)
    assert gates(hybrid, X[:5]).shape == (5, 1, 6, 1)
    for wrong, message in [
        ({"member": 2}, "member=2; it must be from 0 to 1"),
        ({"output": 1}, "output=1; it must be from 0 to 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            gates(clf, X[:5], **wrong)


def test_other_variants_are_refused(fitted, clicks):
    X, _ = clicks
    for function, variant in [(gates, "da"), (singular_values, "dgp"), (pair_weights, "dwp")]:
        with pytest.raises(ValueError, match=f"layers of the variant '{variant}', got 'pin'"):
            function(fitted("pin"), X)
        with pytest.raises(ValueError, match="nothing dynamic"):
            function(fitted(variant, n_layers=0), X)
