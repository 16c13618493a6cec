"""Layers and bodies of a user: they work like ours, and what they lack is told by name."""

import pickle
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from sk_dynint import BaselineClassifier, DynIntClassifier
from sk_dynint.baselines import BASELINES, Body
from sk_dynint.interactions import VARIANTS, InteractionLayer
from tests.conftest import fast, make_clicks


class MyBody(Body):
    """A body with an option of the classifier, and one of its own."""

    first_order = True

    def __init__(self, n_fields, embedding_dim, *, hidden_units=(4,), scale=1.0):
        super().__init__()
        self.hidden = nn.Linear(n_fields * embedding_dim, hidden_units[0])
        self.output = nn.Linear(hidden_units[0], 1, bias=False)
        self.dropout = nn.Dropout(0.1)
        self.scale = scale

    def forward(self, embedding):
        return self.scale * self.output(self.dropout(self.hidden(embedding.flatten(1)))).squeeze(1)


class Square(InteractionLayer):
    """A layer without a constructor."""

    def forward(self, x, x0):
        return x + x * x0


def small(model=MyBody, **params):
    """Make a classifier that takes a fraction of a second."""
    settings = {"max_epochs": 3, "embedding_dim": 4, "hidden_units": (8,), "random_state": 0}
    return BaselineClassifier(model, **settings | params)


@pytest.mark.parametrize("n_samples", [100, 1_500])
def test_own_body(n_samples):
    X, y = make_clicks(n_samples)
    model = small(model_params={"scale": 2.0}, lr=0.01).fit(X, y)
    body = model.net_.module_.body
    assert (body.hidden.out_features, body.scale) == (8, 2.0)
    assert model.net_.module_.first_order is not None
    assert roc_auc_score(y, model.decision_function(X)) > 0.6
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, y)
    assert clone(model).get_params() == model.get_params()
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))


def test_own_body_among_others(clicks):
    grid = [
        {"model": [MyBody, "fm"]},
        {"model": [MyBody], "model_params": [{"scale": 0.5}], "hidden_units": [(2,), (3,)]},
    ]
    search = GridSearchCV(small(), grid, cv=2, scoring="roc_auc").fit(*clicks)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("model", BASELINES)
def test_a_class_of_ours_is_as_good_as_its_name(clicks, model):
    X, y = clicks
    by_name, by_class = (small(m).fit(X, y) for m in (model, BASELINES[model]))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_name.predict_proba(X))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_ours_is_as_good_as_its_name(clicks, variant):
    X, y = clicks
    options = {"variant_params": {"rank": 2}} if variant in ("dgp", "dwp") else {}
    by_name, by_class = (fast(variant=v, **options).fit(X, y) for v in (variant, VARIANTS[variant]))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_name.predict_proba(X))


@pytest.mark.parametrize(("embedding_dim", "n_subspaces"), [(8, 1), (8, 8), (12, 2), (1, 1)])
@pytest.mark.parametrize("n_layers", [0, 2])
def test_own_layer_of_any_size(clicks, embedding_dim, n_subspaces, n_layers):
    options = {"embedding_dim": embedding_dim, "n_subspaces": n_subspaces, "n_layers": n_layers}
    DynIntClassifier(Square, max_epochs=1, **options).fit(*clicks)
    DynIntClassifier(Square, n_layers=n_layers, embedding_dim=embedding_dim).check_params()


def test_a_trial_leaves_the_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fast(variant=Square).check_params()
    small().check_params()
    assert torch.equal(torch.rand(1), expected)


# --- what a class may lack


def layer(forward=Square.forward, init=InteractionLayer.__init__):
    return type("MyLayer", (InteractionLayer,), {"forward": forward, "__init__": init})


def body(forward=MyBody.forward, init=MyBody.__init__):
    return type("MyBody", (Body,), {"forward": forward, "__init__": init})


def nothing(self, *sizes):
    self.nothing = None


def parameter(self, width, depth):
    self.weight = nn.Parameter(torch.ones(width))


def only_super(self, *sizes):
    nn.Module.__init__(self)


def without_sizes(self, width, depth):
    InteractionLayer.__init__(self)


MUST_LAYER = (
    "its __init__ must take width, depth, then options by keyword, and begin with "
    "super().__init__(width, depth)"
)
MUST_BODY = (
    "its __init__ must take n_fields, embedding_dim, then options by keyword, and begin with "
    "super().__init__()"
)


