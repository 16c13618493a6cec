"""FTRL and group FTRL against the NumPy reference, TensorFlow's rule and an exact minimiser."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from sk_dynint.optim import FTRL
from tests.references import PlainFTRL, tensorflow_ftrl

N_STEPS = 25
SHAPE = (6, 3)


def make_gradients(seed=0, n_steps=N_STEPS, shape=SHAPE, absent=0.0):
    """Gradients of several scales; each row absent (zero) with a probability."""
    rng = np.random.default_rng(seed)
    grads = rng.normal(size=(n_steps, *shape)) * rng.choice([0.1, 1.0, 3.0], (n_steps, 1, 1))
    return grads * (rng.random((n_steps, shape[0], 1)) >= absent)


def make_weights(seed=1, shape=SHAPE):
    return np.random.default_rng(seed).normal(size=shape)


def to_sparse(grad):
    """Only the rows that are not zero."""
    rows = np.flatnonzero(np.any(grad != 0, axis=1))
    return torch.sparse_coo_tensor(
        torch.tensor(rows)[None], torch.tensor(grad[rows]), grad.shape, check_invariants=True
    )


def run(w0, grads, *, sparse=False, optimizer=FTRL, **options):
    """Weights after every step."""
    w = torch.nn.Parameter(torch.tensor(w0))
    opt = optimizer([w], **options)
    trajectory = []
    for g in grads:
        w.grad = to_sparse(g) if sparse else torch.tensor(g)
        opt.step()
        trajectory.append(w.detach().numpy().copy())
    return trajectory


def run_plain(w0, grads, **options):
    if "initial_accumulator" in options:
        options["n0"] = options.pop("initial_accumulator")
    plain = PlainFTRL(w0, **options)
    return [plain.step(g).copy() for g in grads]


def assert_same(ours, theirs, rtol=1e-9, atol=1e-12):
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


OPTIONS = [
    {"lr": 0.1, "beta": 1.0},
    {"lr": 0.3, "beta": 0.5, "l1": 1.5, "l2": 0.7},
    {"lr": 0.05, "beta": 0.0, "l2": 2.0, "initial_accumulator": 0.1},
    {"lr": 0.1, "beta": 1.0, "l1": 1.0, "group": True},
    {"lr": 0.3, "beta": 0.2, "l1": 1.5, "l2": 3.0, "group": True, "initial_accumulator": 0.5},
]


# --- trajectories


@pytest.mark.parametrize("start", ["zero", "consistent"])
@pytest.mark.parametrize("options", OPTIONS)
def test_dense_trajectory(options, start):
    """Section 6.1, 6.2 and 6.4."""
    w0, grads = make_weights(), make_gradients(absent=0.3)
    ours = run(w0, grads, start=start, **options)
    assert_same(ours, run_plain(w0, grads, start=start, **options))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 2)])
@pytest.mark.parametrize("group", [False, True])
def test_parameters_that_are_not_tables_are_never_grouped(shape, group):
    rng = np.random.default_rng(0)
    w0, grads = rng.normal(size=shape), rng.normal(size=(N_STEPS, *shape))
    ours = run(w0, grads, l1=1.0, l2=0.5, group=group)
    assert_same(ours, run_plain(w0, grads, lr=0.1, l1=1.0, l2=0.5))


@given(
    seed=st.integers(0, 1000),
    lr=st.floats(0.01, 1),
    beta=st.floats(0.01, 2),
    l1=st.floats(0, 5),
    l2=st.floats(0, 5),
    n0=st.floats(0, 1),
    group=st.booleans(),
    start=st.sampled_from(["zero", "consistent"]),
)
@settings(max_examples=20, deadline=None)
def test_any_options_follow_the_reference(seed, lr, beta, l1, l2, n0, group, start):
    options = {"lr": lr, "beta": beta, "l1": l1, "l2": l2, "group": group, "start": start}
    options["initial_accumulator"] = n0
    w0, grads = make_weights(seed), make_gradients(seed, n_steps=8, absent=0.3)
    expected = run_plain(w0, grads, **options)
    assert_same(run(w0, grads, **options), expected, rtol=1e-6, atol=1e-9)
    if start == "consistent":
        assert_same(run(w0, grads, sparse=True, **options), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("options", OPTIONS)
def test_lazy_equals_dense_with_a_consistent_start(options):
    """T25: a row with zero gradient keeps its weight, from the first step."""
    w0, grads = make_weights(), make_gradients(absent=0.6)
    lazy = run(w0, grads, sparse=True, **options)
    assert_same(lazy, run(w0, grads, **options))
    assert_same(lazy, run_plain(w0, grads, **options))


@pytest.mark.parametrize("options", OPTIONS)
def test_lazy_equals_dense_with_a_zero_start_only_from_zero_weights(options):
    """T25: otherwise the dense update wipes the rows that are absent, the lazy one waits."""
    grads = make_gradients(absent=0.6)
    absent = ~np.any(grads[0] != 0, axis=1)
    assert 0 < absent.sum() < len(absent)
    zero = np.zeros(SHAPE)
    lazy, dense = (run(zero, grads, sparse=s, start="zero", **options) for s in (True, False))
    assert_same(lazy, dense)
    w0 = make_weights()
    lazy, dense = (run(w0, grads, sparse=s, start="zero", **options) for s in (True, False))
    np.testing.assert_array_equal(lazy[0][absent], w0[absent])
    np.testing.assert_array_equal(dense[0][absent], 0)
    assert_same(lazy[0][~absent], dense[0][~absent])


def test_consistent_start_wipes_nothing():
    """Section 6.4: a zero gradient changes no weight, and the state is its own argmin."""
    w0 = make_weights()
    for options in OPTIONS:
        (w,) = run(w0, [np.zeros(SHAPE)], start="consistent", **options)
        np.testing.assert_allclose(w, w0, rtol=1e-12)


def test_zero_start_keeps_the_fraction_that_the_gradient_earns():
    """Section 6.4 (b): (√(n0 + g²) - √n0) / (β + √(n0 + g²)) of w0; 70 % at g = 1."""
    for g, kept in [(1.0, 0.698), (0.01, 0.0005)]:
        with_w0, without = (
            run(np.array([w0]), [np.array([g])], beta=0.0, initial_accumulator=0.1, start="zero")
            for w0 in (1.0, 0.0)
        )
        assert (with_w0[0] - without[0])[0] == pytest.approx(kept, abs=5e-4)


# --- what the formula is


@given(seed=st.integers(0, 1000), l1=st.floats(0, 4), l2=st.floats(0, 2))
@settings(max_examples=15, deadline=None)
def test_weight_is_the_argmin_of_the_regularised_past(seed, l1, l2):
    """T21: Σ g w + ½ Σ σ_s (w - w_s)² + λ1 |w| + ½ (β/α + λ2) w²."""
    lr, beta = 0.2, 0.7
    grads = np.random.default_rng(seed).normal(size=(6, 1))
    weights = run(np.zeros(1), grads, lr=lr, beta=beta, l1=l1, l2=l2)
    before = np.concatenate([[0.0], np.ravel(weights)[:-1]])
    roots = np.sqrt(np.concatenate([[0.0], np.cumsum(grads[:, 0] ** 2)]))
    sigma = np.diff(roots) / lr

    def objective(w):
        past = grads.sum() * w + 0.5 * np.sum(sigma * (w - before) ** 2)
        return past + l1 * abs(w) + 0.5 * (beta / lr + l2) * w**2

    best = minimize_scalar(objective, bounds=(-10, 10), method="bounded", options={"xatol": 1e-9})
    assert weights[-1][0] == pytest.approx(best.x, abs=1e-5)
    assert objective(weights[-1][0]) <= best.fun + 1e-12


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_tensorflow_semantics(beta, l1):
    """T22: TensorFlow's l2 is half of λ2, n starts at 0.1, z at 0, and β is folded into l2."""
    w0, grads = make_weights(), make_gradients()
    expected = tensorflow_ftrl(w0, grads, lr=0.05, l1=l1, l2=0.4, beta=beta)
    tensorflow = {"initial_accumulator": 0.1, "start": "zero"}
    assert_same(run(w0, grads, lr=0.05, l1=l1, l2=2 * 0.4, beta=beta, **tensorflow), expected)
    folded = 2 * (0.4 + beta / (2 * 0.05))
    assert_same(run(w0, grads, lr=0.05, l1=l1, l2=folded, beta=0.0, **tensorflow), expected)


