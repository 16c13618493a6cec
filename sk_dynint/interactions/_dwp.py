"""`dwp`: dynamic weighted parameters, a low-rank reweighting of a shared matrix."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.interactions._gate import GateInput, GateNetwork
from sk_dynint.interactions._layer import InteractionLayer, glorot
from sk_dynint.interactions._penalty import PenaltyKind, orthogonal_penalty

Offset = Literal["sqrt", "paper", "first", "none"]
Paradigm = Literal["auto", "low_rank", "explicit"]


class DynamicWeightedParameters(InteractionLayer):
    r"""DynInt-DWP: a shared matrix reweighted for each instance (paper, Eq. 6, 9, 10).

    .. math::

        X_l = X_{l-1} \circ \bigl((G_{l-1}^{(i)} \circ W_{l-1}) X_0\bigr) + X_{l-1},
        \qquad G_{l-1}^{(i)} = \sum_{p=1}^{K} u_p^{(i)} {v_p^{(i)}}^T

    and because :math:`(u v^T \circ W) z = u \circ (W (v \circ z))`, no (B, W, W) array is needed.

    Parameters
    ----------
    width, depth : int
        W and d, see :class:`InteractionLayer`.
    rank : int, default=2
        K.  The paper searches 1 to 4.
    reduction : int, default=16
        r of the network that generates u and v.
    offset : {"sqrt", "paper", "first", "none"}, default="sqrt"
        Constant added to u and v.  "sqrt": 1/√K, so that G starts near 1, as the paper intends;
        "paper": the printed 1/K, with which G starts near 1/K; "first": 1 for p = 1 and 0 for the
        others, so that the u_p start both near G = 1 and near orthogonality; "none": 0.
        NOTE[DIFF]: the paper prints 1/K and says that G is then near 1; both cannot hold.
    paradigm : {"auto", "low_rank", "explicit"}, default="auto"
        How to compute the same numbers: by the identity above, or by forming G ∘ W, which costs
        less when W is small.  "auto" takes the cheaper one.
    gate_init : {"glorot", "zeros"}, default="glorot"
        Initial values of the last layer of the network.  With "zeros" all K heads always get the
        same gradient, so that G stays of rank one.
    gate_input : {"flatten", "pooled"}, default="flatten"
        See :class:`GateNetwork`.
    penalty_kind : {"absolute", "squared"}, default="absolute"
        See :func:`orthogonal_penalty`.
    normalize_penalty : bool, default=False
        Divide the penalty by its number of terms, so that one coefficient suits every rank.

    Notes
    -----
    Shape: (B, d, W), (B, d, W) -> (B, d, W).
    """

    def __init__(
        self,
        width: int,
        depth: int,
        *,
        rank: int = 2,
        reduction: int = 16,
        offset: Offset = "sqrt",
        paradigm: Paradigm = "auto",
        gate_init: Literal["glorot", "zeros"] = "glorot",
        gate_input: GateInput = "flatten",
        penalty_kind: PenaltyKind = "absolute",
        normalize_penalty: bool = False,
    ) -> None:
        super().__init__(width, depth)
        if gate_init not in ("glorot", "zeros"):
            raise ValueError(f"{gate_init=!r}; it must be 'glorot' or 'zeros'")
        if paradigm not in ("auto", "low_rank", "explicit"):
            raise ValueError(f"{paradigm=!r}; it must be 'auto', 'low_rank' or 'explicit'")
        self.rank = rank
        self.penalty_kind = penalty_kind
        self.normalize_penalty = normalize_penalty
        self.explicit = (
            _explicit_is_cheaper(width, depth, rank)
            if paradigm == "auto"
            else paradigm == "explicit"
        )
        self.weight = glorot(width, width)
        self.gate = GateNetwork(
            width,
            depth,
            2 * rank * width,
            reduction=reduction,
            gate_input=gate_input,
            zero_init=gate_init == "zeros",
        )
        self.offset = _offset(offset, rank)  # no buffer, which would be rounded to single precision
        self._factors: tuple[Tensor, Tensor] | None = None

    def factors(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors u and v of every instance, (B, K, W) each."""
        both = self.gate(x0).view(-1, 2, self.rank, self.width)
        both = both + self.offset.to(both)
        u, v = both.unbind(1)
        return u, v

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (10)."""
        u, v = self.factors(x0)
        self._factors = (u, v) if self.training and self.rank > 1 else None
        if self.explicit:
            mixed = x0 @ (self.weight * (u.mT @ v)).mT  # (G ∘ W) X_0
        else:
            heads = functional.linear(v.unsqueeze(2) * x0.unsqueeze(1), self.weight)
            mixed = (u.unsqueeze(2) * heads).sum(1)  # Σ_p u_p ∘ (W (v_p ∘ X_0))
        return torch.addcmul(x, x, mixed)  # Eq. (10)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the factors of the last batch out of copies and pickles: they belong to a graph."""
        return self.__dict__ | {"_factors": None}

    def penalty(self) -> Tensor | float:
        """Overlap of the u_p and of the v_p of each row of the last batch, (B,) (paper, Eq. 12)."""
        if self._factors is None:
            return 0.0
        return sum(
            orthogonal_penalty(a, kind=self.penalty_kind, normalize=self.normalize_penalty)
            for a in self._factors
        )


def _offset(offset: Offset, rank: int) -> Tensor:
    """(K, 1) constants, in the precision of the most precise model."""
    heads = torch.ones(rank, 1, dtype=torch.float64)
    if offset == "sqrt":
        return heads / rank**0.5
    if offset == "paper":
        return heads / rank
    if offset == "first":
        heads[1:] = 0
        return heads
    if offset == "none":
        return 0 * heads
    raise ValueError(f"{offset=!r}; it must be 'sqrt', 'paper', 'first' or 'none'")


def _explicit_is_cheaper(width: int, depth: int, rank: int) -> bool:
    """Compare what a training step keeps for one instance: 2 W² against 2 K W d numbers."""
    return width < rank * depth
