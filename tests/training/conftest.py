"""A fitted classifier and its encoded rows."""

import pytest

from tests.conftest import fast, make_clicks


@pytest.fixture(scope="session")
def fitted():
    """A classifier, its raw rows, and their field indices; 1,500 rows."""
    X, y = make_clicks(1_500, seed=4)
    model = fast(variant="da").fit(X, y)
    return model, X, model.encoder_.transform(X)