@pytest.mark.parametrize("initial_accumulator", [0.0, 0.1])
def test_without_regularisation_it_is_adagrad(initial_accumulator):
    """T23: step α g / √n from any weights."""
    w0, grads = make_weights(), make_gradients()
    ours = run(w0, grads, lr=0.1, beta=0.0, initial_accumulator=initial_accumulator)
    w, n = w0.copy(), np.full_like(w0, initial_accumulator)
    for step, g in zip(ours, grads, strict=True):
        n += g**2
        w = w - 0.1 * g / np.sqrt(n)
        assert_same(step, w)
    theirs = run(
        w0,
        grads,
        optimizer=torch.optim.Adagrad,
        lr=0.1,
        initial_accumulator_value=initial_accumulator,
    )
    assert_same(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adagrad_leaves_weights_without_a_gradient_alone(dtype, group):
    """T23: no curvature and no gradient is 0 / 0 in the formula, not in the weights."""
    w0 = torch.tensor([[0.5, -2.0], [1e-3, 3.0]], dtype=dtype)
    for start, expected in [("consistent", w0), ("zero", torch.zeros_like(w0))]:
        w = torch.nn.Parameter(w0.clone())
        optimizer = FTRL([w], lr=0.1, beta=0.0, group=group, start=start)
        w.grad = torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=dtype)
        optimizer.step()
        assert w[0, 1].item() == pytest.approx(-2.1)  # a first step of α against the sign
        w.grad = torch.zeros_like(w)
        optimizer.step()
        kept = torch.tensor([[True, False], [True, True]])
        torch.testing.assert_close(w[kept], expected[kept])


