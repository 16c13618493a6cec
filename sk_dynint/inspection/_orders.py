"""The logit, split by order of interaction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sk_dynint._module import CTRModule
from sk_dynint.inspection._forms import layers_of
from sk_dynint.inspection._frozen import FROZEN
from sk_dynint.inspection._models import Model, by_blocks
from sk_dynint.interactions import InteractionStack, split_subspaces

BLOCK_ROWS = 512


def order_decomposition(clf: Any, X: Any) -> NDArray[np.float64]:
    r"""Split the logit by order of interaction, 0 to L + 1.

    With the dynamic parts of the row as they are, :math:`X_L = X_0 \circ \prod_l (1 + M_l)` where
    every :math:`M_l` is linear in the embedding.  Order k + 1 is the part that is of degree k + 1
    in it, :math:`w_{out} (X_0 \circ e_k(M_1, \dots, M_L))` with the elementary symmetric polynomial
    :math:`e_k`; order 0 is the bias.  The degree counts embeddings, not different fields: a product
    of two vectors of the same field is of order 2.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, with the variant "pin", "da", "dgp" or "dwp", and nothing `beside` the layers.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    parts : ndarray of shape (n_samples, L + 2) or (n_samples, L + 2, n_classes)
        Log-odds that sum to the logit over axis 1; means over the members of an ensemble.  The
        weights of levels that more than two classes have belong to order 1.

    Raises
    ------
    TypeError
        If `clf` is no classifier of this package.
    ValueError
        If `clf` has other layers, or a body beside them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import order_decomposition
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = [0, 1, 1, 0] * 50
    >>> model = DynIntClassifier(n_members=1, n_layers=2, random_state=0).fit(X, y)
    >>> parts = order_decomposition(model, X.head(4))
    >>> parts.shape
    (4, 4)
    >>> bool(abs(parts.sum(1) - model.decision_function(X.head(4))).max() < 1e-5)
    True
    """
    model = Model(clf)
    indices = model.encode(X)
    stacks = [model.stacks(member, "orders of interaction") for member in model.members]

    def split(block: slice) -> Tensor:
        parts = [
            _member_parts(member, bodies, indices[block])
            for member, bodies in zip(model.members, stacks, strict=True)
        ]
        return torch.stack(parts).mean(0).cpu()

    parts = torch.cat(by_blocks(split, len(indices), BLOCK_ROWS)).double().numpy()
    parts[:, 0] += model.shift
    return parts[..., 0] if model.outputs is None else parts


def _member_parts(member: CTRModule, stacks: list[InteractionStack], indices: Tensor) -> Tensor:
    """Return the orders of a member's logits, (B, L + 2, C)."""
    embedding = member.embedding(indices)
    orders = torch.stack([_stack_orders(stack, embedding) for stack in stacks], 2)
    if member.first_order is not None:
        orders[:, 0] += member.first_order(indices).sum(1)
    bias = member.bias.expand(len(indices), 1, len(stacks))
    return torch.cat([bias, orders], 1)


def _stack_orders(stack: InteractionStack, embedding: Tensor) -> Tensor:
    """Return the orders 1 to L + 1 of a stack's logit, (B, L + 1)."""
    x0 = split_subspaces(embedding, stack.n_subspaces)
    symmetric = [x0]  # X_0 ∘ e_k of the layers so far
    for layer in layers_of(stack):
        mixed = FROZEN[type(layer)](layer, x0)(x0, functional.linear)
        raised = [x * mixed for x in symmetric]
        symmetric = [x0, *(a + b for a, b in zip(symmetric[1:], raised, strict=False)), raised[-1]]
    weight = stack.output.repeat(stack.n_repeats)
    return torch.stack([(x @ weight).sum(1) for x in symmetric], 1)
