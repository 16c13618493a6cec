"""The engine: one training step on a batch, and logits, by threads that work on blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint._compiled import compiled_loops
from sk_dynint._loss import BinaryCrossEntropy, Loss
from sk_dynint._module import CTRModule
from sk_dynint._process import lazy_property, no_fork, one_thread
from sk_dynint.engine._autograd import AutogradKernel
from sk_dynint.engine._kernel import Kernel
from sk_dynint.engine._threads import Workers
from sk_dynint.engine.kernels import find_kernel
from sk_dynint.optim import RowOptimizer

MIN_ROWS_PER_WORKER = 32
"""Rows that a thread gets at least: sharing fewer costs more time than it saves."""

MIN_BLOCKS = 4
"""Blocks that rows to predict are cut in, if they are enough, so that threads can share them."""

NO_ROW = torch.iinfo(torch.int32).max
"""Row of the table in the place of an index that a list does not have: the last of all."""

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
"""Name -> type that a body computes in; None is the type of its parameters."""


class Batch(NamedTuple):
    """Rows of encoded data: indices (B, F), targets (B,) and weights (B,)."""

    indices: Tensor
    target: Tensor
    weight: Tensor

    def to(self, like: Tensor) -> Batch:
        """Move to the device of a parameter; targets and weights take on its type."""
        indices, target, weight = self
        return Batch(
            indices.to(like.device),
            target.to(like.device, like.dtype),
            weight.to(like.device, like.dtype),
        )


class MemberBatch(tuple[Batch, ...]):
    """A batch of its own for each member."""

    __slots__ = ()

    @property
    def target(self) -> Tensor:
        """Targets of the first member's rows, then of the next one's."""
        return torch.cat([batch.target for batch in self])

    @property
    def weight(self) -> Tensor:
        """Weights in the same order."""
        return torch.cat([batch.weight for batch in self])

    def to(self, like: Tensor) -> Self:
        """Move to the device of a parameter; targets and weights take on its type."""
        return type(self)(batch.to(like) for batch in self)


AnyBatch = Batch | MemberBatch
"""Rows to learn from or to evaluate; those of an ensemble's members may differ."""


class Sums(NamedTuple):
    """What a step adds to the history, on the device: summed loss and weight, and the logits."""

    loss: Tensor
    weight: Tensor
    logit: Tensor


