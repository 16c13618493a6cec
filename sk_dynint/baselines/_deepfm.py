"""`deepfm`: a factorization machine and a DNN over one embedding."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import dnn_beside
from sk_dynint.baselines._fm import pairwise


class DeepFM(Body):
    r"""Factorization machine plus DNN, both on the same embedding.

    .. math::

        \mathrm{logit} = b + \sum_f w_{f, x_f} + \sum_{i < j} \langle E_i, E_j \rangle
        + w \cdot DNN(\mathrm{flatten}(E))

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN; without it the model is the factorization machine.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Guo et al., *DeepFM: a factorization-machine based neural network for CTR prediction*,
    IJCAI 2017.
    """

    first_order = True
    shared_table = False

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.deep = dnn_beside(
            deep, n_fields, embedding_dim, hidden_units, dropout=dropout, batch_norm=batch_norm
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        logit = pairwise(embedding)
        return logit if self.deep is None else logit + self.deep(embedding)
