"""From field indices to logits: the embedding table, the bodies, and the sum of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint._body import Body
from sk_dynint._pooling import MeanPooling
from sk_dynint._shared import FrequencyVectors, PiecewiseLinear, Shared


class FieldEmbedding(nn.Module):
    r"""One table for all fields; field i owns a block of ``cardinalities[i]`` rows (paper, Eq. 1).

    Parameters
    ----------
    cardinalities : sequence of int
        Number of indices of each field.
    embedding_dim : int
        D, length of a row.
    init_std : float, default=None
        Standard deviation of the normal initial values; None means 1/√D.
    oov : {"train", "zero"}, default="train"
        Rows of index 0 (rare or unseen) and 1 (missing): trained like any other, or the constant
        zero vector as in the authors' code.
    sparse : bool, default=True
        Whether the gradient is a sparse tensor of the batch's rows.
    shared : Shared, default=None
        What is added to the rows: what indices of a field have in common.
    slots : sequence of int, default=None
        Field of each column of ``X``, if fields can have several, whose mean is taken: see
        :class:`MeanPooling`.  None: each has one.
    n_rows : int, default=None
        Rows of a compact table, in which indices can share a row; it cannot be trained.  None: a
        row for each index.

    Notes
    -----
    Shape: (B, F) int -> (B, F, D); (B, C) int with slots.
    """

    offsets: Tensor  # first row of the field of each column
    places: Tensor | None  # (rows of the whole table,) int32, row of a compact table

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        *,
        init_std: float | None = None,
        oov: Literal["train", "zero"] = "train",
        sparse: bool = True,
        shared: Shared | None = None,
        slots: Sequence[int] | None = None,
        n_rows: int | None = None,
    ) -> None:
        super().__init__()
        sizes = torch.as_tensor(cardinalities, dtype=torch.int64)
        offsets = sizes.cumsum(0) - sizes
        self.pooling = None if slots is None else MeanPooling(slots)
        if self.pooling is not None:
            offsets = offsets[self.pooling.slots]
        fits = int(sizes.sum()) <= torch.iinfo(torch.int32).max  # sorted in half the time
        self.register_buffer("offsets", offsets.int() if fits else offsets, persistent=False)
        self.oov = oov
        self.sparse = sparse
        std = embedding_dim**-0.5 if init_std is None else init_std
        n = int(sizes.sum())
        places = None if n_rows is None else torch.zeros(n, dtype=torch.int32)
        self.register_buffer("places", places)
        self.weight = nn.Parameter(std * torch.randn(n_rows or n, embedding_dim))
        shared = shared or Shared()
        self.numeric = shared.numeric(cardinalities, embedding_dim, std)
        self.frequency = shared.frequency(cardinalities, embedding_dim, std, slots)

    @property
    def added(self) -> list[PiecewiseLinear | FrequencyVectors]:
        """What is added to the rows."""
        return [module for module in (self.numeric, self.frequency) if module is not None]

    def forward(self, X: Tensor) -> Tensor:
        """Look up the rows of ``X``."""
        rows = (X if self.pooling is None else X.clamp_min(0)) + self.offsets
        if self.sparse and torch.is_grad_enabled():
            rows = rows.long()  # sparse gradients support int64 indices only
        stored = rows if self.places is None else self.places[rows].to(rows.dtype)
        embedding = functional.embedding(stored, self.weight, sparse=self.sparse)
        for module in self.added:
            embedding.index_add_(1, module.columns, module(rows))
        if self.oov == "zero":
            embedding = embedding * (X > 1).unsqueeze(-1)
        return embedding if self.pooling is None else self.pooling(embedding, X)

    @torch.no_grad()
    def folded(self) -> Tensor:
        """Return one table of the vectors that indices end up with, (rows of the table, D)."""
        table = self.weight.detach()
        table = table.clone() if self.places is None else table[self.places.long()]
        for module in self.added:
            table += module.of_all_rows()
        if self.oov == "zero":
            table[self.offsets.long()] = 0
            table[self.offsets.long() + 1] = 0
        return table

    @torch.no_grad()
    def set_gradient(self, rows: Tensor, values: Tensor) -> None:
        """Set the gradient of the table: `values` in distinct, rising `rows`, zero elsewhere."""
        if self.places is not None:
            raise RuntimeError("a compact table cannot be trained")
        if self.oov == "zero":
            values.masked_fill_(self._constant(rows), 0)
        for module in self.added:
            module.set_gradient(rows, values)
        if not self.weight.requires_grad:
            return
        grad = torch.sparse_coo_tensor(
            rows.long().unsqueeze(0),
            values,
            self.weight.shape,
            is_coalesced=True,
            check_invariants=False,
        )
        self.weight.grad = grad if self.sparse else grad.to_dense()

    def _constant(self, rows: Tensor) -> Tensor:
        """Tell which rows belong to index 0 or 1 of a field, (n, 1)."""
        return torch.isin(rows, torch.cat([self.offsets, self.offsets + 1])).unsqueeze(1)

    @torch.no_grad()
    def zero_rows(self) -> Tensor:
        """Tell which indices have a row that is exactly zero: pruned by group lasso."""
        zero = (self.weight == 0).all(1)
        return zero if self.places is None else zero[self.places.long()]

    def n_zero_rows(self) -> int:
        """Count them."""
        return int(self.zero_rows().sum())


class ClassBodies(Body):
    """A body for each of C classes, over the same embeddings; without auxiliary losses.

    There is always a first order then: the effect of a level by itself has a number for each class,
    which not every body can take from embeddings that the classes share.

    Parameters
    ----------
    bodies : iterable of Body
        The bodies, alike but for their weights.

    Notes
    -----
    Shape: (B, F, D) -> (B, C).  Bodies without a `shared_table` divide the last axis, (B, F, C·D).
    """

    def __init__(self, bodies: Iterable[Body]) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        first: Body = self.bodies[0]  # type: ignore[assignment]
        self.shared_table, self.block = first.shared_table, first.block
        self.first_order = first.first_order or first.shared_table

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each class for each embedding; (B, F, D) -> (B, C)."""
        n = len(self.bodies)
        parts = [embedding] * n if self.shared_table else embedding.chunk(n, 2)
        return torch.stack([body(part) for body, part in zip(self.bodies, parts, strict=True)], 1)

    def penalty(self) -> Tensor | float:
        """Sum of the bodies' penalties in the last forward pass."""
        return sum(body.penalty() for body in self.bodies)  # type: ignore[operator]