def test_groups_of_one_are_plain_coordinates():
    """T24."""
    w0, grads = make_weights(shape=(8, 1)), make_gradients(shape=(8, 1))
    options = {"lr": 0.2, "l1": 1.0, "l2": 0.3}
    assert_same(run(w0, grads, group=True, **options), run(w0, grads, **options))


def last_group_state(w0, grads, lr, beta, l1, l2):
    """Weights, z and the diagonal of Q after the last step."""
    w = torch.nn.Parameter(torch.tensor(w0))
    optimizer = FTRL([w], lr=lr, beta=beta, l1=l1, l2=l2, group=True)
    for g in grads:
        w.grad = torch.tensor(g)
        optimizer.step()
    z, n = (optimizer.state[w][name].numpy() for name in ("z", "n"))
    return w.detach().numpy(), z, (beta + np.sqrt(n)) / lr + l2


@given(seed=st.integers(0, 1000), l1=st.floats(0.5, 6))
@settings(max_examples=20, deadline=None)
def test_group_is_zero_exactly_where_the_argmin_is(seed, l1):
    """T24: 0 solves min z·w + ½ wᵀQw + τ‖w‖ iff ‖z‖ ≤ τ, for any diagonal Q."""
    grads = make_gradients(seed, n_steps=6)
    w, z, Q = last_group_state(np.zeros(SHAPE), grads, lr=0.2, beta=0.5, l1=l1, l2=0.4)
    threshold = l1 * np.sqrt(3)

    def objective(row, w):
        return z[row] @ w + 0.5 * w @ (Q[row] * w) + threshold * np.linalg.norm(w)

    for row in range(len(w)):  # along -z, the steepest way out of 0
        pruned = np.linalg.norm(z[row]) <= threshold
        assert np.all(w[row] == 0) == pruned
        downhill = [objective(row, -t * z[row]) for t in (1e-9, 1e-6, 1e-3, 0.1)]
        assert (min(downhill) >= 0) == pruned


