"""The competitors as estimators: which body, which optimizer, and that they learn."""

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from sk_dynint import BaselineClassifier
from sk_dynint._baseline import MODELS, SHARED
from sk_dynint.baselines import BASELINES
from sk_dynint.comparison import make_model
from sk_dynint.optim import FTRL, RowAdam
from tests.conftest import make_clicks

EVERY_MODEL = pytest.mark.parametrize("model", MODELS)
OPTIONS = {name: set(inspect.signature(body).parameters) for name, body in MODELS.items()}
DEEP = [name for name, options in OPTIONS.items() if "hidden_units" in options]
SMALL = {"max_epochs": 3, "n_layers": 2, "embedding_dim": 4, "hidden_units": (8,)}


def fast(model="dcnv2", **params):
    """Make a classifier that takes a fraction of a second."""
    own = {"model_params": {"n_subspaces": 2}} if model == "xdeepint" else {}
    return BaselineClassifier(model, **(SMALL | own | {"random_state": 0} | params))


def group_of(net, name):
    """Options of the optimizer for a parameter."""
    parameter = dict(net.module_.named_parameters())[name]
    (group,) = (
        group
        for group in net.optimizer_.param_groups
        if any(parameter is other for other in group["params"])
    )
    return group


def test_models_of_the_paper_keep_their_names():
    """Table 1, and the static model."""
    table1 = ["lr", "fm", "dnn", "widedeep", "deepcrossing", "dcn", "dcnv2", "pnn", "deepfm"]
    assert {*table1, "xdeepfm", "autoint", "fibinet", "xdeepint"} <= set(MODELS)


# --- what the docstring says of a model


def entry(parameter, model):
    """Text of a model's entry in the list below a parameter of `BaselineClassifier`."""
    section = re.search(rf"\n    {parameter} : .+?\n    \w", BaselineClassifier.__doc__, re.DOTALL)
    entries = re.findall(r"- \"(\w+)\": (.+?)(?=\n +- |\n\n|$)", section[0], re.DOTALL)
    return dict(entries).get(model)


@EVERY_MODEL
def test_model_is_documented(model):
    what = entry("model", model)
    assert what, (
        f"add a line '- \"{model}\": ...' to parameter `model` in the docstring of "
        "BaselineClassifier, sk_dynint/_baseline.py"
    )
    assert ("layers" in what) == ("n_layers" in OPTIONS[model]), (
        f"the line of {model!r} says which layers `n_layers` counts, if the body takes it"
    )


@EVERY_MODEL
def test_options_are_documented(model):
    own = OPTIONS[model] - {"n_fields", "embedding_dim", *SHARED}
    named = set(re.findall(r"``(\w+)``", entry("model_params", model) or ""))
    assert named == own, (
        f"add a line '- \"{model}\": ``option`` ...' with {sorted(own)} to parameter "
        "`model_params` in the docstring of BaselineClassifier, sk_dynint/_baseline.py"
    )


# --- which body


@EVERY_MODEL
def test_body_and_its_options(clicks, model):
    X, y = clicks
    nets = [fast(model, hidden_units=units).fit(X, y).net_ for units in ((8,), (9,))]
    assert all(isinstance(net.module_.body, MODELS[model]) for net in nets)
    dim = MODELS[model].fixed_embedding_dim or SMALL["embedding_dim"]
    assert nets[0].module_.embedding.weight.shape[1] == dim
    one, two = ([p.shape for p in net.module_.body.parameters()] for net in nets)
    assert (one != two) == (model in DEEP)


def test_options_reach_the_body(clicks):
    X, y = clicks
    params = {"n_layers": 4, "hidden_units": [5, 6], "dropout": 0.25, "batch_norm": True}
    body = fast(model_params={"rank": 3, "structure": "stacked"}, **params).fit(X, y)
    body = body.net_.module_.body
    assert len(body.cross) == 4
    assert body.structure == "stacked"
    assert body.cross[0].mix[0].weight.shape[0] == 3
    assert [layer.weight.shape[0] for layer in body.dnn.layers] == [5, 6]
    assert body.dnn.dropout.p == 0.25
    assert not body.row_wise


