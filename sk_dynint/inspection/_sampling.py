"""Shapley values of any model's logit, estimated by sampled orders of the fields."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Tensor

from sk_dynint._module import CTRModule
from sk_dynint.inspection._explanation import Explanation
from sk_dynint.inspection._models import Model, by_blocks
from sk_dynint.inspection._shapley import explanation_of

BLOCK_EVALUATIONS = 4096
"""Rows that pass a body at once, about."""


def sampled_shapley_values(
    clf: Any,
    X: Any,
    *,
    background: Any = None,
    n_permutations: int = 64,
    random_state: int | np.random.RandomState | None = None,
) -> Explanation:
    r"""Estimate Shapley values of the logit, by field, of any model.

    The network reacts to absent fields: nothing is frozen.  For the variants with dynamic parts,
    the difference to :func:`shapley_values` is therefore what absent fields would do to gates, Σ,
    u and v.  A value is the mean of what the field adds in orders that are drawn at random, each
    followed by its reverse (Castro, Gómez and Tejada, 2009); the values of a row and its base value
    sum to its logit after any number of orders.

    Parameters
    ----------
    clf : DynIntClassifier or BaselineClassifier
        Fitted; hybrids, competitors and classes of a user's own too.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows to explain.
    background : DataFrame, EncodedData or array-like, default=None
        Rows whose mean vectors absent fields have.  None: zero vectors.
    n_permutations : int, default=64
        Orders for each row, an even number from 4 on.  Time is that of predicting
        ``n_permutations * (n_fields + 1)`` rows for each.
    random_state : int, RandomState instance or None, default=None
        Seed of the orders.

    Returns
    -------
    explanation : Explanation
        With `errors`, the standard errors of the values.

    Raises
    ------
    TypeError
        If `clf` is no classifier of this package.
    ValueError
        If `n_permutations` is not as documented.

    References
    ----------
    J. Castro, D. Gómez and J. Tejada, *Polynomial calculation of the Shapley value based on
    sampling*, Computers & Operations Research 36, 2009.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import BaselineClassifier
    >>> from sk_dynint.inspection import sampled_shapley_values
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = [0, 0, 1, 1] * 50
    >>> model = BaselineClassifier("lr", random_state=0).fit(X, y)
    >>> explanation = sampled_shapley_values(model, X.head(4), background=X, random_state=0)
    >>> (explanation.values[:, 0] > 0).tolist()
    [False, False, True, True]
    >>> bool(explanation.errors.max() < 1e-6)  # nothing interacts
    True
    """
    if not isinstance(n_permutations, Integral) or n_permutations < 4 or n_permutations % 2:
        raise ValueError(f"{n_permutations=}; it must be an even number from 4 on")
    model, rng = Model(clf), check_random_state(random_state)
    indices = model.encode(X)
    rows = None if background is None else model.encode(background)
    n_rows, n_fields, n_outputs = len(indices), model.n_fields, model.n_outputs
    with torch.no_grad():
        games = [_Game(model, member, rows) for member in model.members]
        base = torch.stack([game.base() for game in games]).mean(0)
    total = np.zeros((n_rows, n_fields, n_outputs))
    squares = np.zeros_like(total)
    for _ in range(n_permutations // 2):
        order = rng.random_sample((n_rows, n_fields)).argsort(1)
        pair = _gains(games, indices, order) / 2 + _gains(games, indices, order[:, ::-1]) / 2
        total += pair
        squares += pair**2
    n_pairs = n_permutations // 2
    mean = total / n_pairs
    variance = np.maximum(squares / n_pairs - mean**2, 0) / (n_pairs - 1)
    errors = np.sqrt(variance)
    base_values = np.broadcast_to(base.double().cpu().numpy(), (n_rows, n_outputs)).copy()
    return explanation_of(
        model,
        X,
        mean,
        base_values,
        errors=errors if model.outputs is not None else errors[..., 0],
    )


class _Game:
    """Logits of a member for rows of which some fields are absent."""

    def __init__(self, model: Model, member: CTRModule, rows: Tensor | None) -> None:
        self.member, self.n_outputs = member, model.n_outputs
        self.baselines = [
            table.weight.new_zeros(model.n_fields, table.weight.shape[1])
            if rows is None
            else table(rows).mean(0)
            for table in member.tables
        ]

    def base(self) -> Tensor:
        """Return the logits with all fields absent, (C,)."""
        return self._logits([b.unsqueeze(0) for b in self.baselines])[0]

    def logits(self, indices: Tensor, masks: Tensor) -> Tensor:
        """Return logits (B, S, C) of rows with S masks each, (B, S, F)."""
        mixed = []
        for table, baseline in zip(self.member.tables, self.baselines, strict=True):
            x, m = table(indices).unsqueeze(1), masks.unsqueeze(3).to(baseline.dtype)
            mixed.append((baseline + m * (x - baseline)).flatten(0, 1))
        return self._logits(mixed).view(*masks.shape[:2], -1)

    def _logits(self, vectors: list[Tensor]) -> Tensor:
        logit = self.member.bias + self.member.body(vectors[0])
        logit = logit.view(len(logit), -1)
        return logit + vectors[1].sum(1) if len(vectors) > 1 else logit


def _gains(games: list[_Game], indices: Tensor, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return what each field adds when the fields of a row join in an order, (B, F, C)."""
    n_fields = order.shape[1]
    ranks = torch.from_numpy(order.argsort(1)).to(indices.device)
    steps = torch.arange(n_fields + 1, device=indices.device).view(1, -1, 1)

    def gains(block: slice) -> Tensor:
        masks = ranks[block].unsqueeze(1) < steps  # the first s fields of the order
        found = torch.stack([game.logits(indices[block], masks) for game in games]).mean(0)
        added = found.diff(dim=1)  # by position in the order
        places = ranks[block].unsqueeze(2).expand_as(added)
        return added.gather(1, places).cpu()

    size = max(1, BLOCK_EVALUATIONS // (n_fields + 1))
    return torch.cat(by_blocks(gains, len(indices), size)).double().numpy()
