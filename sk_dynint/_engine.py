"""The gradient of a batch, and logits without one: blocks of rows, worked on by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sk_dynint._module import CTRModule

AUTOGRAD_BLOCK = 1024
"""Rows that pass a body without a kernel at once, unless it has a `block` of its own."""

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
"""Name -> what a body computes in; None is the type of the parameters."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to the calling thread, for work too little to wait for a second one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class Workers:
    """As many threads as torch has; each works alone on its share.

    Threads that work on blocks of their own wait for each other once a batch.  Threads inside of
    every small operation wait at each, which costs up to half of the time.

    Parameters
    ----------
    n_workers : int
        Number of threads, the calling one among them.
    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Keep the threads, and hold torch to one in each, also in the calling one."""
        if self.n_workers == 1:
            yield
            return
        with (
            one_thread(),
            ThreadPoolExecutor(
                self.n_workers - 1, "sk_dynint", initializer=torch.set_num_threads, initargs=(1,)
            ) as pool,
        ):
            self._pool = pool
            try:
                yield
            finally:
                self._pool = None

    def map(self, function: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """``list(map(function, *items))``, by whoever is free."""
        calls = list(zip(*items, strict=False))
        results: list[Any] = [None] * len(calls)
        numbers = count()

        @torch.no_grad()  # a mode that every thread has for itself
        def work() -> None:
            while (i := next(numbers)) < len(calls):
                results[i] = function(*calls[i])

        n_helpers = min(self.n_workers, len(calls)) - 1 if self._pool else 0
        helpers = [self._pool.submit(work) for _ in range(n_helpers)]  # type: ignore[union-attr]
        work()
        for helper in helpers:
            helper.result()
        return results


class AutogradBody:
    """The interface of a kernel for a body that has none.

    Parameters
    ----------
    body : Module
        (B, F, D) -> (B,).
    penalty : float, default=0.0
        Coefficient of its `penalty` for a row of weight 1.
    dtype : torch.dtype, default=None
        Precision of matrix products, by autocast; None means that of the parameters.
    """

    def __init__(self, body: Any, penalty: float = 0.0, dtype: torch.dtype | None = None) -> None:
        self.body = body
        self.coefficient = penalty
        self.dtype = dtype
        self.block = getattr(body, "block", None) or AUTOGRAD_BLOCK

    def load(self) -> None:
        """Nothing to prepare."""

    start = load

    def forward(self, embedding: Tensor, training: bool = False) -> Tensor:
        """Logits and, with `training`, the graph behind them."""
        device = embedding.device.type
        with torch.autocast(device, dtype=self.dtype, enabled=self.dtype is not None):
            if not training:
                return self.body(embedding)
            self.embedding = embedding.requires_grad_()
            with torch.enable_grad():
                self.logit = self.body(self.embedding)
                self.penalty = self.body.penalty() if self.coefficient else 0.0
        return self.logit.detach()

    def backward(self, logit_grad: Tensor, weight: Tensor) -> Tensor:
        """Gradient of the embedding; those of the parameters go where autograd puts them."""
        with torch.enable_grad():
            total = (self.logit * logit_grad).sum() + self.coefficient * weight.sum() * self.penalty
        total.backward()
        assert self.embedding.grad is not None
        return self.embedding.grad

    def store_gradients(self, others: list[AutogradBody]) -> None:
        """They are there."""


class Engine:
    """Logits of encoded rows, and gradients of their loss.

    Parameters
    ----------
    module : CTRModule
        Its body is worked on by the kernel of its variant, if it has one, else by autograd.
    penalty : float, default=0.0
        Coefficient of the body's penalty, for a row of weight 1.
    precision : {"fp32", "bf16"}, default="fp32"
        What the body computes in; parameters and their gradients keep their type.
    n_threads : int, default=None
        Threads that share a batch, where there is a kernel; None means as many as torch has.
    """

    def __init__(
        self,
        module: CTRModule,
        *,
        penalty: float = 0.0,
        precision: Literal["fp32", "bf16"] = "fp32",
        n_threads: int | None = None,
    ) -> None:
        self.module = module
        self.kernel = find_kernel(module.body, penalty)
        on_cpu = module.bias.device.type == "cpu"
        n_workers = (n_threads or torch.get_num_threads()) if self.kernel and on_cpu else 1
        self.workers = Workers(n_workers)
        self.penalty = penalty
        self.precision = PRECISIONS[precision]
        self.row_wise = getattr(module.body, "row_wise", True)
        self.tables = [t for t in (module.embedding, module.first_order) if t is not None]

    @cached_property
    def learners(self) -> list[Any]:
        """Bodies that take gradients, one for each worker."""
        return self._bodies(self.precision)

    @cached_property
    def scorers(self) -> list[Any]:
        """Bodies that predict, in the precision of the parameters."""
        at_hand = self.precision is None and "learners" in vars(self)
        return self.learners if at_hand else self._bodies(None)

    def _bodies(self, dtype: torch.dtype | None) -> list[Any]:
        if self.kernel:
            first = self.kernel(self.module.body, dtype)
            return [first, *(first.sibling() for _ in range(self.workers.n_workers - 1))]
        return [AutogradBody(self.module.body, self.penalty, dtype)]

    # -------------------------------------------------------------- prediction

    @torch.no_grad()
    def logits(self, codes: Tensor) -> Tensor:
        """Logit of each row of indices."""
        out = self.module.bias.new_empty(len(codes))

        self.scorers[0].load()

        def work(body: Any, share: range) -> None:
            for block in self._blocks(share, body.block):
                embedding, *first = (table(codes[block]) for table in self.tables)
                self._sum(body.forward(embedding), *first, out=out[block])

        self.workers.map(work, self.scorers, self._shares(len(codes)))
        return out

    def _sum(self, logit: Tensor, first_order: Tensor | None = None, *, out: Tensor) -> None:
        """Add up the logit of the body, bias, first order (B, F, 1) where there is one."""
        torch.add(logit, self.module.bias, out=out)
        if first_order is not None:
            out += first_order.sum((1, 2))

    def _shares(self, n_rows: int) -> list[range]:
        """Rows of each body: equal parts, fewer if there are few rows."""
        share = max(-(-n_rows // self.workers.n_workers), 32)
        return [range(i, min(i + share, n_rows)) for i in range(0, n_rows, share)]

    def _blocks(self, share: range, size: int) -> Iterator[slice]:
        for start in range(share.start, share.stop, size):
            yield slice(start, min(start + size, share.stop))

    # ---------------------------------------------------------------- training

    @torch.no_grad()
    def gradients(self, codes: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Set the gradient of every parameter to that of the summed loss; return the logits.

        The loss is the cross-entropy of each row times its weight, plus the penalty.  Rows of the
        tables are looked up once a share, however often it names them.
        """
        bias = self.module.bias
        target, weight = target.to(bias.dtype), weight.to(bias.dtype)
        logits, logit_grads = torch.empty_like(target), torch.empty_like(target)
        block_size = self.learners[0].block if self.row_wise else len(codes)
        n_fields = codes.shape[1]
        self.learners[0].load()

        def work(body: Any, distinct: Distinct, share: range) -> tuple[Tensor, list[Tensor]]:
            body.start()
            rows = codes[share.start : share.stop] + self.module.embedding.offsets
            touched, slots = distinct(rows.flatten())
            parts = [table.rows(touched) for table in self.tables]
            part_grads = [torch.zeros_like(part) for part in parts]
            slots_of_blocks = torch.split(slots, block_size * n_fields)
            for block, slot in zip(self._blocks(share, block_size), slots_of_blocks, strict=True):
                looked_up = [part.index_select(0, slot) for part in parts]
                embedding, *first = (x.view(-1, n_fields, x.shape[1]) for x in looked_up)
                logit, logit_grad = logits[block], logit_grads[block]
                self._sum(body.forward(embedding, training=True), *first, out=logit)
                torch.sigmoid(logit, out=logit_grad).sub_(target[block]).mul_(weight[block])
                embedding_grad = body.backward(logit_grad, weight[block])
                part_grads[0].index_add_(0, slot, embedding_grad.flatten(0, 1))
                if first:
                    spread = logit_grad.unsqueeze(1).expand(-1, n_fields)
                    part_grads[1].index_add_(0, slot, spread.reshape(-1, 1))
            return touched, part_grads

        shares = self._shares(len(codes))
        touched, sums = self._merged(self.workers.map(work, self.learners, self._distinct, shares))
        for table, values in zip(self.tables, sums, strict=True):
            table.set_gradient(touched, values)
        bias.grad = logit_grads.sum()
        self.learners[0].store_gradients(self.learners[1 : len(shares)])
        if self.kernel and self.penalty:
            self._add_penalty_gradients(self.penalty * weight.sum())
        return logits

    def _add_penalty_gradients(self, coefficient: Tensor) -> None:
        """Of a penalty that depends on parameters only: a kernel leaves it out."""
        with torch.enable_grad():
            penalty = self.module.penalty()
        if isinstance(penalty, Tensor):
            parameters = list(self.module.body.parameters())
            gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
            for p, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None and p.grad is not None:
                    p.grad.add_(gradient * coefficient)

    @cached_property
    def _distinct(self) -> list[Distinct]:
        """One for each worker."""
        table = self.module.embedding.weight
        return [Distinct(len(table), table.device) for _ in self.learners]

    def _merged(self, shares: list[tuple[Tensor, list[Tensor]]]) -> tuple[Tensor, list[Tensor]]:
        """Add up what the shares found: their distinct rows, and the gradients of each table."""
        if len(shares) == 1:
            return shares[0]
        rows, gradients = zip(*shares, strict=True)
        touched, slots = self._distinct[0](torch.cat(rows))
        sums = [part.new_zeros(len(touched), part.shape[1]) for part in gradients[0]]
        by_share = torch.split(slots, [len(r) for r in rows])
        for slot, parts in zip(by_share, gradients, strict=True):
            for total, part in zip(sums, parts, strict=True):
                total.index_add_(0, slot, part)
        return touched, sums


class Distinct:
    """Finds the distinct rows of a table among some, and the position among them of each.

    Linear in what it is given, unlike a sort: every entry writes its number in the place of its
    row; the last one to do so stands for all that name the row.

    Parameters
    ----------
    n_rows : int
        Of the table.
    device : torch.device
        Where it is.
    """

    def __init__(self, n_rows: int, device: torch.device) -> None:
        self._number = torch.zeros(n_rows, dtype=torch.int32, device=device)

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) rows -> (m,) distinct ones, and the (n,) positions among these."""
        number = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        leader = self._number.scatter_(0, rows, number).index_select(0, rows)
        is_leader = leader == number
        slots = is_leader.cumsum(0).sub_(1).index_select(0, leader)
        return rows.masked_select(is_leader), slots


def find_kernel(body: nn.Module, penalty: float = 0.0) -> Callable[..., Any] | None:
    """Kernel that can work on this body, or None."""
    return getattr(body, "find_kernel", lambda penalty: None)(penalty)