@pytest.mark.parametrize("model", [name for name in MODELS if "deep" in OPTIONS[name]])
def test_interaction_layer_only(clicks, model):
    """Table 2: without a DNN the hidden units change nothing."""
    X, y = clicks
    one, two = (
        fast(model, deep=False, hidden_units=units).fit(X, y).predict_proba(X)
        for units in ((8,), (3, 3))
    )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, fast(model).fit(X, y).predict_proba(X))


def test_deepfm_without_its_dnn_is_fm(clicks):
    """Equal rows of Table 1 and Table 2."""
    X, y = clicks
    common = {"optimizer": "ftrl", "lr": 0.1, "embedding_optimizer_params": {"group": False}}
    deepfm = fast("deepfm", deep=False, **common | {"embedding_optimizer_params": {"lr": 0.1}})
    fm = fast("fm", **common)
    np.testing.assert_array_equal(deepfm.fit(X, y).predict_proba(X), fm.fit(X, y).predict_proba(X))


@pytest.mark.parametrize("n_samples", [600, 1_500])
@pytest.mark.parametrize("n_subspaces", [1, 8])
def test_xdeepint_is_pin_to_the_bit(n_samples, n_subspaces):
    X, y = make_clicks(n_samples)
    alias = BaselineClassifier(
        "xdeepint", model_params={"n_subspaces": n_subspaces}, max_epochs=4, random_state=3
    )
    pin = make_model("pin", {"n_subspaces": n_subspaces, "max_epochs": 4, "random_state": 3})
    np.testing.assert_array_equal(alias.fit(X, y).predict_proba(X), pin.fit(X, y).predict_proba(X))


def test_xdeepint_has_the_defaults_of_pin(clicks):
    X, y = clicks
    alias = BaselineClassifier("xdeepint", random_state=0).fit(X, y)
    pin = make_model("pin", {"random_state": 0}).fit(X, y)
    np.testing.assert_array_equal(alias.predict_proba(X), pin.predict_proba(X))


# --- which optimizer


@EVERY_MODEL
def test_optimizer_of_the_paper(clicks, model):
    X, y = clicks
    net = fast(model).fit(X, y).net_
    table, bias = group_of(net, "embedding.weight"), group_of(net, "bias")
    if model in ("lr", "fm"):
        assert type(net.optimizer_) is FTRL
        assert (table["lr"], bias["lr"], table["group"]) == (0.1, 0.1, False)
    elif model == "xdeepint":
        assert type(net.optimizer_) is FTRL
        assert (table["lr"], bias["lr"], table["group"]) == (0.2, 0.04, True)
    else:
        assert type(net.optimizer_) is RowAdam
        assert (table["lr"], bias["lr"]) == (0.001, 0.001)


@pytest.mark.parametrize("model", [m for m in BASELINES if m not in ("lr", "fm")])
def test_l2_is_for_the_weights_of_the_body(clicks, model):
    """And not for biases, batch norm and the tables."""
    X, y = clicks
    net = fast(model, batch_norm=True).fit(X, y).net_
    for name, parameter in net.module_.named_parameters():
        weights = name.startswith("body.") and parameter.ndim > 1
        assert group_of(net, name)["l2"] == (1e-3 if weights else 0.0), name


