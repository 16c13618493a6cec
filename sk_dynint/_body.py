"""The contract of a body: what stands between the embeddings of a row and its logit."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Body(nn.Module):
    """Base class of the interaction stack and of every competitor.

    A subclass takes ``n_fields`` and ``embedding_dim``, then its options by keyword.  It adds no
    bias to the logit and applies no sigmoid: the module around it owns the bias, and the loss owns
    the link.  Pass the subclass as ``BaselineClassifier(model=...)``; its options come from the
    parameters of the classifier that have the same name (`deep`, `hidden_units`, `dropout`,
    `batch_norm`, `n_layers`) and from ``model_params``.

    Attributes
    ----------
    first_order : bool, default=False
        Whether the module adds one weight per index, the linear part of the model.
    block : int or None, default=None
        Number of rows to compute at once when autograd trains the body.  None leaves the number to
        the engine; a body with large intermediate arrays lowers it, so that they fit in the cache.
    has_auxiliary : bool, default=False
        Whether training adds `auxiliary` to the loss of the logit.
    shared_table : bool, default=True
        Whether the bodies of more than two classes can share the embeddings.  False where the
        embeddings stand for weights, as in a factorization machine, whose interactions would be the
        same for all classes: each class has columns of its own then.
    fixed_embedding_dim : int or None, default=None
        Length of an embedding vector where the model leaves no choice.
    only_deep : str or None, default=None
        Why the model has no form without its DNN; None if it has one, or never has a DNN.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    Examples
    --------
    The product of all fields, with a weight for each of its D entries:

    >>> import torch
    >>> from sk_dynint import BaselineClassifier
    >>> from sk_dynint.baselines import Body
    >>> class Product(Body):
    ...     def __init__(self, n_fields, embedding_dim, *, start=1.0):
    ...         super().__init__()
    ...         self.weight = torch.nn.Parameter(torch.full((embedding_dim,), start))
    ...
    ...     def forward(self, embedding):
    ...         return embedding.prod(1) @ self.weight
    >>> Product(n_fields=2, embedding_dim=1)(torch.tensor([[[2.0], [3.0]]])).tolist()
    [6.0]
    >>> X, y = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 50, [0, 1, 1, 0] * 50
    >>> model = BaselineClassifier(Product, model_params={"start": 2.0}, lr=0.1, random_state=0)
    >>> model.fit(X, y).predict(X[:4]).tolist()
    [0, 1, 1, 0]
    """

    first_order: bool = False
    block: int | None = None
    has_auxiliary: bool = False
    shared_table: bool = True
    fixed_embedding_dim: ClassVar[int | None] = None
    only_deep: ClassVar[str | None] = None

    @property
    def row_wise(self) -> bool:
        """Whether the logit of a row depends on this row only: true without batch norm.

        The engine cuts a batch into blocks only if this is true.
        """
        return not any(isinstance(part, _BatchNorm) for part in self.modules())

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding; (B, F, D) -> (B,)."""
        raise NotImplementedError

    def penalty(self) -> Tensor | float:
        """Regularisation term of the last forward pass: a number, or one for each row (B,).

        The engine multiplies it by `orthogonal_penalty` and by the weight of each row.
        """
        return 0.0

    def auxiliary(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Return a loss of the last forward pass that is added to that of the logit.

        A number for a whole batch, which the engine therefore does not cut into blocks: beside the
        *mean* loss of its rows, so that the engine multiplies it by the weight of the batch.

        Parameters
        ----------
        logit : Tensor of shape (B,)
            The body's logit with bias and linear part, detached from the body.  A part of the body
            whose logit by itself is z has ``logit + (z - own)``, with `own` the body's logit.
        target, weight : Tensor of shape (B,)
            Targets and weights of the rows.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.has_auxiliary is true, but it has no auxiliary; it must define "
            "auxiliary(logit, target, weight)"
        )
