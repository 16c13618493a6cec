"""`fm`: factorization machine."""

from __future__ import annotations

from torch import Tensor

from sk_dynint._body import Body


class FactorizationMachine(Body):
    r"""Factorization machine of second order.

    .. math:: \mathrm{logit} = b + \sum_f w_{f, x_f} + \sum_{i < j} \langle E_i, E_j \rangle

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Rendle, *Factorization machines*, ICDM 2010, Eq. (1).
    """

    first_order = True
    shared_table = False

    def __init__(self, n_fields: int, embedding_dim: int) -> None:
        super().__init__()

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        return pairwise(embedding)


def pairwise(embedding: Tensor) -> Tensor:
    """Sum of the inner products of all pairs of fields, in linear time.

    Shape: (B, F, D) -> (B,).

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.baselines._fm import pairwise
    >>> pairwise(torch.tensor([[[1.0], [2.0], [3.0]]]))  # 1·2 + 1·3 + 2·3
    tensor([11.])
    """
    square_of_sum = embedding.sum(1).square()
    sum_of_squares = embedding.square().sum(1)
    return 0.5 * (square_of_sum - sum_of_squares).sum(1)  # Rendle, Lemma 3.1
