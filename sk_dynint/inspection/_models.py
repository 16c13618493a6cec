"""What a classifier consists of, as far as an explanation has to know, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sk_dynint._base import BaseCTRClassifier
from sk_dynint._module import ClassBodies, CTRModule, members_of
from sk_dynint._process import no_fork, one_thread, safe_threads
from sk_dynint._rows import check_columns, encode
from sk_dynint.engine import Workers
from sk_dynint.inspection._frozen import FROZEN
from sk_dynint.interactions import VARIANTS, InteractionStack
from sk_dynint.preprocessing import as_dicts, column_labels, to_frame, unfrozen
from sk_dynint.training import EncodedData


class Model:
    """A fitted classifier: its members, and its fields, which are what is explained.

    Parameters
    ----------
    clf : DynIntClassifier or BaselineClassifier
        Must be fitted.
    """

    def __init__(self, clf: Any) -> None:
        if not isinstance(clf, BaseCTRClassifier):
            raise TypeError(
                f"clf is {clf!r}; it must be a DynIntClassifier or a BaselineClassifier (of a "
                "Pipeline, the last step with the rows that reach it)"
            )
        check_is_fitted(clf)
        self.clf, self.encoder = clf, clf.encoder_
        module = clf.net_.module_
        if module.training:
            module.eval()
        self.members = members_of(module)
        self.n_fields = len(self.encoder.cardinalities_)
        self.outputs = list(clf.classes_) if len(clf.classes_) > 2 else None
        self.n_outputs = len(self.outputs or [0])
        self.shift = clf._logit_shift

    @property
    def encoder_itself(self) -> Any:
        """The encoder, out of a frozen one."""
        return unfrozen(self.encoder)

    @property
    def names(self) -> list[str]:
        """Names of the fields."""
        if not hasattr(self.encoder_itself, "get_feature_names_out"):
            return [f"field {j}" for j in range(self.n_fields)]
        names = self.encoder_itself.get_feature_names_out()
        return [str(name) for name in names[: self.n_fields]]

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(label) for label in column_labels(self.clf)]

    @property
    def field_columns(self) -> list[NDArray[np.int64]]:
        """Positions of the columns that each field is made of."""
        found = getattr(self.encoder_itself, "field_columns_", None)
        return [np.array([j]) for j in range(self.n_fields)] if found is None else found

    def encode(self, X: Any) -> Tensor:
        """Return field indices of raw columns or encoded data."""
        rows = encode(check_columns(self.clf, X, reset=False), self.encoder)
        if not len(rows):
            raise ValueError("there are no rows; pass one at least")
        return torch.as_tensor(rows.indices).to(self.clf.net_.device)

    def values(self, X: Any) -> NDArray[np.object_]:
        """Return what each row has in each field; of fields of several columns, tuples."""
        if isinstance(X, EncodedData):
            if not hasattr(self.encoder_itself, "inverse_transform"):
                return X.indices[:, : self.n_fields].astype(object)
            X = self.encoder_itself.inverse_transform(X.indices)
        elif (rows := as_dicts(X)) is not None:
            X = to_frame(rows, column_labels(self.clf))
        X = check_columns(self.clf, X, reset=False)
        table = pd.DataFrame(X).to_numpy(dtype=object)
        if table.shape[1] == len(self.field_columns) == self.n_fields:
            return table
        values = np.empty((len(table), self.n_fields), dtype=object)
        for j, columns in enumerate(self.field_columns):
            cells = table[:, columns]
            values[:, j] = cells[:, 0] if len(columns) == 1 else [tuple(row) for row in cells]
        return values

    def stacks(self, member: CTRModule, what: str, hint: str = "") -> list[InteractionStack]:
        """Return the stack of each output of a member, or refuse other bodies."""
        body: Any = member.body
        bodies: list[Any] = [*body.bodies] if isinstance(body, ClassBodies) else [body]
        for stack in bodies:
            if type(stack) is not InteractionStack:
                self._refuse(what, f"a {type(stack).__name__}", hint)
            for layer in stack.layers:
                if type(layer) not in FROZEN:
                    self._refuse(what, f"layers of type {type(layer).__name__}", hint)
        return bodies

    @staticmethod
    def _refuse(what: str, got: str, hint: str) -> None:
        raise ValueError(
            f"{what} need the interaction layers {', '.join(map(repr, VARIANTS))} alone: a "
            f"DynIntClassifier without `beside`, not {got}" + (hint and f"; {hint}")
        )

    def stack_of(self, variant: str, member: int, output: int) -> InteractionStack:
        """Return the stack of one network, whose layers must be of a variant."""
        for name, value, size in (
            ("member", member, len(self.members)),
            ("output", output, self.n_outputs),
        ):
            if not 0 <= value < size:
                raise ValueError(f"{name}={value}; it must be from 0 to {size - 1}")
        stack = self._stack(member, output)
        layer = VARIANTS[variant]
        if stack is None or not all(isinstance(each, layer) for each in stack.layers):
            raise ValueError(
                f"clf must have layers of the variant {variant!r}, got {self._described()}"
            )
        return stack

    def _stack(self, member: int, output: int) -> InteractionStack | None:
        """Return a stack, that of a hybrid too, or None."""
        body: Any = self.members[member].body
        body = body.bodies[output] if isinstance(body, ClassBodies) else body
        body = next(iter(body)) if hasattr(body, "bodies") else body
        return body if isinstance(body, InteractionStack) else None

    def _described(self) -> str:
        name = getattr(self.clf, "variant", getattr(self.clf, "model", None))
        return repr(name.__name__ if isinstance(name, type) else name)


def by_blocks(function: Callable[[slice], Any], n_rows: int, size: int) -> list[Any]:
    """Call a function with slices of rows, in threads that torch does not divide further."""
    blocks = [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]
    workers = Workers(one_thread.usual_threads())
    with safe_threads(), no_fork(), torch.no_grad(), workers.running():
        return workers.map(function, blocks)
