"""`pnn`: inner and outer products of the fields, then a DNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import DNN, Output
from sk_dynint.baselines._field_pairs import FieldPairs, fields_first, times_own_matrix
from sk_dynint.baselines._init import glorot

Products = Literal["both", "inner", "outer"]
Outer = Literal["mat", "vec", "num", "sum"]


class OuterProduct(nn.Module):
    r"""What is made of the outer products of the fields.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    kind : {"mat", "vec", "num", "sum"}, default="mat"
        A kernel for each pair, :math:`e_i^T K_{ij} e_j`, with K a matrix ("mat"), a diagonal
        ("vec") or a multiple of the identity ("num") (Qu 2018); or the entries of the pooled
        product :math:`(\sum_f e_f)(\sum_f e_f)^T` ("sum", Qu 2016).

    Notes
    -----
    Shape: (B, F, D) -> (B, n_outputs); P = F (F - 1) / 2 outputs, or D² of them ("sum").
    """

    def __init__(self, n_fields: int, embedding_dim: int, kind: Outer = "mat") -> None:
        super().__init__()
        if kind not in ("mat", "vec", "num", "sum"):
            raise ValueError(f"outer={kind!r}; it must be 'mat', 'vec', 'num' or 'sum'")
        self.kind = kind
        self.pairs = FieldPairs(n_fields)
        n_pairs = len(self.pairs)
        if kind == "mat":
            self.kernel = glorot(n_pairs, embedding_dim, embedding_dim)
        elif kind != "sum":
            self.kernel = nn.Parameter(torch.ones(n_pairs, embedding_dim if kind == "vec" else 1))
        self.n_outputs = embedding_dim**2 if kind == "sum" else n_pairs

    def forward(self, embedding: Tensor) -> Tensor:
        """Multiply."""
        if self.kind == "sum":
            pooled = embedding.sum(1)
            return (pooled.unsqueeze(2) * pooled.unsqueeze(1)).flatten(1)
        left, right = self.pairs(fields_first(embedding))
        if self.kind == "mat":
            mixed = times_own_matrix(left, self.kernel)
        else:
            mixed = left * self.kernel.unsqueeze(2)
        return (mixed * right).sum(1).T  # e_iᵀ K_ij e_j


class ProductNetwork(Body):
    r"""Product-based neural network.

    .. math::

        \mathrm{logit} = w \cdot DNN\bigl([x,\ \langle e_i, e_j \rangle_{i<j},\
        (e_i^T K_{ij} e_j)_{i<j}]\bigr), \qquad x = \mathrm{flatten}(E)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN; without it, one weight per index plus one per product.
    products : {"both", "inner", "outer"}, default="both"
        Inner products (IPNN), outer products (OPNN), or both, as in the paper's comparison.
    outer : {"mat", "vec", "num", "sum"}, default="mat"
        See :class:`OuterProduct`.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Qu et al., *Product-based neural networks for user response prediction*, ICDM 2016, and *...
    over multi-field categorical data*, TOIS 2018.
    """

    block = 512

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        products: Products = "both",
        outer: Outer = "mat",
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if products not in ("both", "inner", "outer"):
            raise ValueError(f"{products=!r}; it must be 'both', 'inner' or 'outer'")
        self.first_order = not deep
        self.pairs = FieldPairs(n_fields) if products != "outer" else None
        outer_product = OuterProduct(n_fields, embedding_dim, outer)
        self.outer = outer_product if products != "inner" else None
        n_products = (len(self.pairs) if self.pairs is not None else 0) + (
            outer_product.n_outputs if self.outer is not None else 0
        )
        self.dnn = (
            DNN(
                n_fields * embedding_dim + n_products,
                hidden_units,
                dropout=dropout,
                batch_norm=batch_norm,
            )
            if deep
            else None
        )
        self.output = Output(n_products if self.dnn is None else self.dnn.n_outputs)

    def products(self, embedding: Tensor) -> Tensor:
        """Inner products, then outer ones; (B, F, D) -> (B, n_products)."""
        parts = []
        if self.pairs is not None:
            parts.append(self.pairs.entries(embedding @ embedding.mT))  # ⟨e_i, e_j⟩
        if self.outer is not None:
            parts.append(self.outer(embedding))
        return torch.cat(parts, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        products = self.products(embedding)
        if self.dnn is None:
            return self.output(products)
        return self.output(self.dnn(torch.cat([embedding.flatten(1), products], 1)))