def test_group_magnitude_is_exact_where_n_is_constant_in_the_row():
    """T24: the gradient of the row's objective vanishes."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=(10, 6, 1))
    grads = size * rng.choice([-1.0, 1.0], (10, *SHAPE))  # same square along a row
    w, z, Q = last_group_state(np.zeros(SHAPE), grads, lr=0.2, beta=0.5, l1=0.8, l2=0.4)
    kept = np.flatnonzero(np.any(w != 0, axis=1))
    assert len(kept) > 0
    norm = np.linalg.norm(w, axis=1, keepdims=True)
    slope = z + Q * w + 0.8 * np.sqrt(3) * w / np.where(norm > 0, norm, 1)
    np.testing.assert_allclose(slope[kept], 0, atol=1e-10)


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("start", ["zero", "consistent"])
def test_mean_loss_is_the_summed_loss_with_scaled_constants(group, start):
    """T27: loss / c with β, λ1, λ2 / c and n0 / c² is the same trajectory."""
    c = 512.0
    w0, grads = make_weights(), make_gradients()
    summed = {"beta": 1.0, "l1": 0.8, "l2": 0.5}
    options = {"lr": 0.1, "group": group, "start": start}
    mean = {name: value / c for name, value in summed.items()}
    assert_same(
        run(w0, grads / c, **options, **mean, initial_accumulator=0.1 / c**2),
        run(w0, grads, **options, **summed, initial_accumulator=0.1),
        rtol=1e-8,
    )


def test_group_lasso_prunes_whole_rows_and_plain_lasso_leaves_them_ragged():
    """T28: noise rows vanish exactly, rows with evidence survive."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 30, 8))
    signal = np.sign(rng.normal(size=(1, 10, 8))) + rng.normal(size=(200, 10, 8))
    grads = np.concatenate([noise, signal], axis=1)
    options = {"lr": 0.01, "l1": 1.9 * np.sqrt(200), "start": "zero"}
    grouped = run(np.zeros((40, 8)), grads, sparse=True, group=True, **options)[-1]
    assert np.all(grouped[:30] == 0)
    assert np.all(grouped[30:] != 0)
    plain = run(np.zeros((40, 8)), grads, sparse=True, **options)[-1]
    entries = (plain[:30] != 0).sum(1)
    assert np.any((entries > 0) & (entries < 8))


@pytest.mark.parametrize("group", [False, True])
def test_group_lasso_prunes_a_row_that_had_weights(group):
    """T28: from a consistent start too, once the evidence has gone."""
    w0 = np.full((1, 4), 0.01)
    pull = np.full((1, 4), 0.5)
    trajectory = run(w0, [pull, pull], lr=0.1, l1=2.0, group=group)
    assert np.all(trajectory[-1] == 0)


@pytest.mark.parametrize("group", [False, True])
def test_duplicate_rows_are_summed_before_squaring(group):
    """T29."""
    indices = torch.tensor([[3, 1, 3, 3, 0]])
    values = torch.randn(5, 3)
    duplicated = torch.sparse_coo_tensor(indices, values, SHAPE, check_invariants=True)
    assert not duplicated.is_coalesced()
    w = torch.nn.Parameter(torch.tensor(make_weights()))
    optimizer = FTRL([w], l1=0.3, group=group)
    w.grad = duplicated
    optimizer.step()
    summed = np.zeros(SHAPE)
    np.add.at(summed, indices[0].numpy(), values.numpy())
    (expected,) = run_plain(make_weights(), [summed], lr=0.1, l1=0.3, group=group)
    assert_same(w.detach(), expected)


@pytest.mark.parametrize("group", [False, True])
def test_absent_rows_are_not_touched_bit_for_bit(group):
    w0 = make_weights()
    grad = np.zeros(SHAPE)
    grad[2] = 1.0
    (w,) = run(w0, [grad], sparse=True, l1=0.5, group=group, start="zero")
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(w[others], w0[others])
    assert np.all(w[2] != w0[2])


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-22, 1e-15])
def test_tiny_initial_rows_start_finite_in_single_precision(scale):
    """The norm of a tiny row underflows; its weight must not blow up."""
    w = torch.nn.Parameter(torch.full((2, 3), scale, dtype=torch.float32))
    optimizer = FTRL([w], l1=1.0, group=True)
    w.grad = torch.zeros_like(w)
    optimizer.step()
    torch.testing.assert_close(w, torch.zeros_like(w))
    assert optimizer.state[w]["z"].abs().max() <= 1 + 1e-5


# --- the optimizer's manners


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"lr=0\.0; it must be above 0"),
        ({"lr": float("nan")}, "lr=nan; it must be above 0"),
        ({"beta": -1.0}, r"beta=-1\.0; it must be at least 0"),
        ({"l1": -0.1}, r"l1=-0\.1; it must be at least 0"),
        ({"l2": float("nan")}, "l2=nan; it must be at least 0"),
        ({"initial_accumulator": -1}, "initial_accumulator=-1; it must be at least 0"),
        ({"start": "warm"}, "start='warm'; it must be 'zero' or 'consistent'"),
    ],
)
def test_bad_options_are_refused(options, message):
    w = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match=message):
        FTRL([w], **options)
    with pytest.raises(ValueError, match=message):
        FTRL([{"params": [w], **options}])


