"""The contract of a body, for every entry of the register."""

import copy
import inspect
import pickle

import pytest
import torch

from sk_dynint._body import Body
from sk_dynint._module import CTRModule
from sk_dynint.baselines import BASELINES, DNN
from sk_dynint.baselines._dnn import BatchNorm
from sk_dynint.engine import Engine
from sk_dynint.engine._autograd import AUTOGRAD_BLOCK

F, D = 4, 3
EVERY_BODY = pytest.mark.parametrize("body", BASELINES.values(), ids=BASELINES)


def takes(body):
    return set(inspect.signature(body).parameters) - {"n_fields", "embedding_dim"}


def small(body, n_fields=F, embedding_dim=D, **options):
    """Build a body with two small hidden layers, where it has any."""
    options = {"hidden_units": (7, 5)} | options
    return body(n_fields, embedding_dim, **{k: v for k, v in options.items() if k in takes(body)})


def forms(body, **options):
    """Every form of a model: with its DNN, and without, where that exists."""
    both = (True, False) if "deep" in takes(body) else (True,)
    return [small(body, deep=deep, **options) for deep in both]


@EVERY_BODY
@pytest.mark.parametrize(("batch", "n_fields", "dim"), [(5, 4, 3), (1, 4, 1), (3, 1, 7), (0, 4, 3)])
def test_one_logit_for_each_row(body, batch, n_fields, dim):
    """A single field has no pair, and an empty batch no row."""
    for deep in (True, False):
        instance = small(body, n_fields, dim, deep=deep)
        embedding = torch.randn(batch, n_fields, dim, requires_grad=True)
        logit = instance(embedding)
        assert logit.shape == (batch,)
        logit.sum().backward()
        assert embedding.grad.shape == embedding.shape


@EVERY_BODY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_precision(body, dtype):
    for instance in forms(body):
        assert instance.to(dtype)(torch.randn(5, F, D, dtype=dtype)).dtype == dtype


@EVERY_BODY
def test_leaves_its_input_as_it_is(body):
    embedding = torch.randn(5, F, D)
    before = embedding.clone()
    for instance in forms(body):
        instance(embedding)
        assert torch.equal(embedding, before)


@EVERY_BODY
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(body):
    for instance in forms(body):
        embedding = torch.randn(50, F, D, requires_grad=True)
        instance(embedding).square().sum().backward()
        for name, p in [("embedding", embedding), *instance.named_parameters()]:
            assert torch.isfinite(p.grad).all(), name
            assert p.grad.abs().max() > 0, name


@EVERY_BODY
def test_gradient_is_that_of_the_function(body):
    """Finite differences, for the embedding and all parameters."""
    for instance in forms(body, cin_units=2, n_heads=1, attention_dim=2):
        embedding = torch.randn(2, F, D, requires_grad=True)
        names = [name for name, _ in instance.named_parameters()]

        def call(embedding, *values, instance=instance, names=names):
            params = dict(zip(names, values, strict=True))
            return torch.func.functional_call(instance, params, (embedding,))

        assert torch.autograd.gradcheck(call, (embedding, *instance.parameters()))


@EVERY_BODY
def test_rows_of_a_batch_do_not_influence_each_other(body):
    embedding = torch.randn(6, F, D)
    for instance in forms(body):
        assert instance.row_wise is True
        alone = torch.cat([instance(row[None]) for row in embedding])
        torch.testing.assert_close(instance(embedding), alone)


@EVERY_BODY
def test_batch_norm_ties_rows_in_training_only(body):
    """The engine may cut a batch in blocks exactly where `row_wise` says so."""
    instance = small(body, batch_norm=True)
    embedding = torch.randn(6, F, D)
    whole, blocks = instance(embedding), torch.cat([instance(e) for e in embedding.split(3)])
    assert instance.row_wise == torch.allclose(whole, blocks)
    assert instance.row_wise == ("batch_norm" not in takes(body))
    instance.eval()
    blocks = torch.cat([instance(e) for e in embedding.split(3)])
    torch.testing.assert_close(instance(embedding), blocks)
    if "deep" in takes(body):
        assert small(body, batch_norm=True, deep=False).row_wise is True


def test_a_body_with_large_arrays_is_given_fewer_rows_at_once():
    """The products of the CIN keep their size in all: 39 · 64 · D floats for each row."""
    blocks = [BASELINES["xdeepfm"](39, dim).block for dim in (8, 16, 512)]
    assert blocks == [105, 52, 32]
    for name, expected in [("xdeepfm", 105), ("dcnv2", AUTOGRAD_BLOCK)]:
        engine = Engine(CTRModule([3] * 39, 8, BASELINES[name]))
        assert engine.training_kernels[0].block == expected


