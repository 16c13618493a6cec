"""A trained module for prediction elsewhere: plain tables, indices in, probabilities out."""

from __future__ import annotations

import copy
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from sk_dynint._module import CTRModule, Ensemble, FieldEmbedding, members_of

TableDtype = Literal["float32", "float16", "int8"]
"""What the numbers of an exported embedding table are stored in."""

INT8_MIN_DIM = 5
"""Shorter vectors, with a scale for each, are not smaller in int8 than in float16."""


class PlainTable(nn.Module):
    """A table in which the vector of an index stands as it is: one lookup, and nothing to add.

    Parameters
    ----------
    table : FieldEmbedding
        What it stands for.
    dtype : {"float32", "float16", "int8"}
        What the vectors are stored in; "int8" with one number more for each, its largest entry,
        and only if they have 5 entries or more: those of fewer are stored in float16.

    Raises
    ------
    ValueError
        If the dtype is none of these, or cannot hold an entry.
    """

    values: Tensor
    scales: Tensor | None
    offsets: Tensor

    def __init__(self, table: FieldEmbedding, dtype: TableDtype) -> None:
        super().__init__()
        values, scales = table.folded(), None
        self.dtype = values.dtype
        if dtype == "float16" or (dtype == "int8" and values.shape[1] < INT8_MIN_DIM):
            if (largest := float(values.abs().max())) > torch.finfo(torch.float16).max:
                raise ValueError(
                    f"a table has an entry of size {largest:.3g}, which float16 cannot hold; take "
                    "table_dtype='float32'"
                )
            values = values.half()
        elif dtype == "int8":
            scales = values.abs().amax(1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
            scales = scales / 127
            values = (values / scales).round().to(torch.int8)
        self.register_buffer("values", values)
        self.register_buffer("scales", scales)
        self.register_buffer("offsets", table.offsets.long())
        self.pooling = table.pooling

    def forward(self, X: Tensor) -> Tensor:
        """Look the vectors of indices up."""
        rows = (X if self.pooling is None else X.clamp_min(0)) + self.offsets
        vectors = functional.embedding(rows, self.values).to(self.dtype)
        if self.scales is not None:
            vectors = vectors * functional.embedding(rows, self.scales)
        return vectors if self.pooling is None else self.pooling(vectors, X)


class Predictor(nn.Module):
    """From field indices (N, C) to the position of the class (N,) and probabilities (N, n_classes).

    Parameters
    ----------
    module : CTRModule or Ensemble
        What predicts; it is copied.
    shift : float
        Added to the logits.
    dtype : {"float32", "float16", "int8"}
        What its tables are stored in.
    """

    def __init__(self, module: CTRModule | Ensemble, shift: float, dtype: TableDtype) -> None:
        super().__init__()
        if dtype not in get_args(TableDtype):
            raise ValueError(f"table_dtype={dtype!r} is none of {get_args(TableDtype)}")
        self.module = copy.deepcopy(module).cpu().requires_grad_(False)
        self.shift = shift
        members = members_of(self.module)
        for member in members:
            for name in ("embedding", "first_order"):
                if (table := getattr(member, name)) is not None:
                    setattr(member, name, PlainTable(table, dtype))
        self.eval()

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Position of the class, and probabilities."""
        logit = self.module(X)
        if logit.ndim == 1:
            logit = logit + self.shift
            probabilities = torch.stack([torch.sigmoid(-logit), torch.sigmoid(logit)], 1)
        else:
            probabilities = torch.softmax(logit, 1)
        return probabilities.argmax(1), probabilities.float()
