"""Adam that updates only the table rows of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sk_dynint.optim._rows import RowOptimizer


class RowAdam(RowOptimizer):
    r"""Adam for dense gradients, and for the rows of sparse ones.

    .. math::

        g \leftarrow g + s\lambda_2 w, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow (1 - \eta\lambda) w -
        \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable
        Parameters, or dicts of parameter groups that override the values below.
    lr : float, default=1e-3
        η.
    betas : tuple of two floats, default=(0.9, 0.999)
        β1 and β2.
    eps : float, default=1e-8
        ε.
    weight_decay : float, default=0.0
        λ, decoupled from the gradient as in AdamW.
    l2 : float, default=0.0
        λ2 of a penalty λ2/2 ‖w‖² beside the *mean* loss: it passes through m and v like the
        gradient of the loss.
    batch_weight : float, default=1.0
        s, what the gradients have to be divided by to be those of the mean loss: the weight of a
        batch where losses are summed, 1 where they are averaged.  Only `l2` needs to know it.

    Notes
    -----
    NOTE[DIFF]: moments of a row change only when it is in a batch; dense Adam, which the paper's
    comparisons use, changes all of them at every step.

    A sparse gradient decays, shrinks and moves only the rows it names, as in
    ``torch.optim.SparseAdam``.  Unlike FTRL's, that differs from the dense algorithm, which moves
    every row at every step: a rare row feels `l2` as seldom as it is seen.

    References
    ----------
    Kingma and Ba, *Adam*, ICLR 2015; Loshchilov and Hutter, *Decoupled weight decay
    regularization*, ICLR 2019.

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.optim import RowAdam
    >>> w = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = RowAdam([w], lr=0.5)
    >>> w.grad = torch.tensor([3.0, -7.0])
    >>> _ = optimizer.step()
    >>> w.data
    tensor([-0.5000,  0.5000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        batch_weight: float = 1.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "l2": l2,
            "batch_weight": batch_weight,
        }
        super().__init__(params, defaults)
        for options in self.param_groups:
            _check_options(options)

    def set_batch_weight(self, weight: float) -> None:
        """Set s of every group."""
        for options in self.param_groups:
            options["batch_weight"] = weight

    def _start(self, w: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "m": torch.zeros_like(w), "v": torch.zeros_like(w)}

    def _update(
        self,
        w: list[Tensor],
        state: dict[str, list[Any]],
        grad: tuple[Tensor, ...] | list[Tensor],
        options: dict[str, Any],
    ) -> None:
        (beta1, beta2), lr = options["betas"], options["lr"]
        m, v, steps = state["m"], state["v"], state["step"]
        if options["l2"]:
            grad = torch._foreach_add(grad, w, alpha=options["l2"] * options["batch_weight"])
        torch._foreach_lerp_(m, grad, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, grad, grad, value=1 - beta2)
        scale = torch._foreach_div(v, [1 - beta2**step for step in steps])
        torch._foreach_sqrt_(scale)
        torch._foreach_add_(scale, options["eps"])
        torch._foreach_mul_(w, 1 - lr * options["weight_decay"])
        torch._foreach_addcdiv_(w, m, scale, [-lr / (1 - beta1**step) for step in steps])


def _check_options(options: dict[str, Any]) -> None:
    for name in ("lr", "eps", "batch_weight"):
        if not options[name] > 0:
            raise ValueError(f"{name}={options[name]!r}; it must be above 0")
    for name in ("weight_decay", "l2"):
        if not options[name] >= 0:
            raise ValueError(f"{name}={options[name]!r}; it must be at least 0")
    if not all(0 <= beta < 1 for beta in options["betas"]):
        raise ValueError(f"betas={options['betas']!r}; both must be in [0, 1)")
