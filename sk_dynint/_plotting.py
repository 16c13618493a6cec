"""The axes that displays draw on."""

from __future__ import annotations

from typing import Any


def pyplot() -> Any:
    """Import pyplot, or say what to install."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'sk-dynint[plot]'.") from error
    return plt


def new_axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return the axes, those of a new figure of a size in inches if there are none."""
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax
