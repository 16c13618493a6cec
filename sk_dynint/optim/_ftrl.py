"""FTRL-Proximal, with group lasso over the rows of a table."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from sk_dynint._compiled import compiled_loops
from sk_dynint.optim._rows import Part, RowOptimizer

Start = Literal["zero", "consistent"]
MIN_CURVATURE = 1e-20  # replaces a curvature of 0: no gradient yet, and β = λ2 = n = 0


class FTRL(RowOptimizer):
    r"""Follow the regularised leader, per coordinate or per row (group lasso).

    With g the gradient at w, every coordinate keeps z and n:

    .. math::

        \sigma = (\sqrt{n + g^2} - \sqrt{n}) / \alpha, \quad z \mathrel{+}= g - \sigma w,
        \quad n \mathrel{+}= g^2

        w = \begin{cases} 0 & |z| \le \lambda_1 \\
        -(z - \mathrm{sign}(z) \lambda_1) / ((\beta + \sqrt{n}) / \alpha + \lambda_2)
        & \text{otherwise} \end{cases}

    and with ``group=True`` a row of d entries is pruned or kept as a whole:

    .. math::

        w = \begin{cases} 0 & \|z\|_2 \le \lambda_1 \sqrt{d} \\
        z\,(\lambda_1 \sqrt{d} / \|z\|_2 - 1) / ((\beta + \sqrt{n}) / \alpha + \lambda_2)
        & \text{otherwise} \end{cases}

    Parameters
    ----------
    params : iterable
        Parameters, or dicts of parameter groups that override the values below.
    lr : float, default=0.1
        α.
    beta : float, default=1.0
        β; bounds the first steps of a coordinate.  1 suits gradients of *summed* losses.
    l1, l2 : float, default=0.0
        λ1 and λ2.  λ1 competes with the sum of the gradients of all examples seen, so it grows
        with the data.
    group : bool, default=False
        Group lasso over the rows (last axis) of two-dimensional parameters.
    initial_accumulator : float, default=0.0
        n at the start.
    start : {"consistent", "zero"}, default="consistent"
        z at the start.  "consistent" is the z that yields the initial weights, so nothing is
        wiped and skipping absent rows is exact from the first step.  "zero" is the convention
        of McMahan and of TensorFlow: the first update of a coordinate forgets its initial weight
        but for the fraction σα / (β + √n); rows wait untouched until a batch holds them.

    Notes
    -----
    Conventions: λ2 here is McMahan's; TensorFlow's ``l2`` is half of it.  TensorFlow folds β in
    as ``l2 += beta / (2 lr)`` and starts n at 0.1.

    The loss is meant to be *summed* over the batch.  For a mean over B examples divide β, λ1, λ2
    by B and n by B²: the trajectory is the same.

    Sparse gradients update the rows they name and no others; duplicates are summed before
    squaring.  This is exact, not lazy: a row with zero gradient keeps z and n, therefore w, as
    long as w follows from z and n (always with ``start="consistent"``) and α, λ are constant.

    References
    ----------
    McMahan et al., *Ad click prediction: a view from the trenches*, KDD 2013, Algorithm 1.
    Ni et al., *Feature selection for Facebook feed ranking ... (G-FTRL)*, CIKM 2019.

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.optim import FTRL
    >>> w = torch.nn.Parameter(torch.tensor([0.0, 0.0]))
    >>> optimizer = FTRL([w], lr=1.0, l1=0.5)
    >>> w.grad = torch.tensor([0.4, -1.5])
    >>> _ = optimizer.step()
    >>> w.data.abs()  # |z| = 0.4 is pruned; (1.5 - 0.5) / (1 + 1.5)
    tensor([0.0000, 0.4000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        *,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        group: bool = False,
        initial_accumulator: float = 0.0,
        start: Start = "consistent",
    ) -> None:
        defaults = {
            "lr": lr,
            "beta": beta,
            "l1": l1,
            "l2": l2,
            "group": group,
            "initial_accumulator": initial_accumulator,
            "start": start,
        }
        super().__init__(params, defaults)
        for options in self.param_groups:
            _check_options(options)

    def _start(self, w: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        n = torch.full_like(w, options["initial_accumulator"])
        z = torch.zeros_like(w) if options["start"] == "zero" else _consistent_z(w, n, options)
        return {"z": z, "n": n}

    @torch.no_grad()
    def anchor(self) -> None:
        """Recompute z so that the present weights follow from it.

        Needed when weights or options were changed outside the optimizer, because the next step
        computes the weights from z.  Weights of 0 have been pruned; they keep their z up to the
        threshold.
        """
        for options in self.param_groups:
            for w in filter(self.state.get, options["params"]):
                z, n = (self.state[w][name] for name in ("z", "n"))
                pruned = z - _shrink(z, options)
                torch.where(w == 0, pruned, _consistent_z(w, n, options), out=z)

    def _update_rows(self, rows: Tensor, part: Part, options: dict[str, Any]) -> None:
        w, grad, state = part
        loops = compiled_loops(w)
        if loops is None:
            super()._update_rows(rows, part, options)
            return
        arrays = (t.detach().numpy() for t in (w, grad, state["z"], state["n"]))
        loops.ftrl_rows(rows.numpy(), *arrays, *_numbers(options), options["group"])

    def _update_parts(self, parts: list[Part], options: dict[str, Any]) -> None:
        loops = compiled_loops(parts[0].w)
        by_row = options["group"] and options["l1"] > 0 and any(part.w.ndim == 2 for part in parts)
        tensors = [(w, grad, state["z"], state["n"]) for w, grad, state in parts]
        if loops is None or by_row or not all(map(_is_plain, chain.from_iterable(tensors))):
            super()._update_parts(parts, options)
            return
        addresses = np.array([[t.data_ptr() for t in each] for each in tensors])
        sizes = np.array([part.w.numel() for part in parts])
        loops.ftrl(addresses, sizes, *_numbers(options))

    def _update(
        self,
        w: list[Tensor],
        state: dict[str, list[Any]],
        grad: tuple[Tensor, ...] | list[Tensor],
        options: dict[str, Any],
    ) -> None:
        lr, z, n = options["lr"], state["z"], state["n"]
        root = torch._foreach_sqrt(n)
        torch._foreach_addcmul_(n, grad, grad)
        curvature = torch._foreach_sqrt(n)
        torch._foreach_sub_(root, curvature)  # -σ, like the curvature below times lr
        torch._foreach_add_(z, grad)
        torch._foreach_addcmul_(z, root, w, value=1 / lr)
        torch._foreach_add_(curvature, options["beta"] + lr * options["l2"])
        if options["beta"] == options["l2"] == 0:
            torch._foreach_clamp_min_(curvature, lr * MIN_CURVATURE)
        for out, leader, c in zip(w, z, curvature, strict=True):
            torch.div(_shrink(leader, options), c, out=out)
        torch._foreach_mul_(w, -lr)


def _is_plain(tensor: Tensor) -> bool:
    """Whether entries of a tensor are float32 numbers, one after the other."""
    return tensor.dtype == torch.float32 and tensor.is_contiguous()


def _numbers(options: dict[str, Any]) -> list[float]:
    """Return the options that the compiled loops take."""
    return [float(options[name]) for name in ("lr", "beta", "l1", "l2")] + [MIN_CURVATURE]


def _shrink(z: Tensor, options: dict[str, Any]) -> Tensor:
    """Soft threshold of z by l1: of every entry, or of the norm of every row."""
    l1 = options["l1"]
    if l1 == 0:
        return z
    if options["group"] and z.ndim == 2:
        norm = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        keep = 1 - l1 * z.shape[1] ** 0.5 / norm.clamp_min(torch.finfo(z.dtype).tiny)
        return z * keep.clamp_min(0)
    return torch.nn.functional.softshrink(z, l1)


def _consistent_z(w: Tensor, n: Tensor, options: dict[str, Any]) -> Tensor:
    """Return the z that yields these weights with this n."""
    curvature = n.sqrt().add_(options["beta"]).div_(options["lr"]).add_(options["l2"])
    shrunk = curvature.clamp_min_(MIN_CURVATURE).mul_(w).neg_()
    if options["l1"] == 0:
        return shrunk
    if options["group"] and w.ndim == 2:
        eps = torch.finfo(w.dtype).tiny ** 0.5  # the norm of smaller rows underflows
        direction = w.shape[1] ** 0.5 * torch.nn.functional.normalize(shrunk, dim=1, eps=eps)
    else:
        direction = shrunk.sign()
    return shrunk.add_(direction, alpha=options["l1"])


def _check_options(options: dict[str, Any]) -> None:
    if not options["lr"] > 0:
        raise ValueError(f"lr={options['lr']!r}; it must be above 0")
    for name in ("beta", "l1", "l2", "initial_accumulator"):
        if not options[name] >= 0:
            raise ValueError(f"{name}={options[name]!r}; it must be at least 0")
    if options["start"] not in ("zero", "consistent"):
        raise ValueError(f"start={options['start']!r}; it must be 'zero' or 'consistent'")
