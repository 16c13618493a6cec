"""The engine of an ensemble: its members learn and predict side by side, a thread each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sk_dynint._module import CTRModule, Ensemble
from sk_dynint._process import no_fork
from sk_dynint.engine._engine import AnyBatch, Engine, MemberBatch, Sums
from sk_dynint.engine._threads import Workers


class EnsembleEngine(Engine):
    """An :class:`Engine` for each member; one optimizer for all of them.

    A batch for training, and one of validation rows that differ from member to member, is a
    :class:`MemberBatch`, and logits stand one member after the other.  For rows that are the same
    for all members, the logit is the mean of theirs.

    Parameters
    ----------
    module : Ensemble
        The members.
    optimizer : torch.optim.Optimizer, default=None
        Makes the steps of all.
    n_threads : int, default=None
        Threads that share the members in training, and the rows in prediction; as in
        :class:`Engine`.
    **options
        See :class:`Engine`.
    """

    def __init__(
        self,
        module: Ensemble,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        n_threads: int | None = None,
        **options: Any,
    ) -> None:
        self.engines = [Engine(member, n_threads=n_threads, **options) for member in module]
        first = self.engines[0]
        self.module = module  # type: ignore[assignment]
        self.optimizer = optimizer
        self.loss, self.kernel, self.workers = first.loss, first.kernel, first.workers
        for engine in self.engines:
            engine.workers = self.workers if optimizer is None else Workers(1)

    @no_fork()
    @torch.no_grad()
    def logits(self, indices: Tensor) -> Tensor:
        """Return the mean logit of each row of indices, (B, F) -> (B,)."""
        if self.optimizer is None:  # the threads share the rows of one member after the other
            logits = [engine.compute_logits(indices) for engine in self.engines]
        else:
            logits = self.workers.map(lambda engine: engine.compute_logits(indices), self.engines)
        return torch.stack(logits).mean(0)

    @no_fork()
    @torch.no_grad()
    def evaluate(self, batch: AnyBatch) -> Sums:
        """Compute logits and sum their loss, without learning from it."""
        if not isinstance(batch, MemberBatch):
            return super().evaluate(batch)
        batch = batch.to(self.module.bias)
        logits = self.workers.map(
            lambda engine, part: engine.compute_logits(part.indices), self.engines, batch
        )
        return self._sums(torch.cat(logits), batch)

    @torch.no_grad()
    def gradients(self, batch: AnyBatch) -> Tensor:
        """Set the gradients of each member's parameters; return the logits, member by member."""
        assert isinstance(batch, MemberBatch)
        logits = self.workers.map(lambda engine, part: engine.gradients(part), self.engines, batch)
        return torch.cat(logits)


def make_engine(module: CTRModule | Ensemble, *args: Any, **options: Any) -> Engine:
    """Return the engine of a module; see :class:`Engine` for the arguments."""
    if isinstance(module, Ensemble):
        return EnsembleEngine(module, *args, **options)
    return Engine(module, *args, **options)
