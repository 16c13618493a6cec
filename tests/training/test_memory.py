"""Memory is estimated before it is allocated."""

import numpy as np
import pytest

from sk_dynint import DynIntClassifier
from sk_dynint.interactions import InteractionStack
from sk_dynint.training import _memory
from tests.conftest import fast, make_clicks


def test_a_net_that_does_not_fit_is_refused(monkeypatch):
    X, y = make_clicks(200)
    model = fast().fit(X, y)
    before = model.predict_proba(X)
    monkeypatch.setattr(_memory, "available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match=r"GiB are free: .* weights of the body on 6 fields"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    monkeypatch.setattr(_memory, "available_memory", lambda: None)  # where the system does not tell
    model.fit(X, y)


def test_estimate_counts_weights_without_allocating_them():
    """Eighty gigabytes are refused at once."""
    if _memory.available_memory() is None:
        pytest.skip("this system does not tell")

    def make_body(n_fields, embedding_dim):
        return InteractionStack(n_fields, embedding_dim, n_layers=3, n_subspaces=1)

    with pytest.raises(MemoryError, match="2,352,028,000 weights"):
        _memory.check_memory(make_body, 28_000, 1_000, 8)
    _memory.check_memory(make_body, 40, 1_000, 8)


@pytest.mark.parametrize(("embedding_dim", "expected"), [(8, 4), (9, 3), (7, 1), (6, 3), (16, 4)])
def test_auto_subspaces_suit_every_dimension(embedding_dim, expected):
    X, y = make_clicks(200)
    model = DynIntClassifier(embedding_dim=embedding_dim, max_epochs=1).fit(X, y)
    assert model.net_.module_.body.n_subspaces == expected


def test_auto_subspaces_of_wide_tables_stay_affordable():
    body = InteractionStack(2_000, 8, n_layers=1, n_subspaces="auto")
    assert body.n_subspaces == 2
