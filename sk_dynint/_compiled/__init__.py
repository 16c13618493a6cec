"""Compiled loops for the work that is not a matrix product: an optional, faster way on processors.

The plain way is torch's operations, and is always there.  With numba installed (the extra
``fast``), loops that numba compiles take the place of runs of small operations: each is one call,
during which other threads of Python go on.  :func:`compiled_loops` is the rule, for every part that
has both ways; tests compare them.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

SWITCH = "SK_DYNINT_COMPILED"
"""Environment variable that turns the loops off if it is "0"."""


def compiled_loops(like: Tensor, dtype: torch.dtype | None = None) -> ModuleType | None:
    """Return the compiled loops if they take tensors like this one, or None: the plain way.

    They take contiguous float32 tensors on the processor.  numba is imported by the first call that
    can use it, so that importing the package does not.

    Parameters
    ----------
    like : Tensor
        One of the tensors.
    dtype : torch.dtype, default=None
        Type to compute in; None means that of `like`.
    """
    is_float = like.dtype == torch.float32 and dtype in (None, torch.float32)
    if not (is_float and like.device.type == "cpu" and like.is_contiguous()):
        return None
    return None if os.environ.get(SWITCH) == "0" else _load()


def compiles_loops(like: Tensor) -> bool:
    """Whether a tensor like this one will be the first of this process in a compiled loop.

    The loop is compiled then, which can take half a minute, or read from numba's files.
    """
    loops = compiled_loops(like)
    if loops is None:
        return False
    return not any(getattr(loop, "signatures", ()) for loop in vars(loops).values())


@cache
def _load() -> ModuleType | None:
    """Import the loops, by name because numba may be missing."""
    try:
        return import_module("sk_dynint._compiled._loops")
    except ImportError:
        return None


__all__ = ["SWITCH", "compiled_loops", "compiles_loops"]
