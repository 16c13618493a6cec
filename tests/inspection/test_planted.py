"""A pair of fields whose interaction is in the truth is the strongest one that is found."""

import pytest

from sk_dynint import DynIntClassifier
from sk_dynint.datasets import make_ctr_classification
from sk_dynint.inspection import interaction_strengths

PLANTED = {"C1", "C2"}


def top_pair(variant, seed):
    """Strongest pair of a model of clicks that have two categorical columns, which interact."""
    X, y = make_ctr_classification(
        6_000,
        n_numeric=5,
        n_categorical=2,
        cardinalities=8,
        pairwise=1.5,
        third_order=0,
        instance_dependent=0,
        truth_seed=seed,
        random_state=seed,
    )
    clf = DynIntClassifier(variant, n_members=1, crosses=None, max_epochs=8, random_state=seed)
    strengths = interaction_strengths(clf.fit(X, y), X[:300], background=X)
    return set(strengths.stack().idxmax())


@pytest.mark.parametrize("variant", ["pin", "da"])
def test_the_planted_pair_is_on_top(variant):
    assert [top_pair(variant, seed) for seed in range(2)] == [PLANTED] * 2


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["pin", "da"])
def test_the_planted_pair_is_on_top_with_nine_seeds_in_ten(variant):
    assert sum(top_pair(variant, seed) == PLANTED for seed in range(10)) >= 9
