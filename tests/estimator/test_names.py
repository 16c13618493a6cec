"""Names of parameters: unknown ones are refused with a hint, before anything is changed."""

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sk_dynint import BaselineClassifier, DynIntClassifier, FieldEncoder
from sk_dynint._names import HINTS
from tests.conftest import fast

BOTH = pytest.mark.parametrize("make", [DynIntClassifier, BaselineClassifier])


@BOTH
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("learning_rate", "it is lr here"),
        ("early_stopping_rounds", "it is patience here"),
        ("epochs", "max_epochs"),
        ("eval_set", "X_val and y_val"),
        ("cat_features", "categorical_features"),
        ("random_stat", "did you mean random_state"),
        ("encoder__min_count", r"encoder=FieldEncoder\(min_count=...\)"),
    ],
)
def test_a_name_of_another_library_is_answered_with_ours(make, name, hint):
    with pytest.raises(TypeError, match=f"{make.__name__} has no parameter '{name}'; .*{hint}"):
        make(**{name: 3})


@BOTH
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("eval_set", "; pass X_val and y_val to fit here. Its arguments are X, y, sample_weight"),
        ("cat_features", "; it is categorical_features here"),
        ("verbose", "; it is a parameter of "),
        ("validation_split", "; it is validation_fraction here"),
        ("nonsense", ". Its arguments are X, y"),
    ],
)
def test_arguments_of_fit_are_answered_too(make, name, hint, clicks):
    with pytest.raises(TypeError) as found:
        make().fit(*clicks, **{name: 1})
    assert f"{make.__name__}.fit has no argument {name!r}{hint}" in str(found.value)


@BOTH
def test_no_hint_hides_a_parameter(make):
    assert not set(HINTS) & set(make().get_params())


@BOTH
def test_set_params_is_all_or_nothing(make):
    model = make(encoder=FieldEncoder(min_count=3))
    before = repr(model)
    for wrong, match in [
        ({"lr": 0.5, "learning_rate": 0.1}, "it is lr here"),
        ({"encoder__min_count": 9, "encoder__bins": 3}, r"encoder has no parameter \['bins'\]"),
        ({"encoder__min_count": 9, "max_epoch": 3}, "did you mean max_epochs"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.set_params(**wrong)
        assert repr(model) == before


def test_encoder_and_its_parameters_at_once(clicks):
    """A grid may hold both, in any order."""
    model = fast().set_params(encoder=None, encoder__min_count=5)
    assert model.encoder.min_count == 5
    model = fast(encoder=FieldEncoder()).set_params(encoder__n_bins=7, encoder=None)
    assert model.encoder.n_bins == 7
    grid = {"encoder": [None], "encoder__min_count": [1, 5], "max_epochs": [1]}
    search = GridSearchCV(fast(), grid, cv=2).fit(*clicks)
    assert search.best_params_["encoder__min_count"] in (1, 5)
    assert clone(search.best_estimator_).encoder.min_count in (1, 5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (fast(rank=2), "rank=2 makes no difference with variant='da'"),
        (fast(variant="pin", reduction=4), "reduction=4 makes no difference with variant='pin'"),
        (fast(orthogonal_penalty=0.1), "orthogonal_penalty=0.1 .* variant='da'"),
        (fast(fusion="tri-bce"), "fusion='tri-bce' .* beside=None"),
        (fast(early_stopping=False, patience=3), "patience=3 .* early_stopping=False"),
        (BaselineClassifier("lr", hidden_units=(4,), n_members=1), r"hidden_units=\(4,\) .*='lr'"),
        (BaselineClassifier("fm", dropout=0.1, n_layers=2), "dropout=0.1, n_layers=2 .*='fm'"),
        (BaselineClassifier("dcnv2", deep=False, batch_norm=True), "batch_norm=True .* deep=False"),
    ],
)
def test_parameters_without_effect_are_told(model, message, clicks):
    with pytest.warns(UserWarning, match=message):
        model.set_params(max_epochs=1).fit(*clicks)


def test_parameters_with_effect_are_not(clicks):
    X, y = clicks
    fast(variant="dgp", rank=2, orthogonal_penalty=0.1, max_epochs=30, lr=0.3).fit(X, y)
    given = {"X_val": X, "y_val": y}
    fast(early_stopping=False, patience=1, max_epochs=30, lr=0.3).fit(X, y, **given)
    BaselineClassifier("lr", early_stopping=False, max_epochs=1).fit(X, y)
