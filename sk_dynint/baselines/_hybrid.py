"""A hybrid: interaction layers and another body beside them, over one embedding table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._members import MembersBody, tri_bce

Fusion = Literal["sum", "tri-bce"]
"""How the logits of bodies become one: see :class:`Hybrid`."""


class Hybrid(MembersBody):
    r"""Bodies side by side over the same embeddings.

    .. math:: \mathrm{logit} = \sum_m z_m(E) \quad \text{or} \quad \tfrac{1}{M} \sum_m z_m(E)

    Parameters
    ----------
    bodies : iterable of Body
        The M bodies, with the logits z.  Losses that they have of their own stay with them.
    fusion : {"sum", "tri-bce"}, default="sum"
        "sum": the sum of the logits, of which only the whole is trained; "tri-bce": their mean,
        and beside its loss that of :func:`tri_bce`, in which each body has a share.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    def __init__(self, bodies: Iterable[Body], *, fusion: Fusion = "sum") -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.fusion = fusion
        self.has_auxiliary = fusion == "tri-bce" or any(body.has_auxiliary for body in self)
        self.first_order = any(body.first_order for body in self)
        self.shared_table = all(body.shared_table for body in self)
        self.block = min((body.block for body in self if body.block), default=None)

    def __iter__(self) -> Iterator[Body]:
        """Iterate over the bodies."""
        return iter(self.bodies)  # type: ignore[arg-type]

    def members(self, embedding: Tensor) -> Tensor:
        """Logits of the bodies, (M, B)."""
        return torch.stack([body(embedding) for body in self])

    def combine(self, members: Tensor) -> Tensor:
        """Sum or mean of the logits; (M, B) -> (B,)."""
        return members.sum(0) if self.fusion == "sum" else members.mean(0)

    def members_loss(self, members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Tri-BCE of the bodies."""
        return tri_bce(members, target, weight)

    def auxiliary(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Sum of the bodies' own losses, and of Tri-BCE if the fusion is that."""
        losses, own = [], [logit] * len(self.bodies)  # a summand's loss is that of the sum
        if self.fusion == "tri-bce":
            losses.append(super().auxiliary(logit, target, weight))
            own = [*(logit + self.deviations)]
        losses += [
            body.auxiliary(z, target, weight)
            for body, z in zip(self, own, strict=True)
            if body.has_auxiliary
        ]
        return torch.stack(losses).sum()

    def penalty(self) -> Tensor | float:
        """Sum of the bodies' penalties in the last forward pass."""
        return sum(body.penalty() for body in self)
