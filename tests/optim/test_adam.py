"""RowAdam against the optimizers of torch."""

import numpy as np
import pytest
import torch

from sk_dynint.optim import RowAdam
from tests.optim.test_ftrl import assert_same, make_gradients, make_weights, run


@pytest.mark.parametrize("options", [{}, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3}])
def test_dense_steps_are_adam(options):
    w0, grads = make_weights(), make_gradients()
    theirs = run(w0, grads, optimizer=torch.optim.Adam, **options)
    assert_same(run(w0, grads, optimizer=RowAdam, **options), theirs)


def test_dense_steps_with_weight_decay_are_adamw():
    w0, grads = make_weights(), make_gradients()
    options = {"lr": 0.02, "weight_decay": 0.3}
    theirs = run(w0, grads, optimizer=torch.optim.AdamW, **options)
    assert_same(run(w0, grads, optimizer=RowAdam, **options), theirs)


def test_sparse_steps_are_sparse_adam():
    """Only the eps differs, by the bias correction: it is made negligible."""
    w0, grads = make_weights(), make_gradients(absent=0.5)
    options = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-15}
    theirs = run(w0, grads, sparse=True, optimizer=torch.optim.SparseAdam, **options)
    assert_same(run(w0, grads, sparse=True, optimizer=RowAdam, **options), theirs)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_lazy_is_another_algorithm_than_dense(weight_decay):
    """T26: the momentum of an absent row keeps moving it, and so does weight decay."""
    w0, grads = make_weights(), make_gradients(absent=0.5)
    options = {"lr": 0.02, "weight_decay": weight_decay, "optimizer": RowAdam}
    lazy, dense = (run(w0, grads, sparse=sparse, **options)[-1] for sparse in (True, False))
    assert np.abs(lazy - dense).max() > 0.05


def test_sparse_steps_decay_only_the_rows_they_name():
    w0 = make_weights()
    grad = np.zeros_like(w0)
    grad[2] = 1.0
    options = {"lr": 0.1, "weight_decay": 0.5, "optimizer": RowAdam}
    (w,) = run(w0, [grad], sparse=True, **options)
    np.testing.assert_array_equal(w[[0, 1, 3, 4, 5]], w0[[0, 1, 3, 4, 5]])
    np.testing.assert_allclose(w[2], 0.95 * w0[2] - 0.1, rtol=1e-6)


@pytest.mark.parametrize("batch_weight", [1.0, 32.0])
def test_dense_steps_with_l2_are_adam_on_the_penalised_mean_loss(batch_weight):
    """Gradients of a sum over a batch, l2 beside the mean; eps scales with the gradients."""
    w0, grads = make_weights(), make_gradients()
    theirs = run(w0, grads, optimizer=torch.optim.Adam, lr=0.02, weight_decay=0.3, eps=1e-6)
    options = {"lr": 0.02, "l2": 0.3, "batch_weight": batch_weight, "eps": 1e-6 * batch_weight}
    assert_same(run(w0, batch_weight * grads, optimizer=RowAdam, **options), theirs)


def test_sparse_steps_shrink_only_the_rows_they_name():
    """Not what dense L2 does, which moves the absent rows too."""
    w0 = make_weights()
    grad = np.zeros_like(w0)
    grad[2] = 1.0
    options = {"lr": 0.1, "l2": 0.5, "optimizer": RowAdam}
    (lazy,), (dense,) = (run(w0, [grad], sparse=sparse, **options) for sparse in (True, False))
    absent = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(lazy[absent], w0[absent])
    np.testing.assert_allclose(dense[absent], w0[absent] - 0.1 * np.sign(w0[absent]), rtol=1e-6)
    np.testing.assert_allclose(lazy[2], dense[2])
    np.testing.assert_allclose(lazy[2], w0[2] - 0.1 * np.sign(1 + 0.5 * w0[2]), rtol=1e-6)


def test_duplicate_rows_are_summed_before_squaring():
    """T29."""
    w0 = make_weights()
    values = torch.randn(3, 3)
    results = []
    for duplicated in (True, False):
        w = torch.nn.Parameter(torch.tensor(w0))
        optimizer = RowAdam([w], lr=0.1, eps=1.0)
        rows = torch.tensor([[4, 1, 4]])
        grad = torch.sparse_coo_tensor(rows, values, w0.shape, check_invariants=True)
        w.grad = grad if duplicated else grad.to_dense()
        optimizer.step()
        results.append(w.detach())
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, r"lr=-1\.0; it must be above 0"),
        ({"eps": 0.0}, r"eps=0\.0; it must be above 0"),
        ({"weight_decay": -1.0}, r"weight_decay=-1\.0; it must be at least 0"),
        ({"l2": -1.0}, r"l2=-1\.0; it must be at least 0"),
        ({"batch_weight": 0.0}, r"batch_weight=0\.0; it must be above 0"),
        ({"betas": (0.9, 1.0)}, r"betas=\(0\.9, 1\.0\); both must be in \[0, 1\)"),
    ],
)
def test_bad_options_are_refused(options, message):
    w = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match=message):
        RowAdam([w], **options)
    with pytest.raises(ValueError, match=message):
        RowAdam([{"params": [w], **options}])
