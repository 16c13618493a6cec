"""Shapley values and interactions of a classifier's logit, exactly, with frozen dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sk_dynint._module import CTRModule, FieldEmbedding
from sk_dynint.inspection._exact import exact_interactions, exact_values
from sk_dynint.inspection._explanation import Explanation
from sk_dynint.inspection._forms import FieldForms, FrozenForms, MatrixForms
from sk_dynint.inspection._models import Model, by_blocks
from sk_dynint.interactions import InteractionStack
from sk_dynint.training import EncodedData

Average = Literal["vectors", "values"]

MAX_LAYERS = 8
"""Layers up to which sums over all sets of layers are feasible."""

BLOCK_ENTRIES = 3 * 2**20
"""Coefficients that :class:`FieldForms` has for the rows of a block, about."""

BLOCK_ROWS = 128
"""Rows of a block of :class:`MatrixForms`."""


def shapley_values(
    clf: Any, X: Any, *, background: Any = None, average: Average = "vectors"
) -> Explanation:
    r"""Return exact Shapley values of the logit, by field.

    The value of field f is the mean, over all orders in which fields may join, of what f adds to
    the logit when it joins those before it; absent fields have the vectors of a baseline (Shapley,
    1953).  The values of a row and its base value sum to its logit.

    The *dynamic parts are frozen*: gates, Σ, u and v are those of the whole row whatever fields are
    absent.  The logit is then a polynomial of degree L + 1 in which each field is linear, and the
    mean over :math:`2^F` coalitions is an integral over one probability,

    .. math:: \phi_f = \int_0^1 \frac{\partial}{\partial p_f} E_{m \sim B(p)}[v(m)]
        \Big|_{p = (q, \dots, q)} dq

    (Owen, 1972), of a polynomial of degree L in q: a few nodes of Gauss' quadrature are exact.  For
    "pin" nothing is dynamic, and freezing changes nothing.  For the other variants the values of
    the network that reacts to absent fields differ; :func:`sampled_shapley_values` estimates them.

    The players are the fields, as the encoder names them: a cross is a field of its own beside
    those of its columns (:meth:`Explanation.by_column` divides its share), and a list is one field.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, with the variant "pin", "da", "dgp" or "dwp", and nothing `beside` the layers.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows to explain.
    background : DataFrame, EncodedData or array-like, default=None
        Rows that say what absent fields are.  None: the zero vector, at which the logit is the
        bias.
    average : {"vectors", "values"}, default="vectors"
        What is averaged over the background: the embedding vectors of its rows, to one baseline; or
        the Shapley values with each of its rows as the baseline, which takes so many times the
        time.

    Returns
    -------
    explanation : Explanation
        `values` of shape (n_samples, n_fields), in log-odds of ``classes_[1]``; of more than two
        classes (n_samples, n_fields, n_classes), one logit each.  Of an ensemble the logit is the
        mean of the members' logits, and so are the values.

    Raises
    ------
    TypeError
        If `clf` is no classifier of this package.
    ValueError
        If `clf` is a competitor, a hybrid, has layers of a user's own, or more than 8; if `average`
        is another word.

    References
    ----------
    L. S. Shapley, *A value for n-person games*, 1953.

    G. Owen, *Multilinear extensions of games*, Management Science 18, 1972.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import shapley_values
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = [0, 1, 1, 0] * 50
    >>> model = DynIntClassifier("pin", n_members=1, random_state=0).fit(X, y)
    >>> explanation = shapley_values(model, X.head(2))
    >>> logits = explanation.base_values + explanation.values.sum(1)
    >>> bool(abs(logits - model.decision_function(X.head(2))).max() < 1e-5)
    True
    """
    model = Model(clf)
    values, base = _explain(model, X, background, average, exact_values, 1)
    return explanation_of(model, X, values, base)


def shapley_interactions(
    clf: Any, X: Any, *, background: Any = None, average: Average = "vectors"
) -> Explanation:
    r"""Return exact Shapley interaction values of the logit, by pair of fields.

    The interaction index of two fields is the mean of what they add together beyond the sum of what
    each adds alone (Grabisch and Roubens, 1999),

    .. math:: I_{fg} = \int_0^1 \frac{\partial^2}{\partial p_f \, \partial p_g} E[v(m)] \, dq

    As in shap, half of it stands at (f, g) and half at (g, f), and the diagonal has what remains of
    the Shapley values, so that rows sum to these.  See :func:`shapley_values` for the frozen
    dynamics, baselines, parameters and errors.

    Parameters
    ----------
    clf : DynIntClassifier
        Fitted, see :func:`shapley_values`.
    X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
        Rows to explain.
    background : DataFrame, EncodedData or array-like, default=None
        Rows that say what absent fields are; None: the zero vector.
    average : {"vectors", "values"}, default="vectors"
        What is averaged over the background.

    Returns
    -------
    explanation : Explanation
        `values` of shape (n_samples, n_fields, n_fields), symmetric, in log-odds; of more than two
        classes with a last axis for these.

    References
    ----------
    M. Grabisch and M. Roubens, *An axiomatic approach to the concept of interaction among players
    in cooperative games*, International Journal of Game Theory 28, 1999.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import shapley_interactions
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = [0, 1, 1, 0] * 50
    >>> model = DynIntClassifier("pin", n_members=1, crosses=None, random_state=0).fit(X, y)
    >>> values = shapley_interactions(model, X.head(4), background=X).values
    >>> bool((abs(values[:, 0, 1]) > abs(values[:, 0, 0])).all())  # an exclusive or
    True
    """
    model = Model(clf)
    pairs, base = _explain(model, X, background, average, exact_interactions, 2)
    return explanation_of(model, X, pairs, base)


def explanation_of(
    model: Model, X: Any, values: NDArray[Any], base: NDArray[Any], **more: Any
) -> Explanation:
    """Put an explanation together; the last axis of the values is that of the classes."""
    if model.outputs is None:
        values, base = values[..., 0], base[..., 0]
    return Explanation(
        values=values,
        base_values=base + model.shift,
        data=partial(model.values, X) if isinstance(X, EncodedData) else model.values(X),
        feature_names=model.names,
        column_names=model.columns,
        field_columns=model.field_columns,
        output_names=model.outputs,
        **more,
    )


def baselines(table: FieldEmbedding, background: Tensor | None, average: Average) -> list[Any]:
    """Return what the vectors of absent fields are, (F, D) each, or None for zero."""
    if background is None:
        return [None]
    vectors = table(background)
    return [vectors.mean(0)] if average == "vectors" else [*vectors]


def check_background(model: Model, background: Any, average: str) -> Tensor | None:
    """Return the field indices of background rows, if there are any."""
    if average not in ("vectors", "values"):
        raise ValueError(f"{average=!r}; it must be 'vectors' or 'values'")
    return None if background is None else model.encode(background)


def _explain(
    model: Model,
    X: Any,
    background: Any,
    average: Average,
    compute: Callable[[Any], Tensor],
    order: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values, a last axis of outputs, and base values; means over members and baselines."""
    indices, rows = model.encode(X), check_background(model, background, average)
    with torch.no_grad():
        parts = [_MemberParts(model, m, rows, average, order) for m in model.members]
    size = min(part.block(model.n_fields) for part in parts)

    def explain(block: slice) -> tuple[Tensor, Tensor]:
        found = [part.explain(indices[block], compute, order) for part in parts]
        values, base = zip(*found, strict=True)
        return torch.stack(values).mean(0).cpu(), torch.stack(base).mean(0).cpu()

    values, base = zip(*by_blocks(explain, len(indices), size), strict=True)
    return torch.cat(values).double().numpy(), torch.cat(base).double().numpy()


