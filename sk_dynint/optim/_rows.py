"""Base class of the optimizers: a sparse gradient updates only the rows that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

CHUNK = 2**17
"""Entries updated at once, so few that their arrays stay in the cache of a core."""


class Part(NamedTuple):
    """Rows of a parameter, of its gradient and of its state."""

    w: Tensor
    grad: Tensor
    state: dict[str, Any]


class RowOptimizer(torch.optim.Optimizer):
    """Optimizer that reads and writes only the rows that a sparse gradient names.

    A subclass defines the initial state of a parameter (`_start`) and one step in place
    (`_update`).  The tensors in the state have the parameter's shape; rows are never divided.
    """

    supports_sparse = True

    def anchor(self) -> None:
        """Adapt the state to weights or options that were changed outside the optimizer.

        Does nothing for optimizers whose weights do not follow from their state.
        """

    def set_batch_weight(self, weight: float) -> None:
        """Tell the weight of a batch, by which summed gradients exceed those of the mean loss.

        Does nothing for optimizers whose options are meant beside the summed loss.
        """

    def _start(self, w: Tensor, options: dict[str, Any]) -> dict[str, Any]:
        """Return the state before the first step."""
        raise NotImplementedError

    def _update(
        self,
        w: list[Tensor],
        state: dict[str, list[Any]],
        grad: tuple[Tensor, ...] | list[Tensor],
        options: dict[str, Any],
    ) -> None:
        """Make one step of several parts and of the tensors in their `state`, in place.

        Parts come in lists because most parameters are small: an operation on a list costs as much
        time of Python as one on a tensor.
        """
        raise NotImplementedError

    @torch.no_grad()
    def step(
        self, closure: Callable[[], Any] | None = None, *, map: Callable[..., Iterable[Any]] = map
    ) -> Any:
        """Update the parameters.

        Parameters
        ----------
        closure : callable, default=None
            Computes the loss and its gradients first.
        map : callable, default=map
            Calls a function on each chunk of rows; the ``map`` of a pool shares them out.

        Returns
        -------
        loss
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        work: list[Callable[[], None]] = []
        for options in self.param_groups:
            dense: list[Part] = []
            for w in options["params"]:
                grad = w.grad
                if grad is None:
                    continue
                state = self.state[w]
                if not state:
                    state.update(self._start(w, options))
                if "step" in state:
                    state["step"] += 1
                if grad.is_sparse:
                    work += self._row_tasks(w, state, options)
                elif w.numel() > CHUNK:
                    dense += _divided(Part(w, grad, state))
                else:
                    dense.append(Part(w, grad, state))
            work += (partial(self._update_parts, parts, options) for parts in _chunks(dense))
        list(map(lambda task: task(), work))
        return loss

    def _update_parts(self, parts: list[Part], options: dict[str, Any]) -> None:
        w, grads, states = map(list, zip(*parts, strict=True))
        self._update(w, {name: [s[name] for s in states] for name in states[0]}, grads, options)

    def _row_tasks(
        self, w: Tensor, state: dict[str, Any], options: dict[str, Any]
    ) -> list[Callable[[], None]]:
        """Divide the update of the rows that the gradient names."""
        assert w.grad is not None
        grad = w.grad.coalesce()  # returns it as it is if an engine made it
        (rows,), values = grad.indices(), grad.values()
        n = _rows_of_a_chunk(w)
        chunks = zip(torch.split(rows, n), torch.split(values, n), strict=True)
        return [partial(self._update_rows, rows, Part(w, v, state), options) for rows, v in chunks]

    def _update_rows(self, rows: Tensor, part: Part, options: dict[str, Any]) -> None:
        """Update the given rows of a table, of which `part` has the gradient."""
        w, values, state = part
        tables = _tensors(state)
        looked_up = {name: table.index_select(0, rows) for name, table in tables.items()}
        part = Part(w.index_select(0, rows), values, state | looked_up)
        self._update_parts([part], options)
        w.index_copy_(0, rows, part.w)
        for name, table in tables.items():
            table.index_copy_(0, rows, looked_up[name])


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _rows_of_a_chunk(w: Tensor) -> int:
    return max(1, CHUNK * len(w) // max(1, w.numel()))  # w may be empty


def _divided(whole: Part) -> Iterator[Part]:
    """Cut a parameter that is greater than a chunk."""
    w, grad, state = whole
    tables, n = _tensors(state), _rows_of_a_chunk(w)
    columns = (torch.split(t, n) for t in (w, grad, *tables.values()))
    for part, part_grad, *rest in zip(*columns, strict=True):
        yield Part(part, part_grad, state | dict(zip(tables, rest, strict=True)))


def _chunks(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Gather parts that are no greater than a chunk together."""
    chunk: list[Part] = []
    n = 0
    for part in parts:
        n += part.w.numel()
        if chunk and n > CHUNK:
            yield chunk
            chunk, n = [], part.w.numel()
        chunk.append(part)
    if chunk:
        yield chunk