@EVERY_BODY
def test_dropout_is_for_training(body):
    instance = small(body, dropout=0.5, hidden_units=(50,))
    embedding = torch.randn(6, F, D)
    same = torch.equal(instance(embedding), instance(embedding))
    assert same == ("dropout" not in takes(body))
    instance.eval()
    assert torch.equal(instance(embedding), instance(embedding))


@EVERY_BODY
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda body: pickle.loads(pickle.dumps(body))]
)
def test_copies_and_pickles_after_a_training_pass(body, duplicate):
    embedding = torch.randn(5, F, D, requires_grad=True)
    for instance in forms(body):
        logit = instance(embedding)
        logit.sum().backward()
        assert torch.equal(duplicate(instance)(embedding), logit)


@EVERY_BODY
def test_state_dict_restores_the_body(body):
    embedding = torch.randn(5, F, D)
    for first, second in zip(forms(body), forms(body), strict=True):
        second.load_state_dict(first.state_dict())
        assert torch.equal(second(embedding), first(embedding))


@EVERY_BODY
def test_no_bias_of_its_own(body):
    """At the start hidden biases are zero: a zero embedding has logit 0, the module's bias."""
    for instance in forms(body):
        assert torch.equal(instance(torch.zeros(2, F, D)), torch.zeros(2))


@EVERY_BODY
def test_form_without_the_dnn_is_smaller_or_does_not_exist(body):
    assert (body.only_deep is None) or "deep" not in takes(body)
    if "deep" in takes(body):
        counts = [sum(p.numel() for p in instance.parameters()) for instance in forms(body)]
        assert counts[1] < counts[0]


@EVERY_BODY
def test_unknown_option_is_refused(body):
    with pytest.raises(TypeError, match="no_such_option"):
        body(F, D, no_such_option=1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dnn", {"hidden_units": (8, 0)}, r"hidden_units=\(8, 0\); it must hold integers above 0"),
        ("deepcrossing", {"hidden_units": (2.5,)}, r"hidden_units=\(2\.5,\); it must hold"),
        ("dcnv2", {"structure": "mixed"}, "structure='mixed'; it must be 'parallel' or 'stacked'"),
        ("dcnv2", {"rank": 0}, "rank=0; it must be None or at least 1"),
        ("pnn", {"products": "all"}, "products='all'; it must be 'both', 'inner' or 'outer'"),
        ("pnn", {"outer": "max"}, "outer='max'; it must be 'mat', 'vec', 'num' or 'sum'"),
        ("xdeepfm", {"cin_units": (8, 8)}, r"cin_units=\(8, 8\); .* n_layers=3 of them"),
        ("xdeepfm", {"cin_units": 0}, r"cin_units=\(0, 0, 0\); it must hold integers above 0"),
        ("autoint", {"n_heads": 0}, "n_heads=0; it must be at least 1"),
        ("autoint", {"attention_dim": -1}, "attention_dim=-1; it must be at least 1"),
        ("fibinet", {"bilinear": "some"}, "bilinear='some'; it must be 'all', 'each' or"),
        ("fibinet", {"reduction": 0}, "reduction=0; it must be at least 1"),
        ("ecn", {"n_heads": 2}, "n_heads=2; it must divide embedding_dim=3"),
        ("ecn", {"second_half": "none"}, "second_half='none'; it must be 'affine', 'norm' or"),
        ("fcn", {"n_linear_layers": 0}, "n_linear_layers=0; it must be None or at least 1"),
        ("qnn", {"n_gates": 0}, "n_gates=0; it must be at least 1"),
    ],
)
def test_absurd_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        BASELINES[name](F, D, **options)


def test_base_class_has_no_forward():
    with pytest.raises(NotImplementedError):
        Body()(torch.randn(2, F, D))


# --- the DNN


def test_batch_norm_normalises_before_the_activation():
    """By hand: (W x + b - mean) / √(variance + ε), then ReLU."""
    dnn = DNN(6, (5,), batch_norm=True)
    x = torch.randn(8, 6)
    z = dnn.layers[0](x)
    expected = torch.relu((z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(dnn(x), expected)


def test_batch_norm_of_one_row_uses_what_it_has_seen():
    """A batch may end with one row, which has no variance."""
    norm = BatchNorm(3)
    x = torch.randn(9, 3) * 2 + 1
    norm(x)
    before = copy.deepcopy(norm.state_dict())
    expected = (x[:1] - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(norm(x[:1]), expected)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_hidden_layers_start_from_glorot():
    weight = DNN(300, (200,)).layers[0].weight
    assert weight.abs().max() <= (6 / 500) ** 0.5
    assert weight.var().item() == pytest.approx(2 / 500, rel=0.05)
