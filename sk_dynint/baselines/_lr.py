"""`lr`: logistic regression."""

from __future__ import annotations

from torch import Tensor

from sk_dynint._body import Body


class LogisticRegressionBody(Body):
    r"""One weight per index, summed.

    .. math:: \mathrm{logit} = b + \sum_f w_{f, x_f}

    The weight of an index is its row of the table, which has one column.

    Parameters
    ----------
    n_fields, embedding_dim : int
        F, and D = 1.

    Notes
    -----
    Shape: (B, F, 1) -> (B,).

    References
    ----------
    McMahan et al., *Ad click prediction: a view from the trenches*, KDD 2013.
    """

    fixed_embedding_dim = 1
    shared_table = False

    def __init__(self, n_fields: int, embedding_dim: int) -> None:
        super().__init__()

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        return embedding.sum((1, 2))