def supports_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16, as far as torch can tell."""
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return True
    available = torch.cpu.get_capabilities()
    return any(available.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class Engine:
    r"""Logits of encoded rows, the gradients of their loss, and the optimizer's steps.

    The objective of a batch is *summed*, the scale that FTRL's constants are meant for (paper,
    Eq. 11 and 12):

    .. math:: \sum_i w_i \bigl(\ell(z_i, y_i) + \lambda\, penalty_i\bigr)

    plus :math:`\sum_i w_i` times the auxiliary loss of a body that has one.

    Parameters
    ----------
    module : CTRModule
        A kernel of its variant computes the body if there is one, autograd otherwise.
    optimizer : torch.optim.Optimizer, default=None
        Makes the steps; an engine without one predicts or computes gradients.
    loss : BinaryCrossEntropy or SoftmaxCrossEntropy, default=None
        ℓ, which fits the number of the module's logits; None means the cross-entropy of one logit.
    penalty : float, default=0.0
        λ, coefficient of the body's penalty, for a row of weight 1.
    precision : {"fp32", "bf16"}, default="fp32"
        Type that the body computes in; parameters and their gradients keep their type.
    n_threads : int, default=None
        Threads that share a batch, of which only predicting has more than one if the body has no
        kernel; None means as many as torch has with a kernel, and 1 without.
    """

    @no_fork()  # the child would wait for a thread that imports numba
    def __init__(
        self,
        module: CTRModule,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        loss: Loss | None = None,
        penalty: float = 0.0,
        precision: Literal["fp32", "bf16"] = "fp32",
        n_threads: int | None = None,
    ) -> None:
        device = module.bias.device.type
        self.module = module
        self.optimizer = optimizer
        self.loss = loss or BinaryCrossEntropy()
        self.kernel = find_kernel(module.body, device, penalty)
        if n_threads is None:  # those inside torch's operations suit autograd
            n_threads = 1 if self.kernel is None else one_thread.usual_threads()
        self.workers = Workers(n_threads if device == "cpu" else 1)
        self.penalty = penalty
        self.dtype = PRECISIONS[precision]
        self._parameters = list(module.parameters())
        self._tables = module.tables
        self._in_blocks = module.body.row_wise and not module.body.has_auxiliary
        self._embedding_grads = module.bias.new_empty(0)
        self._places = module.embedding.offsets.new_empty(0)

    @lazy_property
    def training_kernels(self) -> list[Kernel]:
        """Kernels that compute gradients, one for each worker."""
        return self._make_kernels(self.dtype)

    @lazy_property
    def inference_kernels(self) -> list[Kernel]:
        """Kernels that compute logits in the precision of the parameters."""
        if self.dtype is None and "training_kernels" in vars(self):
            return self.training_kernels
        return self._make_kernels(None)

    def _make_kernels(self, dtype: torch.dtype | None) -> list[Kernel]:
        first: Kernel
        body = self.module.body
        kernel = find_kernel(body, self.module.bias.device.type, self.penalty, dtype)
        first = AutogradKernel(body, self.penalty, dtype) if kernel is None else kernel(body, dtype)
        return [first, *(first.sibling() for _ in range(self.workers.n_workers - 1))]

    # -------------------------------------------------------------- prediction

    @no_fork()
    @torch.no_grad()
    def logits(self, indices: Tensor) -> Tensor:
        """Return the logit, or logits, of each row of indices; (B, F) -> (B,) or (B, C)."""
        return self.compute_logits(indices)

    def compute_logits(self, indices: Tensor) -> Tensor:
        """Do the work of :meth:`logits`, for callers that hold `no_fork` and `no_grad`."""
        self._set_mode(training=False)
        out = self._empty_logits(len(indices))
        self.inference_kernels[0].load()

        def work(kernel: Kernel, blocks: list[slice]) -> None:
            for block in blocks:
                embedding, *first = (table(indices[block]) for table in self._tables)
                self._sum(kernel.forward(embedding), *first, out=out[block])

        # Whatever the number of threads, the blocks are the same, and so are the bits.
        size = -(-len(indices) // MIN_BLOCKS)
        size = min(max(size, MIN_ROWS_PER_WORKER), self.inference_kernels[0].block)
        blocks = list(_blocks(slice(0, len(indices)), size))
        shares = [blocks[share] for share in self._shares(len(blocks))]
        self.workers.map(work, self.inference_kernels, shares)
        return out

    def _set_mode(self, training: bool) -> None:
        """Put the module in training or evaluation mode, on which penalty and dropout depend."""
        if self.module.training != training:
            self.module.train(training)

    def _empty_logits(self, n_rows: int) -> Tensor:
        """Return an array for logits, (B,) or (B, C)."""
        return self.module.bias.new_empty(n_rows, *self.module.bias.shape)

    def _sum(self, logit: Tensor, first_order: Tensor | None = None, *, out: Tensor) -> None:
        """Add bias and first-order weights (B, F, ...), if there are any, to the body's logit."""
        torch.add(logit, self.module.bias, out=out)
        if first_order is not None:
            out += first_order.sum(1).view_as(out)

    def _shares(self, n: int, least: int = 1) -> list[slice]:
        """Divide `n` rows or fields among the workers; some get none if there are too few."""
        share = max(-(-n // self.workers.n_workers), least)
        return [slice(i, min(i + share, n)) for i in range(0, n, share)]

    # ---------------------------------------------------------------- training

    @no_fork()
    def step(self, batch: AnyBatch, on_gradients: Callable[[], None] | None = None) -> Sums:
        """Compute the gradients of a batch, then let the optimizer use them.

        Parameters
        ----------
        batch : Batch
            Rows to learn from.
        on_gradients : callable, default=None
            Called between the two.

        Returns
        -------
        Sums
            Loss and weight of the batch, and its logits, before the step.
        """
        assert self.optimizer is not None
        batch = batch.to(self.module.bias)
        logit = self.gradients(batch)
        if on_gradients is not None:
            on_gradients()
        if isinstance(self.optimizer, RowOptimizer):
            self.optimizer.step(map=self.workers.map)
        else:
            self.optimizer.step()
        return self._sums(logit, batch)

    def evaluate(self, batch: AnyBatch) -> Sums:
        """Compute the logits of a batch and sum their loss, without learning from it."""
        batch = batch.to(self.module.bias)
        assert isinstance(batch, Batch)
        return self._sums(self.logits(batch.indices), batch)

    @torch.no_grad()
    def _sums(self, logit: Tensor, batch: AnyBatch) -> Sums:
        return Sums(self.loss(logit, batch.target, batch.weight), batch.weight.sum(), logit)

    @torch.no_grad()
    def gradients(self, batch: AnyBatch) -> Tensor:
        """Set the gradient of every parameter to that of the summed objective.

        Returns
        -------
        Tensor of shape (B,) or (B, C)
            The logits.
        """
        assert isinstance(batch, Batch)
        indices, target, weight = batch.to(self.module.bias)
        self._set_mode(training=True)
        for parameter in self._parameters:
            parameter.grad = None
        logits, logit_grads = (self._empty_logits(len(indices)) for _ in range(2))
        embedding_grads = self._embedding_gradients(*indices.shape)
        kernels = self.training_kernels
        block_size = kernels[0].block if self._in_blocks else len(indices)
        kernels[0].load()

        def work(kernel: Kernel, share: slice) -> None:
            kernel.start()
            for block in _blocks(share, block_size):
                embedding, *first = (table(indices[block]) for table in self._tables)
                logit, row_weight = logits[block], weight[block]
                self._sum(kernel.forward(embedding, training=True), *first, out=logit)
                grad = logit_grads[block]
                self.loss.gradient(logit, target[block], row_weight, out=grad)
                if isinstance(kernel, AutogradKernel):
                    kernel.add_auxiliary(logit, target[block], row_weight, out=grad)
                kernel.backward(grad, row_weight, out=embedding_grads[block])

        least = MIN_ROWS_PER_WORKER if self.kernel is not None else len(indices)
        shares = self._shares(len(indices), least)
        self.workers.map(work, kernels, shares)
        store_gradients = partial(kernels[0].store_gradients, kernels[1 : len(shares)])
        self._set_table_gradients(indices, embedding_grads, logit_grads, beside=store_gradients)
        if self.module.bias.requires_grad:
            self.module.bias.grad = logit_grads.sum(0)
        if self.kernel and self.penalty:
            self._add_penalty_gradients(self.penalty * weight.sum())
        return logits

    def _embedding_gradients(self, n_rows: int, n_columns: int) -> Tensor:
        """Return an array (B, F, D) to write to, the same memory for every batch.

        Its places, the numbers of its (row, column), are kept too.
        """
        embedding = self.module.embedding
        table, pooling = embedding.weight, embedding.pooling
        if len(self._embedding_grads) < n_rows:
            n_fields = n_columns if pooling is None else pooling.n_fields
            self._embedding_grads = table.new_empty(n_rows, n_fields, table.shape[1])
            places = torch.arange(n_rows * n_columns, device=table.device)
            self._places = places.view(n_rows, n_columns)
        return self._embedding_grads[:n_rows]

    def _set_table_gradients(
        self,
        indices: Tensor,
        embedding_grads: Tensor,
        logit_grads: Tensor,
        beside: Callable[[], None],
    ) -> None:
        """Sum the gradients of each row of a table over the batch.

        The rows of different fields are distinct, so the workers share the fields.  `beside` is
        work that one of them does meanwhile.
        """
        n_rows, n_fields, _ = embedding_grads.shape
        table = self.module.embedding
        by_field = [embedding_grads]
        if len(self._tables) > 1:
            by_field.append(logit_grads.view(n_rows, 1, -1).expand(-1, n_fields, -1))
        rows, shares = indices + table.offsets, self._shares(n_fields)
        if table.pooling is not None:  # columns of a field may have rows in common
            by_field = [table.pooling.spread(grads, indices) for grads in by_field]
            rows, shares = rows.masked_fill_(indices < 0, NO_ROW), [slice(0, rows.shape[1])]
        grads = [each.flatten(0, 1) for each in by_field]
        places, n_places = self._places[:n_rows], rows.numel()
        loops = compiled_loops(embedding_grads)

        def work(columns: slice) -> tuple[Tensor, list[Tensor]]:
            if loops is not None:
                return sum_by_row(loops, rows, columns, grads)
            touched, order, starts = group_rows(rows[:, columns], places[:, columns], n_places)
            bag = partial(functional.embedding_bag, order, offsets=starts, mode="sum")
            return touched, [bag(grad) for grad in grads]

        tasks = [beside, *(partial(work, columns) for columns in shares)]
        _, *parts = self.workers.map(lambda task: task(), tasks)
        touched, sums = (list(each) for each in zip(*parts, strict=True))
        if table.pooling is not None and touched[-1][-1] == NO_ROW:
            touched[-1], sums[-1] = touched[-1][:-1], [each[:-1] for each in sums[-1]]
        for table, values in zip(self._tables, zip(*sums, strict=True), strict=True):
            table.set_gradient(_joined(touched), _joined(values))

    def _add_penalty_gradients(self, coefficient: Tensor) -> None:
        """Add the gradients of a penalty on parameters alone, which kernels leave out."""
        with torch.enable_grad():
            penalty = self.module.body.penalty()
        if isinstance(penalty, Tensor) and penalty.requires_grad:
            parameters = [p for p in self.module.body.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
            for p, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None and p.grad is not None:
                    p.grad.add_(gradient * coefficient)


def _joined(parts: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """Put the parts of a tensor together, without a copy if there is one."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _blocks(share: slice, size: int) -> Iterator[slice]:
    for start in range(share.start, share.stop, size):
        yield slice(start, min(start + size, share.stop))


def sum_by_row(
    loops: ModuleType, rows: Tensor, fields: slice, values: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Sum each of `values`, (B · F, ...), by the row that some fields look up, by compiled loops.

    Parameters
    ----------
    loops : module
        The loops.
    rows : Tensor of shape (B, F), int
        Row that is looked up at each place.
    fields : slice
        The fields.
    values : list of Tensor
        A value for each place, also those of other fields.

    Returns
    -------
    distinct : Tensor
        The distinct rows, in ascending order.
    sums : list of Tensor
        Sums of each of `values`.
    """
    n_bits = rows.numel().bit_length()
    keys = loops.row_keys(rows.numpy(), fields.start, fields.stop, n_bits)
    keys.sort()
    parts = [loops.sum_by_key(keys, n_bits, each.numpy()) for each in values]
    return torch.from_numpy(parts[0][0]), [torch.from_numpy(sums) for _, sums in parts]


def group_rows(rows: Tensor, places: Tensor, n_places: int) -> tuple[Tensor, Tensor, Tensor]:
    """Group places by the row of the table that they look up.

    Parameters
    ----------
    rows, places : Tensor of the same shape, int
        Row that is looked up at each place; no two places are equal.
    n_places : int
        All places are below it.

    Returns
    -------
    distinct : Tensor
        The distinct rows, in ascending order.
    order : Tensor
        The places, those of the first row first, in ascending order within a row.
    starts : Tensor
        Where the group of each distinct row begins in `order`.
    """
    # One sort of row and place in a single number: NumPy sorts integers several times as fast as
    # torch sorts them with their positions.
    n_bits = n_places.bit_length()
    keys = sort((rows.long().flatten() << n_bits).bitwise_or_(places.flatten()))
    ascending, order = keys >> n_bits, keys & ((1 << n_bits) - 1)
    first = torch.ones_like(ascending, dtype=torch.bool)
    torch.ne(ascending[1:], ascending[:-1], out=first[1:])
    starts = first.nonzero().squeeze(1)
    return ascending.index_select(0, starts), order, starts


def sort(keys: Tensor) -> Tensor:
    """Sort integers; those on the processor in place."""
    if keys.device.type != "cpu":
        return keys.sort().values
    keys.numpy().sort()
    return keys
