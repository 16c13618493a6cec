"""Orthogonal regularisation of low-rank factors."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

PenaltyKind = Literal["absolute", "squared"]


def orthogonal_penalty(
    vectors: Tensor, *, kind: PenaltyKind = "absolute", normalize: bool = False
) -> Tensor:
    r"""Sum of the cosines between all pairs of vectors (paper, Eq. 11 and 12).

    .. math:: \sum_{p > q} \frac{|\langle a_p, a_q \rangle|}{\|a_p\| \|a_q\|}

    Parameters
    ----------
    vectors : Tensor of shape (..., K, W)
        The K vectors.  One that is zero has no direction: its terms and their gradients are 0.
    kind : {"absolute", "squared"}, default="absolute"
        \|cos\| as in the paper, or cos², which is smooth.
    normalize : bool, default=False
        Divide by the number of pairs K (K - 1) / 2.

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.interactions import orthogonal_penalty
    >>> orthogonal_penalty(torch.tensor([[2.0, 0.0], [-3.0, 0.0], [0.0, 1.0]]))
    tensor(1.)
    """
    if kind not in ("absolute", "squared"):
        raise ValueError(f"penalty_kind={kind!r}; it must be 'absolute' or 'squared'")
    norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    tiny = torch.finfo(vectors.dtype).tiny
    unit = vectors / torch.where(norm > tiny, norm, torch.inf)
    cosine = (unit @ unit.mT).tril(-1)
    terms = cosine.abs() if kind == "absolute" else cosine.square()
    total = terms.sum((-2, -1))
    n_vectors = vectors.shape[-2]
    return total / max(1, n_vectors * (n_vectors - 1) // 2) if normalize else total
