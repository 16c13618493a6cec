"""The contract of an interaction layer, for every entry of the register."""

import copy
import inspect
import pickle

import pytest
import torch

from sk_dynint.interactions import VARIANTS, InteractionLayer, InteractionStack
from tests.references import number


class Square(InteractionLayer):
    """A user's variant with an option of its own."""

    def __init__(self, width, depth, *, scale=1.0):
        super().__init__(width, depth)
        self.scale = torch.nn.Parameter(torch.tensor(scale))

    def forward(self, x, x0):
        return x + self.scale * x * x0


LAYERS = VARIANTS | {"a user's": Square}
EVERY_LAYER = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


def small(layer, width=6, depth=2):
    """Build a layer, of low rank where it has one."""
    takes_rank = "rank" in inspect.signature(layer).parameters
    return layer(width, depth, **({"rank": 2} if takes_rank else {}))


@EVERY_LAYER
@pytest.mark.parametrize(("batch", "width", "depth"), [(5, 6, 2), (1, 6, 1), (3, 2, 7), (0, 6, 2)])
def test_keeps_the_shape(layer, batch, width, depth):
    x, x0 = torch.randn(2, batch, depth, width)
    assert small(layer, width, depth)(x, x0).shape == (batch, depth, width)


@EVERY_LAYER
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_precision(layer, dtype):
    x, x0 = torch.randn(2, 5, 2, 6, dtype=dtype)
    assert small(layer).to(dtype)(x, x0).dtype == dtype


@EVERY_LAYER
def test_reads_its_input_and_changes_neither(layer):
    x, x0 = torch.randn(2, 5, 2, 6)
    before = x.clone(), x0.clone()
    small(layer)(x, x0)
    assert torch.equal(x, before[0])
    assert torch.equal(x0, before[1])


@EVERY_LAYER
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(layer):
    layer = small(layer)
    x, x0 = torch.randn(2, 50, 2, 6)
    layer(x, x0).square().sum().backward()
    for name, p in layer.named_parameters():
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name


@EVERY_LAYER
def test_penalty_is_a_finite_number(layer):
    layer = small(layer)
    assert number(layer.penalty()) >= 0
    layer(*torch.randn(2, 5, 2, 6))
    assert 0 <= number(layer.penalty()) < torch.inf


@EVERY_LAYER
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies_and_pickles_right_after_a_training_pass(layer, duplicate):
    """What a layer remembers of the last batch belongs to a graph and stays behind."""
    layer = small(layer)
    x, x0 = torch.randn(2, 5, 2, 6)
    out = layer(x, x0)
    penalty = number(layer.penalty())
    twin = duplicate(layer)
    assert torch.equal(twin(x, x0), out)
    assert number(twin.penalty()) == penalty == number(layer.penalty())


@EVERY_LAYER
def test_state_dict_restores_the_layer(layer):
    x, x0 = torch.randn(2, 5, 2, 6)
    first, second = small(layer), small(layer)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(x, x0), first(x, x0))


@EVERY_LAYER
def test_unknown_option_is_refused(layer):
    with pytest.raises(TypeError, match="no_such_option"):
        InteractionStack(3, 4, layer=layer, no_such_option=1)


@EVERY_LAYER
def test_works_in_the_stack(layer):
    stack = InteractionStack(
        3,
        4,
        layer=layer,
        n_layers=2,
        n_subspaces=2,
        **({"rank": 2} if "rank" in inspect.signature(layer).parameters else {}),
    )
    assert stack.first_order is False
    assert stack(torch.randn(5, 3, 4)).shape == (5,)
    assert all((one.width, one.depth) == (6, 2) for one in stack.layers)
    assert number(stack.penalty()) >= 0


def test_options_of_a_subclass_reach_every_layer():
    stack = InteractionStack(3, 4, layer=Square, n_layers=2, scale=0.0)
    embedding = torch.randn(5, 3, 4)
    expected = InteractionStack(3, 4, n_layers=0)
    expected.output.data = stack.output.data
    assert torch.equal(stack(embedding), expected(embedding))


def test_base_class_has_no_forward_and_no_penalty():
    layer = InteractionLayer(6, 2)
    with pytest.raises(NotImplementedError):
        layer(*torch.randn(2, 5, 2, 6))
    assert layer.penalty() == 0


@EVERY_LAYER
def test_repr_shows_the_shape(layer):
    assert "width=6, depth=2" in repr(small(layer))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gate_init": "ones"}, "gate_init='ones'; it must be 'glorot' or 'zeros'"),
        ({"gate_shape": "row"}, "gate_shape='row'; it must be 'feature' or 'element'"),
        ({"gate_input": "max"}, "gate_input='max'; it must be 'flatten' or 'pooled'"),
    ],
)
def test_gate_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        VARIANTS["da"](6, 2, **options)