@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        # no forward
        (
            type("MyLayer", (InteractionLayer,), {}),
            TypeError,
            "MyLayer has no forward; it must define forward(x, x0)",
        ),
        (
            type("MyBody", (Body,), {"__init__": only_super}),
            TypeError,
            "MyBody has no forward; it must define forward(embedding)",
        ),
        # forgotten super().__init__, or other arguments
        (layer(init=nothing), TypeError, MUST_LAYER),
        (layer(init=parameter), TypeError, MUST_LAYER),
        (layer(init=without_sizes), TypeError, MUST_LAYER),
        (layer(init=lambda self: None), TypeError, MUST_LAYER),
        (body(init=nothing), TypeError, MUST_BODY),
        (body(init=lambda self: None), TypeError, MUST_BODY),
        (type("MyBody", (Body,), {"forward": MyBody.forward}), TypeError, MUST_BODY),
        # another shape
        (
            layer(lambda self, x, x0: x.sum(1)),
            ValueError,
            "MyLayer.forward returned shape (2, 3), it must return (2, 4, 3): (rows, depth, width)",
        ),
        (
            layer(lambda self, x, x0: x.mT),
            ValueError,
            "MyLayer.forward returned shape (2, 3, 4), it must return (2, 4, 3)",
        ),
        (
            body(lambda self, e: e.sum(1), only_super),
            ValueError,
            "MyBody.forward returned shape (2, 4), it must return (2,): (rows,)",
        ),
        (
            body(lambda self, e: e.sum(), only_super),
            ValueError,
            "MyBody.forward returned shape (), it must return (2,): (rows,)",
        ),
        # another type
        (
            layer(lambda self, x, x0: x.double()),
            ValueError,
            "MyLayer.forward returned torch.float64 from torch.float32, it must keep the dtype",
        ),
        (
            body(lambda self, e: e.float().sum((1, 2)), only_super),
            ValueError,
            "MyBody.forward returned torch.float32 from torch.float64, it must keep the dtype",
        ),
        # no tensor
        (
            layer(lambda self, x, x0: None),
            TypeError,
            "MyLayer.forward returned NoneType, it must return a tensor: (rows, depth, width)",
        ),
        (
            layer(lambda self, x, x0: (x, x0)),
            TypeError,
            "MyLayer.forward returned tuple, it must return a tensor: (rows, depth, width)",
        ),
        (
            body(lambda self, e: e.sum((1, 2)).numpy(), only_super),
            TypeError,
            "MyBody.forward returned ndarray, it must return a tensor: (rows,)",
        ),
        # an error of its own
        (
            layer(lambda self, x: x),
            ValueError,
            "MyLayer.forward failed on x, x0 of shape (2, 4, 3) and torch.float32: ",
        ),
        (
            body(lambda self, e: e @ torch.ones(7), only_super),
            ValueError,
            "MyBody.forward failed on embedding of shape (2, 3, 4) and torch.float32: ",
        ),
    ],
)
def test_what_is_wrong_is_told_before_data_is_read(monkeypatch, clicks, part, error, message):
    monkeypatch.setattr("sk_dynint.preprocessing.FieldEncoder.fit_transform", None)
    model = small(part) if issubclass(part, Body) else fast(variant=part)
    name = part.__name__
    for check in (lambda: model.fit(*clicks), model.check_params):
        with pytest.raises(error, match=re.escape(message)) as caught:
            check()
        assert str(caught.value).startswith(name)


def test_axes_in_the_wrong_order_are_noticed_where_they_are_equally_long():
    """With 3 fields in 2 sub-spaces, W = d = 6."""
    transposed = layer(lambda self, x, x0: x.mT)
    with pytest.raises(ValueError, match=r"returned shape \(2, 8, 6\), it must return \(2, 6, 8\)"):
        DynIntClassifier(transposed, embedding_dim=12, n_subspaces=2).check_params()


def test_errors_of_a_constructor_about_its_options_are_passed_on():
    def refuse(self, *sizes):
        raise ValueError("start=-1; it must be positive")

    with pytest.raises(ValueError, match=r"^start=-1; it must be positive$"):
        fast(variant=layer(init=refuse)).check_params()


@pytest.mark.parametrize("model", [nn.Linear, Square, int])
def test_what_is_no_body(clicks, model):
    with pytest.raises(ValueError, match=r"model=<class.*; it must be one of .*baselines\.Body"):
        small(model).fit(*clicks)


def test_options_that_a_body_does_not_take(clicks):
    with pytest.raises(ValueError, match=r"has \['rank'\]; model .*MyBody'> takes \['scale'\]"):
        small(model_params={"rank": 1}).fit(*clicks)
