"""Bodies whose logit is made of several, and losses that look at each of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sk_dynint._body import Body
from sk_dynint._loss import BinaryCrossEntropy


class MembersBody(Body):
    """Base class of a body whose logit is the mean of the logits of its members, or their sum.

    A subclass defines `members`, and `members_loss` if `has_auxiliary` is true.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    _deviations: Tensor | None = None

    def members(self, embedding: Tensor) -> Tensor:
        """Logits of M members; (B, F, D) -> (M, B)."""
        raise NotImplementedError

    def members_loss(self, members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Auxiliary loss of the members' logits (M, B), bias and linear part included."""
        raise NotImplementedError

    def combine(self, members: Tensor) -> Tensor:
        """Make one logit of those of the members; (M, B) -> (B,)."""
        return members.mean(0)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        members = self.members(embedding)
        logit = self.combine(members)
        self._deviations = members - logit if self.training and self.has_auxiliary else None
        return logit

    def auxiliary(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Loss of the members in the last forward pass; see :class:`Body`."""
        return self.members_loss(logit + self.deviations, target, weight)

    @property
    def deviations(self) -> Tensor:
        """What the members' logits had more than the one in the last forward pass, (M, B)."""
        assert self._deviations is not None, "auxiliary follows a forward pass in training"
        return self._deviations

    def __getstate__(self) -> dict[str, Any]:
        """Leave the last batch out of copies and pickles: it belongs to a graph."""
        return self.__dict__ | {"_deviations": None}


def tri_bce(members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    r"""Tri-BCE without its first term, the loss of the mean logit.

    .. math::

        L + \sum_m w_m L_m, \qquad w_m = \max(0, L_m - L)

    with L the mean cross-entropy of the mean logit and :math:`L_m` that of member m: the farther a
    member is behind the whole, the more it is trained by itself.  The weights are part of what is
    differentiated.

    Parameters
    ----------
    members : Tensor of shape (M, B)
        Logits.
    target, weight : Tensor of shape (B,)
        Targets and weights of the rows.

    References
    ----------
    Li et al., *FCN: fusing exponential and linear cross network for click-through rate prediction*,
    KDD 2026 (arXiv 2407.13349).
    """
    mean_loss = partial(BinaryCrossEntropy().mean, target=target, weight=weight)
    whole = mean_loss(members.mean(0))
    losses = torch.stack([mean_loss(member) for member in members])
    return (torch.relu(losses - whole) * losses).sum()


def self_ensemble(members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    r"""Self-Ensemble loss, less the loss of the mean logit.

    .. math::

        \ell(\bar p, y) + \sum_m \ell(p_m, \bar p), \qquad \bar p = \tfrac{1}{M} \sum_m p_m

    with :math:`p_m` the probability that member m gives, and :math:`\bar p` a constant where it is
    a target: the members, which differ by what dropout left of them, learn from their mean.

    Parameters
    ----------
    members : Tensor of shape (M, B)
        Logits.
    target, weight : Tensor of shape (B,)
        Targets and weights of the rows.

    References
    ----------
    Li et al., *Revisiting feature interactions from the perspective of quadratic neural networks
    for click-through rate prediction*, KDD 2025 (arXiv 2505.17999).
    """
    mean_loss = partial(BinaryCrossEntropy().mean, weight=weight)
    ensemble = logsigmoid(members).logsumexp(0) - logsigmoid(-members).logsumexp(0)
    p = torch.sigmoid(ensemble.detach())  # the mean probability
    total = mean_loss(ensemble, target) - mean_loss(members.mean(0), target)
    return total + torch.stack([mean_loss(member, p) for member in members]).sum()
