"""What the dynamic part of a variant does, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_dynint.inspection._models import Model, by_blocks
from sk_dynint.interactions import split_subspaces

BLOCK_ROWS = 512


def gates(clf: Any, X: Any, *, member: int = 0, output: int = 0) -> NDArray[np.float64]:
    """Return the gates of "da" for some rows (paper, Eq. 4).

    A gate multiplies the interactions of one entry of :math:`X_l`: 0 turns them off, 1 leaves them
    as in "pin", 2 is the most.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, with ``variant="da"``; a body `beside` does not matter.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows.
    member : int, default=0
        Which network of an ensemble; each has gates of its own, of which a mean means nothing.
    output : int, default=0
        Position of the class, of more than two.

    Returns
    -------
    gates : ndarray of shape (n_samples, n_layers, n_fields, n_subspaces)
        Numbers from 0 to 2.  With ``gate_shape="element"`` (n_samples, n_layers, n_fields,
        embedding_dim).

    Raises
    ------
    ValueError
        If `clf` is of another variant; if there is no such member or output.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import gates
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> model = DynIntClassifier("da", n_members=1, random_state=0).fit(X, [0, 1, 1, 0] * 50)
    >>> found = gates(model, X.head(5))
    >>> found.shape
    (5, 3, 2, 4)
    >>> bool(found.min() >= 0 and found.max() <= 2)
    True
    """

    def by_field(layer: Any, x0: Tensor) -> Tensor:
        found = layer.gates(x0)  # (B, d or 1, W)
        slices = found.view(len(found), found.shape[1], -1, n_fields)
        return slices.permute(0, 3, 2, 1).reshape(len(found), n_fields, -1)

    model = Model(clf)
    n_fields = model.n_fields
    return _of_layers(model, X, "da", by_field, member, output)


def singular_values(clf: Any, X: Any, *, member: int = 0, output: int = 0) -> NDArray[np.float64]:
    r"""Return the singular values of "dgp" for some rows (paper, Eq. 7 and Figure 4).

    They are the diagonal of :math:`\Sigma^{(i)}` in :math:`U \Sigma^{(i)} V^T`, in the order of the
    columns of U and V, which rows share.  They are singular values of that product as far as
    these columns are orthonormal, which `orthogonal_penalty` asks for.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, with ``variant="dgp"``; a body `beside` does not matter.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows.
    member : int, default=0
        Which network of an ensemble.
    output : int, default=0
        Position of the class, of more than two.

    Returns
    -------
    values : ndarray of shape (n_samples, n_layers, K)
        With ``sigma="full"`` the singular values of Σ in falling order.

    Raises
    ------
    ValueError
        If `clf` is of another variant; if there is no such member or output.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import singular_values
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> model = DynIntClassifier("dgp", n_members=1, rank=4, random_state=0)
    >>> singular_values(model.fit(X, [0, 1, 1, 0] * 50), X.head(5)).shape
    (5, 3, 4)
    """

    def values(layer: Any, x0: Tensor) -> Tensor:
        sigma = layer.generate(x0)
        return torch.linalg.svdvals(sigma) if layer.sigma == "full" else sigma

    return _of_layers(Model(clf), X, "dgp", values, member, output)


def pair_weights(clf: Any, X: Any, *, member: int = 0, output: int = 0) -> NDArray[np.float64]:
    r"""Return the weights of pairs of "dwp" for some rows (paper, Eq. 9).

    :math:`G^{(i)} = \sum_p u_p v_p^T` multiplies the static matrix entry by entry: 0 turns off what
    row j of the embedding gives to row i, 1 leaves it as in "pin".

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, with ``variant="dwp"``; a body `beside` does not matter.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows.
    member : int, default=0
        Which network of an ensemble.
    output : int, default=0
        Position of the class, of more than two.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_layers, W, W)
        W is fields times sub-spaces; field f in sub-space s is at ``s * n_fields + f``.

    Raises
    ------
    ValueError
        If `clf` is of another variant; if there is no such member or output.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import pair_weights
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> model = DynIntClassifier("dwp", n_members=1, n_subspaces=1, random_state=0)
    >>> pair_weights(model.fit(X, [0, 1, 1, 0] * 50), X.head(5)).shape
    (5, 3, 2, 2)
    """

    def weights(layer: Any, x0: Tensor) -> Tensor:
        u, v = layer.factors(x0)
        return u.mT @ v

    return _of_layers(Model(clf), X, "dwp", weights, member, output)


def _of_layers(
    model: Model,
    X: Any,
    variant: str,
    compute: Callable[[Any, Tensor], Tensor],
    member: int,
    output: int,
) -> NDArray[np.float64]:
    """Return what is computed of each layer for each row, (B, L, ...)."""
    stack = model.stack_of(variant, member, output)
    table, indices = model.members[member].embedding, model.encode(X)
    if not len(stack.layers):
        raise ValueError("n_layers=0: there is no layer, and nothing dynamic")

    def of_block(block: slice) -> Tensor:
        x0 = split_subspaces(table(indices[block]), stack.n_subspaces)
        return torch.stack([compute(layer, x0) for layer in stack.layers], 1).cpu()

    return torch.cat(by_blocks(of_block, len(indices), BLOCK_ROWS)).double().numpy()
