"""`xdeepfm`: a compressed interaction network and a DNN."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import Dense, Output, check_widths, dnn_beside
from sk_dynint.baselines._field_pairs import fields_first


class CompressedInteraction(nn.Module):
    r"""Compressed interaction network (CIN).

    .. math::

        X^k_{h} = \sum_{i, j} W^{k,h}_{ij} \bigl(X^{k-1}_{i} \circ X^0_{j}\bigr), \qquad
        p^k_h = \sum_d X^k_{h, d}

    Parameters
    ----------
    n_fields : int
        F, rows of X^0 = E.
    units : sequence of int
        Rows of X^1, X^2, ...; at least one entry.

    Notes
    -----
    NOTE[DIFF]: no activation on X^k; it is the identity in the best setting of the paper.

    Shape: (B, F, D) -> (B, n_outputs), all p^k side by side.
    """

    def __init__(self, n_fields: int, units: Sequence[int]) -> None:
        super().__init__()
        rows = [n_fields, *units]
        self.layers = nn.ModuleList(
            Dense(above * n_fields, below, bias=False) for above, below in pairwise(rows)
        )
        self.n_outputs = sum(units)

    def forward(self, embedding: Tensor) -> Tensor:
        """Sum every X^k over the embedding axis."""
        n_rows, _, dim = embedding.shape
        x = x0 = fields_first(embedding).flatten(1)  # (F, D B): a layer is one matrix product
        layers: Any = self.layers
        pooled = []
        for layer in layers[:-1]:
            x = layer.weight @ (x.unsqueeze(1) * x0).flatten(0, 1)  # Lian 2018, Eq. (6)
            pooled.append(x.view(len(x), dim, n_rows).sum(1).T)
        # Only the sums of the last X are needed, and those of the products take D times less time.
        x = x.view(len(x), dim, n_rows).permute(2, 0, 1).contiguous()
        pooled.append(layers[-1]((x @ embedding.mT).flatten(1)))
        return torch.cat(pooled, 1)


class XDeepFM(Body):
    r"""Linear part, compressed interaction network and DNN over one embedding.

    .. math::

        \mathrm{logit} = b + \sum_f w_{f, x_f} + w_{cin} \cdot CIN(E)
        + w_{dnn} \cdot DNN(\mathrm{flatten}(E))

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN.
    n_layers : int, default=3
        Layers of the CIN, at least one.
    cin_units : int or sequence of int, default=64
        Rows of a layer of the CIN: one number for all of them, or one for each.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Lian et al., *xDeepFM: combining explicit and implicit feature interactions for recommender
    systems*, KDD 2018.
    """

    first_order = True

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        n_layers: int = 3,
        cin_units: int | Sequence[int] = 64,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        units = cin_units if isinstance(cin_units, Sequence) else (cin_units,) * n_layers
        check_widths("cin_units", units)
        if len(units) != n_layers:
            raise ValueError(f"{cin_units=!r}; it must be one integer, or {n_layers=} of them")
        self.cin = CompressedInteraction(n_fields, units)
        largest = n_fields * max(n_fields, *units) * embedding_dim
        self.block = max(32, 2**21 // largest)  # products of a block: 8 MB
        self.output = Output(self.cin.n_outputs)
        self.deep = dnn_beside(
            deep, n_fields, embedding_dim, hidden_units, dropout=dropout, batch_norm=batch_norm
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        logit = self.output(self.cin(embedding))
        return logit if self.deep is None else logit + self.deep(embedding)
