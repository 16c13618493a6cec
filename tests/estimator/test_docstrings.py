"""Parameters that both classifiers have are documented alike."""

import inspect
import re

import pytest

from sk_dynint import BaselineClassifier, DynIntClassifier

OF_THE_MODEL = {  # their meaning or default depends on the model
    *("n_layers", "embedding_dim", "embedding_init_std", "optimizer", "lr"),
    *("optimizer_params", "embedding_optimizer_params", "n_members", "crosses", "n_knots"),
    "popularity",
}


def documented(estimator):
    """Text of each parameter in the docstring."""
    section = inspect.getdoc(estimator).split("Parameters\n----------\n")[1]
    section = section.split("\n\nAttributes")[0]
    parts = re.split(r"(?m)^(?=\w+ : )", section)
    return {part.split(" : ")[0]: part.strip() for part in parts if part.strip()}


@pytest.mark.parametrize("estimator", [DynIntClassifier, BaselineClassifier])
def test_every_parameter_is_documented_in_order(estimator):
    assert list(documented(estimator)) == list(inspect.signature(estimator).parameters)


def test_shared_parameters_are_documented_alike():
    one, two = documented(DynIntClassifier), documented(BaselineClassifier)
    shared = (one.keys() & two.keys()) - OF_THE_MODEL
    assert len(shared) > 15
    assert {name: one[name] for name in shared} == {name: two[name] for name in shared}
