"""What the optimizers share: of a table with a sparse gradient, only its rows are touched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

CHUNK = 2**16
"""Entries updated at once: the arrays of a chunk stay in a core's cache from pass to pass."""


class RowOptimizer(torch.optim.Optimizer):
    """Optimizer that reads and writes only the rows that a sparse gradient names.

    Subclasses say how the state of a parameter starts and how one step changes both in place;
    the tensors in the state have the parameter's shape.  The last axis is never divided.
    """

    supports_sparse = True
    map: Callable[..., Any] | None = None
    """How to go over chunks: an engine puts the `map` of its threads here for a while."""

    def _start(self, w: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        """Return the state before the first step."""
        raise NotImplementedError

    def _update(
        self, w: Tensor, state: dict[str, Any], grad: Tensor, options: dict[str, Any]
    ) -> None:
        """Make one step of a chunk of `w` and of the tensors in `state`, in place."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters; return the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work: list[Callable[[], None]] = []
        for options in self.param_groups:
            for w in options["params"]:
                if w.grad is None:
                    continue
                state = self.state[w]
                if not state:
                    state.update(self._start(w, options))
                if "step" in state:
                    state["step"] += 1
                tasks = self._row_tasks if w.grad.is_sparse else self._dense_tasks
                work += tasks(w, state, options)
        list((self.map or map)(lambda task: task(), work))
        return loss

    def _dense_tasks(
        self, w: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> list[Callable[[], None]]:
        """Divide the update of a parameter."""
        assert w.grad is not None
        if w.ndim == 0:
            return [partial(self._update, w, state, w.grad, options)]
        tables, n = _tensors(state), _rows_of_a_chunk(w)
        parts = zip(*(torch.split(t, n) for t in (w, w.grad, *tables.values())), strict=True)
        return [
            partial(self._update, part, state | dict(zip(tables, rest, strict=True)), grad, options)
            for part, grad, *rest in parts
        ]

    def _row_tasks(
        self, w: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> list[Callable[[], None]]:
        """Divide the update of the rows that the gradient names."""
        assert w.grad is not None
        rows, values = rows_and_values(w.grad)
        tables = _tensors(state)

        def update(rows: Tensor, values: Tensor) -> None:
            parts = {name: t.index_select(0, rows) for name, t in tables.items()}
            part = w.index_select(0, rows)
            self._update(part, state | parts, values, options)
            w.index_copy_(0, rows, part)
            for name, table in tables.items():
                table.index_copy_(0, rows, parts[name])

        n = _rows_of_a_chunk(w)
        return list(map(partial, repeat(update), torch.split(rows, n), torch.split(values, n)))


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _rows_of_a_chunk(w: Tensor) -> int:
    return max(1, CHUNK * len(w) // max(1, w.numel()))  # w may be empty


def rows_and_values(grad: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that a sparse gradient names, each once, and the gradient of each.

    Autograd forgets that a gradient came coalesced, and sorting it again costs as much as the
    update; rising rows are proof enough.
    """
    (rows,) = grad._indices()
    if not (grad.is_coalesced() or bool((rows[1:] > rows[:-1]).all())):
        grad = grad.coalesce()
        (rows,) = grad._indices()
    return rows, grad._values()
