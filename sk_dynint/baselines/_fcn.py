"""`fcn`: an exponential and a linear cross network, each with a loss of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sk_dynint.baselines._ecn import ExponentialCrossNetwork, LinearCrossNetwork, SecondHalf
from sk_dynint.baselines._members import MembersBody, tri_bce


class FusingCrossNetwork(MembersBody):
    r"""Fusing cross network (DCN V3): interactions of high and of low order, trained by Tri-BCE.

    .. math:: \mathrm{logit} = \tfrac{1}{2} \bigl(ECN(E) + LCN(E)\bigr)

    with the layers :math:`x_l \circ g_l(x_l) + x_l` in the exponential network and
    :math:`x_0 \circ g_l(x_l) + x_l` in the linear one.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    n_layers : int, default=3
        Number of layers of the exponential network.
    n_linear_layers : int, default=None
        Number of layers of the linear network; None: as many.
    tri_bce : bool, default=True
        Whether each network has a share in the loss, see :func:`tri_bce`.
    n_heads, second_half, dropout, batch_norm
        See :class:`CrossNetwork`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    NOTE[DIFF]: both networks share the bias of the model; each has one in the authors' code.

    References
    ----------
    Li et al., *FCN: fusing exponential and linear cross network for click-through rate prediction*,
    KDD 2026 (arXiv 2407.13349).
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        n_layers: int = 3,
        n_linear_layers: int | None = None,
        tri_bce: bool = True,
        n_heads: int = 1,
        second_half: SecondHalf = "affine",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        n_linear = n_layers if n_linear_layers is None else n_linear_layers
        if n_linear < 1:
            raise ValueError(f"{n_linear_layers=!r}; it must be None or at least 1")
        sizes = n_fields, embedding_dim
        options: dict[str, Any] = {
            **{"n_heads": n_heads, "second_half": second_half},
            **{"dropout": dropout, "batch_norm": batch_norm},
        }
        self.exponential = ExponentialCrossNetwork(*sizes, n_layers=n_layers, **options)
        self.linear = LinearCrossNetwork(*sizes, n_layers=n_linear, **options)
        self.has_auxiliary = tri_bce

    def members(self, embedding: Tensor) -> Tensor:
        """Logits of both networks, (2, B)."""
        return torch.stack([self.exponential(embedding), self.linear(embedding)])

    def members_loss(self, members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Tri-BCE of both networks."""
        return tri_bce(members, target, weight)
