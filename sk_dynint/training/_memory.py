"""How much memory a net will take, before any of it is allocated."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from sk_dynint._body import Body

COPIES = 9
"""Bytes at the peak for each byte of a body's weights: weights and gradients, both packed for a
kernel too, the optimizer's state, the average and the best weights (8.8 measured, `da` with 2,000
columns)."""

TABLE_COPIES = 6
"""The same for the tables, whose gradients are sparse: weights, two states, average, best, both
states of the best."""


def check_memory(
    make_body: Callable[[int, int], Body],
    n_fields: int,
    n_levels: int,
    embedding_dim: int,
    n_members: int = 1,
    n_outputs: int = 1,
) -> None:
    """Refuse a net that does not fit in the memory that is free.

    Raises
    ------
    MemoryError
        If it does not; the message names what takes the memory.
    """
    free = available_memory()
    if free is None:
        return
    with torch.device("meta"):  # counts the weights without memory for them
        body = make_body(n_fields, embedding_dim)
    n_weights = n_outputs * sum(p.numel() for p in body.parameters())
    row = embedding_dim * (1 if body.shared_table else n_outputs) + n_outputs  # with first order
    bodies, tables = 4 * COPIES * n_weights, 4 * TABLE_COPIES * n_levels * row
    bodies, tables = n_members * bodies, n_members * tables
    total = bodies + tables
    what = "the body" if n_outputs == 1 else f"{n_outputs} bodies (one for each class)"
    if total > free:
        raise MemoryError(
            f"training would take about {total / 2**30:.1f} GiB, and {free / 2**30:.1f} "
            f"GiB are free: {bodies / 2**30:.1f} for {n_weights:,} weights of {what} on {n_fields} "
            f"fields, {tables / 2**30:.1f} for {n_levels:,} levels of {embedding_dim} numbers; "
            "lower n_subspaces or take variant='dgp', lower embedding_dim, or raise min_count"
            + (f", or have fewer than {n_members} members" if n_members > 1 else "")
        )


def available_memory() -> int | None:
    """Bytes that this process can still allocate, where the system tells."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        (free,) = (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError):  # not Linux
        return None
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # a container may have less
        most, used = (
            int((group / name).read_text(encoding="ascii"))
            for name in ("memory.max", "memory.current")
        )
        free = min(free, max(0, most - used))
    return free