class _MemberParts:
    """A member with the baselines of its tables."""

    def __init__(
        self,
        model: Model,
        member: CTRModule,
        rows: Tensor | None,
        average: Average,
        order: int,
    ) -> None:
        what = "exact Shapley values" if order == 1 else "exact Shapley interactions"
        hint = "sampled_shapley_values takes any model"
        self.stacks: Sequence[InteractionStack] = model.stacks(member, what, hint)
        n_layers = len(self.stacks[0].layers)
        if n_layers > MAX_LAYERS:
            raise ValueError(f"{what} need n_layers <= {MAX_LAYERS}, got {n_layers}; {hint}")
        self.member = member
        self.baselines = baselines(member.embedding, rows, average)
        self.first_order = None
        if member.first_order is not None:
            zero = member.first_order.weight.new_zeros(model.n_fields, model.n_outputs)
            self.first_order = zero if rows is None else member.first_order(rows).mean(0)
        matrices = order == 1 and MatrixForms.serves(self.stacks[0])
        self.forms: type[FrozenForms] = MatrixForms if matrices else FieldForms
        self.shared = [self.forms.shared_by_blocks(stack) for stack in self.stacks]

    def block(self, n_fields: int) -> int:
        """Return the number of rows to compute at once."""
        if self.forms is MatrixForms:
            return BLOCK_ROWS
        stack, depth = self.stacks[0], self.member.embedding.weight.shape[1]
        entries = 2 ** len(stack.layers) * n_fields**2 * depth
        return max(1, min(BLOCK_ROWS, BLOCK_ENTRIES // entries))

    def explain(
        self, indices: Tensor, compute: Callable[[Any], Tensor], order: int
    ) -> tuple[Tensor, Tensor]:
        """Return the values of each output, and the base values."""
        x = self.member.embedding(indices)
        values, bases = [], []
        for stack, shared in zip(self.stacks, self.shared, strict=True):
            pairs = [
                self._with_baseline(self.forms(stack, x, b, shared), compute, order)
                for b in self.baselines
            ]
            values.append(torch.stack([value for value, _ in pairs]).mean(0))
            bases.append(torch.stack([base for _, base in pairs]).mean(0))
        value, base = torch.stack(values, -1), torch.stack(bases, -1) + self.member.bias
        if self.first_order is not None:
            linear = self.member.first_order(indices) - self.first_order  # type: ignore[misc]
            value += linear if order == 1 else torch.diag_embed(linear.mT, dim1=1, dim2=2)
            base = base + self.first_order.sum(0)
        return value, base

    @staticmethod
    def _with_baseline(
        forms: FrozenForms, compute: Callable[[Any], Tensor], order: int
    ) -> tuple[Tensor, Tensor]:
        values = compute(forms)
        if order == 2:
            values = values / 2
            single = exact_values(forms)
            values = values + torch.diag_embed(single - values.sum(2))
        return values, forms.base()
