"""What the optimizers share: of a table with a sparse gradient, only its rows are touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class RowOptimizer(torch.optim.Optimizer):
    """Optimizer that reads and writes only the rows that a sparse gradient names.

    Subclasses say how the state of a parameter starts and how one step changes both in place;
    the tensors in the state have the parameter's shape.
    """

    supports_sparse = True

    def _start(self, w: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        """Return the state before the first step."""
        raise NotImplementedError

    def _update(
        self, w: Tensor, state: dict[str, Any], grad: Tensor, options: dict[str, Any]
    ) -> None:
        """Make one step of `w` and of the tensors in `state`, in place."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; return the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for options in self.param_groups:
            for w in options["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                if not state:
                    state.update(self._start(w, options))
                if w.grad.is_sparse:
                    self._update_rows(w, state, w.grad, options)
                else:
                    self._update(w, state, w.grad, options)
        return loss

    def _update_rows(
        self, w: Tensor, state: dict[str, Any], grad: Tensor, options: dict[str, Any]
    ) -> None:
        rows, values = rows_and_values(grad)
        tables = {name: t for name, t in state.items() if isinstance(t, Tensor)}
        parts = {name: t[rows] for name, t in tables.items()}
        part_state, part = {**state, **parts}, w[rows]
        self._update(part, part_state, values, options)
        state.update({name: x for name, x in part_state.items() if name not in tables})
        w.index_copy_(0, rows, part)
        for name, table in tables.items():
            table.index_copy_(0, rows, parts[name])


def rows_and_values(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that a sparse gradient names, each once, and the gradient of each.

    Autograd forgets that a gradient came coalesced, and sorting it again costs as much as the
    update; rising rows are proof enough.
    """
    (rows,) = grad._indices()
    if not bool((rows[1:] > rows[:-1]).all()):
        grad = grad.coalesce()
        (rows,) = grad._indices()
    return rows, grad._values()
