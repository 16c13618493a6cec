"""`fibinet`: fields weighted by squeeze and excitation, and bilinear products of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import DNN, Dense, Output
from sk_dynint.baselines._field_pairs import FieldPairs, fields_first, times_own_matrix
from sk_dynint.baselines._init import glorot

Bilinear = Literal["all", "each", "interaction"]


class SENet(nn.Module):
    r"""Weight of every field, from the means of all fields (squeeze and excitation).

    .. math::

        z_f = \tfrac{1}{D} \sum_d E_{fd}, \qquad
        V = A \circ E, \quad A = \mathrm{relu}(W_2\,\mathrm{relu}(W_1 z))

    Parameters
    ----------
    n_fields : int
        F.
    reduction : int, default=3
        r; W_1 is (F // r, F), at least one row.

    Notes
    -----
    Shape: (B, F, D) -> (B, F, D).
    """

    def __init__(self, n_fields: int, reduction: int = 3) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"{reduction=!r}; it must be at least 1")
        n_hidden = max(1, n_fields // reduction)
        self.squeeze = Dense(n_fields, n_hidden, bias=False)
        self.excite = Dense(n_hidden, n_fields, bias=False)

    def forward(self, embedding: Tensor) -> Tensor:
        """Weight the fields."""
        z = embedding.mean(2)
        weight = torch.relu(self.excite(torch.relu(self.squeeze(z))))  # Huang 2019, Eq. (3)
        return weight.unsqueeze(2) * embedding  # Eq. (4)


class BilinearProducts(nn.Module):
    r"""Bilinear product of every pair of fields, :math:`p_{ij} = (e_i W) \circ e_j`.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    bilinear : {"interaction", "each", "all"}, default="interaction"
        One matrix W for each pair, one for each left field i (F - 1 of them), or one for all.

    Notes
    -----
    Shape: (B, F, D) -> (P, D, B) with P = F (F - 1) / 2, which makes matrix products cheap.
    """

    def __init__(
        self, n_fields: int, embedding_dim: int, bilinear: Bilinear = "interaction"
    ) -> None:
        super().__init__()
        if bilinear not in ("all", "each", "interaction"):
            raise ValueError(f"{bilinear=!r}; it must be 'all', 'each' or 'interaction'")
        self.bilinear = bilinear
        self.pairs = FieldPairs(n_fields)
        n_matrices = {"all": 1, "each": n_fields - 1, "interaction": len(self.pairs)}[bilinear]
        self.weight = glorot(n_matrices, embedding_dim, embedding_dim)

    def forward(self, embedding: Tensor) -> Tensor:
        """Multiply."""
        x = fields_first(embedding)
        if self.bilinear == "interaction":
            left, right = self.pairs(x)
            return times_own_matrix(left, self.weight) * right  # Huang 2019, Eq. (7)
        matrices = self.weight.expand(len(x) - 1, -1, -1)
        turned = times_own_matrix(x[:-1], matrices)  # Eq. (5) and (6): once for each field
        return turned.index_select(0, self.pairs.left) * x.index_select(0, self.pairs.right)


class FiBiNET(Body):
    r"""Feature importance and bilinear interactions.

    .. math::

        \mathrm{logit} = b + \sum_f w_{f, x_f} + w \cdot DNN\bigl([p(E),\ q(V)]\bigr),
        \qquad V = SENET(E)

    with p and q the bilinear products of all pairs, each with matrices of its own.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN; without it, one weight for each entry of p and q.
    bilinear : {"interaction", "each", "all"}, default="interaction"
        See :class:`BilinearProducts`.
    reduction : int, default=3
        r of :class:`SENet`.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Huang et al., *FiBiNET: combining feature importance and bilinear feature interaction for
    click-through rate prediction*, RecSys 2019.
    """

    first_order = True
    block = 512

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        bilinear: Bilinear = "interaction",
        reduction: int = 3,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.senet = SENet(n_fields, reduction)
        self.products = BilinearProducts(n_fields, embedding_dim, bilinear)
        self.senet_products = BilinearProducts(n_fields, embedding_dim, bilinear)
        n_inputs = 2 * len(self.products.pairs) * embedding_dim
        self.dnn = (
            DNN(n_inputs, hidden_units, dropout=dropout, batch_norm=batch_norm) if deep else None
        )
        self.output = Output(n_inputs if self.dnn is None else self.dnn.n_outputs)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        p = self.products(embedding)
        q = self.senet_products(self.senet(embedding))
        x = torch.cat([p, q]).flatten(0, 1).T  # (B, n_inputs)
        return self.output(x if self.dnn is None else self.dnn(x))