class CTRModule(nn.Module):
    r"""``logit = bias + first_order(X) + body(embedding(X))``.

    With more than two classes there are C such sums over one embedding table.

    Parameters
    ----------
    cardinalities : sequence of int
        Number of indices of each field.
    embedding_dim : int
        D.
    make_body : callable
        ``make_body(n_fields, embedding_dim)`` returns the :class:`Body`, (B, F, D) -> (B,).
    base_logit : float or array-like of shape (C,), default=0.0
        Initial bias, see ``base_logit`` of the losses.  An array asks for a logit, with a body of
        its own, for each of its entries.
    table_rows : (int or None, int or None), default=(None, None)
        `n_rows` of the embedding table and of the first-order weights.
    **options
        See :class:`FieldEmbedding`.

    Notes
    -----
    Shape: (B, F) int -> (B,), or (B, C).  Logits, not probabilities.
    """

    table_names: ClassVar = ("embedding.*", "first_order.*")
    """Patterns of the names of the parameters that have a row for each index or knot."""

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        make_body: Callable[[int, int], Body],
        *,
        base_logit: float | Sequence[float] = 0.0,
        init_std: float | None = None,
        table_rows: tuple[int | None, int | None] = (None, None),
        **options: Any,
    ) -> None:
        super().__init__()
        table = partial(FieldEmbedding, cardinalities, **options)
        main = partial(table, init_std=init_std, n_rows=table_rows[0])
        self.embedding = main(embedding_dim=embedding_dim)
        bias = torch.tensor(base_logit, dtype=torch.get_default_dtype())
        sizes = len(cardinalities), embedding_dim
        self.body = ClassBodies(make_body(*sizes) for _ in bias) if bias.ndim else make_body(*sizes)
        if bias.ndim and not self.body.shared_table:
            self.embedding = main(embedding_dim=embedding_dim * len(bias))
        self.first_order = None
        if self.body.first_order:
            first = table(embedding_dim=bias.numel(), init_std=0.0, n_rows=table_rows[1])
            self.first_order = first
        self.bias = nn.Parameter(bias)

    def forward(self, X: Tensor) -> Tensor:
        """Logit, or logits, of each row of indices."""
        logit = self.bias + self.body(self.embedding(X))
        if self.first_order is not None:
            logit = logit + self.first_order(X).sum(1).view_as(logit)
        return logit

    def penalty(self) -> Tensor | float:
        """Penalty of the body in the last forward pass, 0 if it has none."""
        return self.body.penalty()

    @property
    def tables(self) -> list[FieldEmbedding]:
        """The embedding table, then the first-order weights if the body wants them."""
        return [table for table in (self.embedding, self.first_order) if table is not None]

    def n_zero_rows(self) -> int:
        """Count the rows of the table that are exactly zero: pruned by group lasso."""
        return self.embedding.n_zero_rows()


class Ensemble(nn.Module):
    """Members that are alike but for their weights; the logit is the mean of theirs.

    Parameters
    ----------
    n_members : int
        Number of members.
    *args, **options
        Of each :class:`CTRModule`, with a table and a body of its own.

    Notes
    -----
    Shape: (B, F) int -> (B,).
    """

    table_names: ClassVar = tuple(f"members.*.{name}" for name in CTRModule.table_names)

    def __init__(self, n_members: int, *args: Any, **options: Any) -> None:
        super().__init__()
        self.members = nn.ModuleList(CTRModule(*args, **options) for _ in range(n_members))

    def __iter__(self) -> Iterator[CTRModule]:
        """Iterate over the members."""
        return iter(self.members)  # type: ignore[arg-type]

    def forward(self, X: Tensor) -> Tensor:
        """Mean logit of each row of indices."""
        return torch.stack([member(X) for member in self]).mean(0)

    def penalty(self) -> Tensor | float:
        """Mean penalty of the members in the last forward pass."""
        return sum(member.penalty() for member in self) / len(self.members)

    @property
    def body(self) -> Body:
        """Body of the first member; those of the others have the same options."""
        return next(iter(self)).body

    @property
    def bias(self) -> Tensor:
        """Bias of the first member; all parameters are of its type and on its device."""
        return next(iter(self)).bias

    def n_zero_rows(self) -> int:
        """Count the rows of all tables that are exactly zero."""
        return sum(member.n_zero_rows() for member in self)


def members_of(module: CTRModule | Ensemble) -> list[CTRModule]:
    """Return the members of an ensemble, or the module itself."""
    return list(module) if isinstance(module, Ensemble) else [module]
