"""The gradient of a batch, and logits without one: blocks of rows, worked on by several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import count
from threading import Lock, local
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint._module import CTRModule

AUTOGRAD_BLOCK = 1024
"""Rows that pass a body without a kernel at once, unless it has a `block` of its own."""

FEW = 32
"""Rows that a worker gets at least."""

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
"""Name -> what a body computes in; None is the type of the parameters."""


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, as far as torch can tell."""
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return True
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class OneThread:
    """Context in which torch works in the calling thread, for work too little to share.

    torch's number of threads belongs to a thread, but new ones begin with the number that was last
    set anywhere: who enters while others are inside must not take their 1 for the usual number.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._n_inside = 0
        self._usual = 1
        self._thread = local()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Enter; within itself it has no effect."""
        if getattr(self._thread, "inside", False):
            yield
            return
        with self._lock:
            self._usual = self.usual_threads()
            self._n_inside += 1
            torch.set_num_threads(1)
        self._thread.inside = True
        try:
            yield
        finally:
            self._thread.inside = False
            with self._lock:
                self._n_inside -= 1
                torch.set_num_threads(self._usual)

    def usual_threads(self) -> int:
        """How many threads torch has, or would have if nobody were inside."""
        return self._usual if self._n_inside else torch.get_num_threads()


one_thread = OneThread()


class Workers:
    """As many threads as torch has; each works alone on its share.

    Threads that work on blocks of their own wait for each other a few times a batch.  Threads
    inside of every small operation wait at each, which costs up to half of the time.

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
        Coefficient of its `penalty`, a number or one for each row, for a row of weight 1.
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

    def backward(self, logit_grad: Tensor, weight: Tensor, *, out: Tensor) -> None:
        """Gradient of the embedding; those of the parameters go where autograd puts them."""
        with torch.enable_grad():
            penalty = (weight * self.penalty).sum()
            total = (self.logit * logit_grad).sum() + self.coefficient * penalty
        total.backward()
        assert self.embedding.grad is not None
        out.copy_(self.embedding.grad)

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
        n_workers = (n_threads or one_thread.usual_threads()) if self.kernel and on_cpu else 1
        self.workers = Workers(n_workers)
        self.penalty = penalty
        self.precision = PRECISIONS[precision]
        self.row_wise = getattr(module.body, "row_wise", True)
        self.tables = [t for t in (module.embedding, module.first_order) if t is not None]
        self._buffer = module.bias.new_empty(0)

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

        def work(body: Any, share: slice) -> None:
            for block in self._blocks(share, body.block):
                embedding, *first = (table(codes[block]) for table in self.tables)
                self._sum(body.forward(embedding), *first, out=out[block])

        self.workers.map(work, self.scorers, self._shares(len(codes), FEW))
        return out

    def _sum(self, logit: Tensor, first_order: Tensor | None = None, *, out: Tensor) -> None:
        """Add up the logit of the body, bias, first order (B, F, 1) where there is one."""
        torch.add(logit, self.module.bias, out=out)
        if first_order is not None:
            out += first_order.sum((1, 2))

    def _shares(self, n: int, least: int = 1) -> list[slice]:
        """Divide `n` things among the workers; some get none if there are too few."""
        share = max(-(-n // self.workers.n_workers), least)
        return [slice(i, min(i + share, n)) for i in range(0, n, share)]

    def _blocks(self, share: slice, size: int) -> Iterator[slice]:
        for start in range(share.start, share.stop, size):
            yield slice(start, min(start + size, share.stop))

    # ---------------------------------------------------------------- training

    @torch.no_grad()
    def gradients(self, codes: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Set the gradient of every parameter to that of the summed loss; return the logits.

        The loss is the cross-entropy of each row times its weight, plus the penalty.
        """
        bias = self.module.bias
        target, weight = target.to(bias.dtype), weight.to(bias.dtype)
        logits, logit_grads = torch.empty_like(target), torch.empty_like(target)
        embedding_grads = self._embedding_gradients(*codes.shape)
        block_size = self.learners[0].block if self.row_wise else len(codes)
        self.learners[0].load()

        def work(body: Any, share: slice) -> None:
            body.start()
            for block in self._blocks(share, block_size):
                embedding, *first = (table(codes[block]) for table in self.tables)
                logit, logit_grad = logits[block], logit_grads[block]
                self._sum(body.forward(embedding, training=True), *first, out=logit)
                torch.sigmoid(logit, out=logit_grad).sub_(target[block]).mul_(weight[block])
                body.backward(logit_grad, weight[block], out=embedding_grads[block])

        shares = self._shares(len(codes), FEW)
        self.workers.map(work, self.learners, shares)
        self._set_table_gradients(codes, embedding_grads, logit_grads)
        if bias.requires_grad:
            bias.grad = logit_grads.sum()
        self.learners[0].store_gradients(self.learners[1 : len(shares)])
        if self.kernel and self.penalty:
            self._add_penalty_gradients(self.penalty * weight.sum())
        return logits

    def _embedding_gradients(self, n_rows: int, n_fields: int) -> Tensor:
        """Array (B, F, D) to write to, the same memory for every batch."""
        table = self.module.embedding.weight
        if len(self._buffer) < n_rows:
            self._buffer = table.new_empty(n_rows, n_fields, table.shape[1])
        return self._buffer[:n_rows]

    def _set_table_gradients(
        self, codes: Tensor, embedding_grads: Tensor, logit_grads: Tensor
    ) -> None:
        """Sum what a row of a table gets from the whole batch; fields have rows of their own."""
        n_rows, n_fields = codes.shape
        grads = [embedding_grads.flatten(0, 1)]
        if len(self.tables) > 1:
            grads.append(logit_grads.repeat_interleave(n_fields).unsqueeze(1))
        numbers = torch.arange(n_rows * n_fields, device=codes.device).view(n_rows, n_fields)
        rows = codes + self.module.embedding.offsets

        def work(fields: slice) -> tuple[Tensor, list[Tensor]]:
            touched, order, starts = grouped(rows[:, fields].flatten())
            places = numbers[:, fields].flatten().index_select(0, order)
            bag = partial(functional.embedding_bag, places, offsets=starts, mode="sum")
            return touched, [bag(grad) for grad in grads]

        parts = self.workers.map(work, self._shares(n_fields))
        touched, sums = zip(*parts, strict=True)
        for table, values in zip(self.tables, zip(*sums, strict=True), strict=True):
            table.set_gradient(torch.cat(touched), torch.cat(values))

    def _add_penalty_gradients(self, coefficient: Tensor) -> None:
        """Of a penalty that depends on parameters only: a kernel leaves it out."""
        with torch.enable_grad():
            penalty = self.module.penalty()
        if isinstance(penalty, Tensor) and penalty.requires_grad:
            parameters = [p for p in self.module.body.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
            for p, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None and p.grad is not None:
                    p.grad.add_(gradient * coefficient)


def grouped(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct rows, rising; positions of all rows in that order; where each one's begin."""
    rising, order = rows.sort(stable=True)
    first = torch.ones_like(rising, dtype=torch.bool)
    torch.ne(rising[1:], rising[:-1], out=first[1:])
    starts = first.nonzero().squeeze(1)
    return rising.index_select(0, starts), order, starts


def find_kernel(body: nn.Module, penalty: float = 0.0) -> Callable[..., Any] | None:
    """Kernel that can work on this body, or None."""
    return getattr(body, "find_kernel", lambda penalty: None)(penalty)
