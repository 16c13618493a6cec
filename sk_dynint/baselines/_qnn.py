"""`qnn`: quadratic layers, each a product of its input with a sum of ReLU gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sk_dynint.baselines._dnn import BatchNorm, Dense, Output
from sk_dynint.baselines._members import MembersBody, self_ensemble


class QuadraticLayer(nn.Module):
    r"""Quadratic layer with its activation inside (QNN-α).

    .. math:: x_{l+1} = x_l \circ \sum_r \mathrm{relu}(W_{lr} x_l + b_{lr}) + x_l

    Parameters
    ----------
    width : int
        Number of entries of x.
    n_gates : int, default=2
        R, number of gates that are summed.
    dropout : float, default=0.0
        Probability that an entry of a gate, and one of the layer's output, is dropped in training.
    batch_norm : bool, default=False
        Whether gates are normalised before the activation.

    Notes
    -----
    Shape: (B, width) -> (B, width).
    """

    def __init__(
        self, width: int, n_gates: int = 2, *, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.gates = Dense(width, n_gates * width)
        self.norms = nn.Sequential(BatchNorm(n_gates * width) if batch_norm else nn.Identity())
        self.dropout = nn.Dropout(dropout)
        self.n_gates = n_gates

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        gates = self.dropout(torch.relu(self.norms(self.gates(x))))
        return self.dropout(torch.addcmul(x, x, gates.unflatten(1, (self.n_gates, -1)).sum(1)))


class QuadraticNetwork(MembersBody):
    r"""Quadratic neural network of the format QNN-α.

    .. math::

        \mathrm{logit} = w \cdot x_L, \qquad
        x_{l+1} = x_l \circ \sum_r \mathrm{relu}(W_{lr} x_l + b_{lr}) + x_l, \qquad
        x_0 = \mathrm{flatten}(E)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    n_layers : int, default=3
        L, number of quadratic layers.
    n_gates : int, default=2
        R, number of gates of a layer, the rows of its Khatri-Rao product.
    self_ensemble : bool, default=True
        Whether, with dropout, each training row passes the layers twice and both passes learn from
        their mean, see :func:`self_ensemble`.
    dropout, batch_norm
        See :class:`QuadraticLayer`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    NOTE[DIFF]: there are no heads.  A product entry by entry is the same in any number of heads; in
    the authors' code several ones add it to other entries of x than those it was made of, and one
    head has their best scores on Criteo and Frappe.

    References
    ----------
    Li et al., *Revisiting feature interactions from the perspective of quadratic neural networks
    for click-through rate prediction*, KDD 2025 (arXiv 2505.17999).
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        n_layers: int = 3,
        n_gates: int = 2,
        self_ensemble: bool = True,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if n_gates < 1:
            raise ValueError(f"{n_gates=!r}; it must be at least 1")
        width = n_fields * embedding_dim
        self.layers = nn.Sequential(
            *(
                QuadraticLayer(width, n_gates, dropout=dropout, batch_norm=batch_norm)
                for _ in range(n_layers)
            )
        )
        self.output = Output(width)
        self.has_auxiliary = self_ensemble and dropout > 0

    def members(self, embedding: Tensor) -> Tensor:
        """Logits of each pass, (2, B) or (1, B)."""
        x = embedding.flatten(1)
        n_passes = 2 if self.training and self.has_auxiliary else 1
        return torch.stack([self.output(self.layers(x)) for _ in range(n_passes)])

    def members_loss(self, members: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Self-Ensemble loss of both passes."""
        return self_ensemble(members, target, weight)
