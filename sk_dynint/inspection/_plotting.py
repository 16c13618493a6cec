"""Names and cells as they stand in a picture."""

from __future__ import annotations

from typing import Any

import numpy as np


def label_rows(ax: Any, names: list[str]) -> None:
    """Write names beside horizontal bars, the first one on top."""
    ax.set(yticks=range(len(names)), yticklabels=[shortened(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)


def shortened(text: Any, length: int = 44) -> str:
    """Return a text that fits beside a plot, without signs that begin a formula."""
    text = str(text).replace("$", r"\$")
    return text if len(text) <= length else text[: length - 1] + "…"


def cell(value: Any) -> str:
    """Return what a row holds in a field, as a text."""
    if isinstance(value, tuple):
        return " & ".join(cell(part) for part in value)
    if isinstance(value, list | set | np.ndarray):
        return ", ".join(cell(part) for part in value)
    if isinstance(value, float | np.floating):
        return "missing" if np.isnan(value) else f"{value:.6g}"
    return "missing" if value is None or str(value) in ("<NA>", "NaT") else str(value)