def test_optimizer_can_be_chosen(clicks):
    X, y = clicks
    net = fast("dcnv2", optimizer="ftrl").fit(X, y).net_
    assert type(net.optimizer_) is FTRL
    assert group_of(net, "embedding.weight")["group"]
    net = fast("fm", optimizer="adam", lr=0.02).fit(X, y).net_
    assert type(net.optimizer_) is RowAdam
    assert group_of(net, "embedding.weight")["lr"] == 0.02
    assert group_of(net, "bias")["l2"] == 0
    net = fast("dnn", embedding_optimizer_params={"l2": 0.5, "lr": 0.3}).fit(X, y).net_
    table = group_of(net, "embedding.weight")
    assert (table["l2"], table["lr"]) == (0.5, 0.3)
    net = fast("dnn", optimizer=torch.optim.SGD, lr=0.01).fit(X, y).net_
    assert type(net.optimizer_) is torch.optim.SGD


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_l2_stands_beside_the_mean_loss(weight):
    """Three steps by torch's Adam on mean cross-entropy + λ/2 ‖W‖², the whole table at once."""
    X, y = make_clicks(100)
    params = {"hidden_units": (6,), "averaging": None, "max_epochs": 3, "lr": 0.01}
    l2 = 0.3
    model = fast("dnn", optimizer_params={"l2": l2, "eps": 1e-30}, **params)
    model.fit(X, y, sample_weight=np.full(len(y), weight))
    ours = dict(model.net_.module_.named_parameters())

    start = fast("dnn", **params | {"lr": 1e-300}).fit(X, y)
    module = start.net_.module_
    module.embedding.sparse = False  # torch knows dense gradients only
    codes = torch.from_numpy(start.encoder_.transform(X))
    theirs = dict(module.named_parameters())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01, eps=1e-30)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            module(codes), torch.tensor(y, dtype=torch.float64)
        )
        weights = [p for n, p in theirs.items() if n.startswith("body.") and n.endswith("weight")]
        (loss + l2 / 2 * sum(p.square().sum() for p in weights)).backward()
        optimizer.step()
    for name in ("body.dnn.layers.0.weight", "body.output.weight", "bias"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("batch_size", [64, 100, 5_000])
def test_l2_knows_the_weight_of_a_batch(clicks, batch_size):
    X, y = clicks
    model = fast("dnn", batch_size=batch_size, early_stopping=False)
    model.fit(X, y, sample_weight=np.full(len(y), 3.0))
    expected = 3.0 * min(batch_size, len(y))
    assert group_of(model.net_, "bias")["batch_weight"] == pytest.approx(expected)
    model.partial_fit(X[:10], y[:10])
    assert group_of(model.net_, "bias")["batch_weight"] == 10


# --- learning


def test_fm_beats_lr_where_pairs_matter():
    """Two fields, label their exclusive or."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 2, (4_000, 2)), columns=["a", "b"]).astype("category")
    y = (X["a"].astype(int) ^ X["b"].astype(int)).to_numpy()
    train, test = slice(3_000), slice(3_000, None)
    lr, fm = (
        roc_auc_score(
            y[test],
            BaselineClassifier(model, random_state=0)
            .fit(X[train], y[train])
            .decision_function(X[test]),
        )
        for model in ("lr", "fm")
    )
    assert lr < 0.6
    assert fm > 0.98


@pytest.mark.parametrize("model", [*DEEP, "ecn", "fcn", "qnn"])
def test_deep_models_learn_an_interaction(model):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 3, (3_000, 2)), columns=["a", "b"]).astype("category")
    y = (X["a"].astype(int) == X["b"].astype(int)).to_numpy()
    fitted = BaselineClassifier(model, hidden_units=(32,), random_state=0).fit(X, y)
    assert roc_auc_score(y, fitted.decision_function(X)) > 0.95


@EVERY_MODEL
def test_same_seed_same_bits(clicks, model):
    X, y = clicks
    params = {"dropout": 0.3, "batch_norm": True, "batch_size": 100}
    one, two = (fast(model, **params).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, fast(model, **params, random_state=1).fit(X, y).predict_proba(X))


@EVERY_MODEL
def test_partial_fit_early_stopping_and_pickle(model):
    X, y = make_clicks(1_500)
    fitted = fast(model).fit(X, y)
    assert "valid_loss" in fitted.history_
    assert roc_auc_score(y, fitted.decision_function(X)) > 0.5
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    again.partial_fit(X[:100], y[:100])
    assert not np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("batch_size", [128, 599])
def test_batch_norm_with_a_last_batch_of_any_size(clicks, batch_size):
    """600 rows in batches of 599 leave one row, which has no variance."""
    X, y = clicks
    fitted = fast("deepfm", batch_norm=True, batch_size=batch_size).fit(X, y)
    assert np.isfinite(fitted.predict_proba(X)).all()


def test_batch_norm_keeps_the_last_weights(clicks):
    """The running statistics are theirs, not those of an average."""
    X, y = clicks
    params = {"batch_size": 50, "max_epochs": 5}
    for batch_norm in (True, False):
        kept, last = (
            fast(batch_norm=batch_norm, averaging=averaging, **params).fit(X, y).predict_proba(X)
            for averaging in (8.0, None)
        )
        assert np.array_equal(kept, last) == batch_norm


def test_grid_search_over_models(clicks):
    X, y = clicks
    grid = {"model": ["lr", "fm", "dnn", "xdeepfm"], "hidden_units": [(4,), (8, 8)]}
    search = GridSearchCV(fast(), grid, cv=2, scoring="roc_auc").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_.keys() == grid.keys()


def test_lr_ignores_what_it_has_not(clicks):
    X, y = clicks
    fitted = fast("lr").fit(X, y)
    assert fitted.net_.module_.embedding.weight.shape[1] == 1
    plain = fitted.predict_proba(X)
    for params in ({"hidden_units": (3,)}, {"n_layers": 7}, {"embedding_dim": 9}, {"deep": False}):
        np.testing.assert_array_equal(fast("lr", **params).fit(X, y).predict_proba(X), plain)


def test_lr_starts_at_the_base_rate():
    X, y = make_clicks(100)
    start = fast("lr", lr=1e-300).fit(X, y).predict_proba(X)[:, 1]
    np.testing.assert_allclose(start, y.mean())


def test_clone_and_params():
    model = fast("pnn", model_params={"outer": "vec"})
    assert clone(model).get_params() == model.get_params()


# --- errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": "ffm"}, "(?s)'model' parameter.*'dcnv2'"),
        ({"model": "dnn", "deep": False}, "model='dnn' has no form with deep=False: the DNN is"),
        ({"model": "widedeep", "deep": False}, "deep=False: what is left .* model='lr'"),
        ({"model": "deepcrossing", "deep": False}, "deep=False: its residual units are a DNN"),
        (
            {"model_params": {"heads": 2}},
            r"model_params has \['heads'\]; model 'dcnv2' takes \['rank', 'structure'\]",
        ),
        ({"model": "lr", "model_params": {"rank": 2}}, "model 'lr' takes none"),
        ({"model_params": {"n_layers": 2}}, r"model_params has \['n_layers'\]"),
        ({"model": "xdeepint", "model_params": {"layer": 1}}, r"takes \['n_subspaces', 'output'\]"),
        (
            {"model": "xdeepint", "model_params": {"n_subspaces": 3}},
            "n_subspaces=3 does not divide",
        ),
        ({"model_params": {"structure": "mixed"}}, "structure='mixed'"),
        ({"hidden_units": (8, -1)}, r"hidden_units=\(8, -1\); it must hold integers above 0"),
        ({"hidden_units": 8}, "'hidden_units' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"n_layers": 0}, "'n_layers' parameter"),
        ({"deep": "yes"}, "'deep' parameter"),
        ({"optimizer": "sgdd"}, "'optimizer' parameter"),
        ({"optimizer_params": {"l2": -1.0}}, "l2=-1.0"),
    ],
    ids=str,
)
def test_absurd_parameters(clicks, params, message):
    X, y = clicks
    with pytest.raises(ValueError, match=message):
        fast(**params).fit(X, y)