def test_parameter_groups_have_their_own_options():
    w0, grads = make_weights(), make_gradients()
    table, rest = (torch.nn.Parameter(torch.tensor(w0)) for _ in range(2))
    optimizer = FTRL(
        [{"params": [table], "group": True, "l1": 1.0, "lr": 0.3}, {"params": [rest]}], l2=0.2
    )
    for g in grads:
        table.grad, rest.grad = to_sparse(g), torch.tensor(g)
        optimizer.step()
    grouped = run_plain(w0, grads, lr=0.3, l1=1.0, l2=0.2, group=True)
    assert_same(table.detach(), grouped[-1])
    assert_same(rest.detach(), run_plain(w0, grads, lr=0.1, l2=0.2)[-1])


def test_parameters_without_a_gradient_stay():
    w = torch.nn.Parameter(torch.ones(2))
    optimizer = FTRL([w], start="zero")
    optimizer.step()
    assert torch.equal(w, torch.ones(2))
    assert not optimizer.state[w]


@given(
    seed=st.integers(0, 1000),
    l1=st.sampled_from([0.0, 0.3]),
    new_l1=st.sampled_from([0.0, 0.3]),
    l2=st.sampled_from([0.0, 2.0]),
    group=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_anchored_optimizer_goes_on_from_weights_set_from_outside(seed, l1, new_l1, l2, group):
    generator = torch.Generator().manual_seed(seed)

    def random():
        return torch.randn(6, 3, generator=generator, dtype=torch.float64)

    w = torch.nn.Parameter(random())
    optimizer = FTRL([w], lr=0.5, l1=l1, l2=l2, group=group)
    for _ in range(4):
        w.grad = random()
        optimizer.step()
    z = optimizer.state[w]["z"].clone()
    pruned = w.detach() == 0
    (options,) = optimizer.param_groups
    options["l1"] = new_l1
    with torch.no_grad():
        w.copy_(torch.where(pruned, 0.0, random()))
    expected = w.detach().clone()
    optimizer.anchor()
    w.grad = torch.zeros_like(w)
    optimizer.step()
    torch.testing.assert_close(w.detach(), expected)
    if new_l1 == l1:
        torch.testing.assert_close(optimizer.state[w]["z"][pruned], z[pruned])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"l1": 0.3}, {"l1": 0.3, "l2": 2.0}, {"beta": 0.0}, {"l1": 0.5, "start": "zero"}],
    ids=str,
)
def test_compiled_loops_make_the_same_steps(monkeypatch, options, group, sparse):
    """Over several steps, on a table, a matrix, a vector and a number."""
    pytest.importorskip("numba")
    results = []
    for switch in ("1", "0"):
        monkeypatch.setenv("SK_DYNINT_COMPILED", switch)
        generator = torch.Generator().manual_seed(0)
        shapes = (9, 5), (4, 3), (37,), ()
        ws = [torch.nn.Parameter(torch.randn(s, generator=generator)) for s in shapes]
        optimizer = FTRL(ws, lr=0.3, group=group, **options)
        for _ in range(6):
            for w in ws:
                w.grad = torch.randn(w.shape, generator=generator)
            if sparse:
                rows = torch.tensor([[1, 4, 4, 8]])
                values = torch.randn(4, 5, generator=generator)
                ws[0].grad = torch.sparse_coo_tensor(rows, values, (9, 5), check_invariants=True)
            optimizer.step()
        states = [t for w in ws for t in optimizer.state[w].values()]
        results.append([*(w.detach() for w in ws), *states])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        if "l1" in options:
            assert torch.equal(ours == 0, theirs == 0)


def test_compiled_loops_keep_what_is_not_finite(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SK_DYNINT_COMPILED", "1")
    for group in (True, False):
        table = torch.nn.Parameter(torch.zeros(3, 4))
        vector = torch.nn.Parameter(torch.zeros(4))
        optimizer = FTRL([table, vector], l1=0.5, group=group)
        values = torch.tensor([[1.0, torch.nan, 0.0, 0.0]])
        table.grad = torch.sparse_coo_tensor([[1]], values, (3, 4), check_invariants=True)
        vector.grad = values[0]
        optimizer.step()
        assert table[1, 1].isnan()
        assert table[0].isfinite().all()
        assert vector[1].isnan()
