"""A plot of a comparison, in the style of scikit-learn's displays."""

from __future__ import annotations

from os import PathLike
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from sk_dynint._plotting import new_axes

from ._summary import COMPARED, SCORES, summarize

_LABELS = {"auc": "test AUC", "logloss": "test logloss", "rig": "relative information gain"}
_REFERENCE_COLOR = "C1"


class ComparisonDisplay:
    """Plot of the score of each model, as a point with an error bar.

    Make it with :meth:`from_runs`.  A reference, of which the scores are differences, is a line and
    a point in a colour of its own.

    Parameters
    ----------
    models : list of str
        Names, from top to bottom.
    values : ndarray of shape (n_models,)
        Scores, or differences of scores.
    lower, upper : ndarray of shape (n_models,)
        Ends of the error bars; NaN means no bar.
    label : str
        Label of the axis of values.
    reference : str, default=None
        The model from which differences are taken, if the values are differences.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the plot.
    figure_ : matplotlib Figure
        The figure that holds them.
    errorbars_ : list of matplotlib ErrorbarContainer
        A point and its bar for each model.
    reference_line_ : matplotlib Line2D or None
        The line at zero, which is the reference; None without one.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from sk_dynint import ComparisonDisplay
    >>> runs = pd.DataFrame(
    ...     {
    ...         "model": ["pin", "da"] * 2,
    ...         "seed": [0, 0, 1, 1],
    ...         "auc": [0.70, 0.72, 0.71, 0.72],
    ...         "logloss": [0.50, 0.49, 0.51, 0.50],
    ...     }
    ... )
    >>> display = ComparisonDisplay.from_runs(runs)
    >>> display.ax_.get_xlabel()
    'test AUC (mean and standard deviation over seeds)'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        models: list[str],
        values: Any,
        lower: Any,
        upper: Any,
        label: str,
        reference: str | None = None,
    ) -> None:
        self.models = models
        self.values = values
        self.lower = lower
        self.upper = upper
        self.label = label
        self.reference = reference

    @classmethod
    def from_runs(
        cls,
        runs: pd.DataFrame,
        *,
        metric: Literal["auc", "logloss", "rig"] = "auc",
        reference: str | None = None,
        predictions: str | PathLike[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Summarise the runs of :func:`sk_dynint.compare`, and plot them.

        Parameters
        ----------
        runs : DataFrame
            The runs.
        metric : {"auc", "logloss", "rig"}, default="auc"
            Score to show.
        reference : str, default=None
            Name of a model. If given, the plot shows the differences from it ("auc" or "logloss")
            with their intervals of 95 %, paired by seed (or, of one seed, by row); if None, means
            with the standard deviation over seeds.
        predictions : path, default=None
            See :func:`sk_dynint.summarize`.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : ComparisonDisplay
        """
        allowed = SCORES if reference is None else COMPARED
        if metric not in allowed:
            raise ValueError(f"metric={metric!r}; with {reference=} it must be one of {allowed}.")
        summary = summarize(runs, reference, predictions=predictions)
        if reference is None:
            values, sd = summary[metric], summary[f"{metric}_sd"]
            lower, upper = values - sd, values + sd
            label = f"{_LABELS[metric]} (mean and standard deviation over seeds)"
        else:
            values = summary[f"{metric}_difference"]
            lower, upper = summary[f"{metric}_low"], summary[f"{metric}_high"]
            label = f"{_LABELS[metric]}, difference from {reference} (paired 95 % interval)"
        ends = {"lower": lower.to_numpy(), "upper": upper.to_numpy()}
        display = cls(
            models=summary.index.astype(str).tolist(),
            values=values.to_numpy(),
            **ends,
            label=label,
            reference=reference,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the points and their error bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        self : ComparisonDisplay
        """
        ax = new_axes(ax, (6.4, 1 + 0.35 * len(self.models)))
        ends = zip(self.models, self.values, self.lower, self.upper, strict=True)
        self.errorbars_ = [
            ax.errorbar(
                value,
                row,
                xerr=None if np.isnan(low) else [[value - low], [high - value]],
                fmt="D" if model == self.reference else "o",
                color=_REFERENCE_COLOR if model == self.reference else "C0",
                capsize=3,
            )
            for row, (model, value, low, high) in enumerate(ends)
        ]
        names = [f"{m} (reference)" if m == self.reference else m for m in self.models]
        self.reference_line_ = None
        if self.reference is not None:
            style = {"color": _REFERENCE_COLOR, "linestyle": "--", "linewidth": 1, "zorder": 0}
            self.reference_line_ = ax.axvline(0, **style)
        ax.set(yticks=range(len(names)), yticklabels=names, xlabel=self.label)
        ax.set_ylim(len(names) - 0.5, -0.5)  # the first model on top
        ax.grid(axis="x", alpha=0.3)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
