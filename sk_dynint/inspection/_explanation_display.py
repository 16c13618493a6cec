"""Bars of an explanation: the shares of fields in one logit, or their importances."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from sk_dynint._plotting import new_axes
from sk_dynint.inspection._explanation import Explanation
from sk_dynint.inspection._importances import By, explain
from sk_dynint.inspection._plotting import cell, label_rows, shortened
from sk_dynint.inspection._shapley import Average

_POSITIVE, _NEGATIVE = "C3", "C0"


class ExplanationDisplay:
    """Plot of the Shapley values of fields, as horizontal bars.

    Make it with :meth:`from_estimator`, or with :meth:`from_explanation` of values that are there.
    One row: what each field adds to its logit.  Several rows: mean absolute values, as
    :func:`field_importances` has them.

    Parameters
    ----------
    names : list of str
        What the bars stand for, from top to bottom.
    values : ndarray of shape (n_bars,)
        Their lengths, in log-odds.
    label : str
        Label of the axis of values.
    title : str, default=None
        What stands above.
    errors : ndarray of shape (n_bars,), default=None
        Standard errors.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the plot.
    figure_ : matplotlib Figure
        The figure that holds them.
    bars_ : matplotlib BarContainer
        The bars.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import ExplanationDisplay
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> model = DynIntClassifier(n_members=1, crosses=None, random_state=0)
    >>> model = model.fit(X, [0, 1, 1, 1] * 50)
    >>> display = ExplanationDisplay.from_estimator(model, X.head(1))
    >>> sorted(label.get_text() for label in display.ax_.get_yticklabels())
    ['ad = x', 'site = a']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        names: list[str],
        values: Any,
        label: str,
        title: str | None = None,
        errors: Any = None,
    ) -> None:
        self.names = names
        self.values = values
        self.label = label
        self.title = title
        self.errors = errors

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        X: Any,
        *,
        background: Any = None,
        average: Average = "vectors",
        by: By = "field",
        output: Any = None,
        max_display: int = 20,
        ax: Any = None,
    ) -> Self:
        """Explain one row, or the importances for several, and plot.

        Parameters
        ----------
        clf : DynIntClassifier
            Fitted, see :func:`shapley_values`, also for the errors.
        X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
            One row or several.
        background : DataFrame, EncodedData or array-like, default=None
            Rows that say what absent fields are; None: the zero vector.
        average : {"vectors", "values"}, default="vectors"
            What is averaged over the background.
        by : {"field", "column"}, default="field"
            "column" gives the share of a cross to its columns, in equal parts.
        output : label, default=None
            The class, needed with more than two.
        max_display : int, default=20
            Bars, at most: those of the largest values, the last one for the others.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : ExplanationDisplay
        """
        explanation = explain(clf, X, background, average, by)
        return cls.from_explanation(explanation, output=output, max_display=max_display, ax=ax)

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        output: Any = None,
        max_display: int = 20,
        ax: Any = None,
    ) -> Self:
        """Plot an explanation.

        Parameters
        ----------
        explanation : Explanation
            What :func:`shapley_values` or :func:`sampled_shapley_values` returned.
        output : label, default=None
            The class, needed with more than two.
        max_display : int, default=20
            Bars, at most.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : ExplanationDisplay
        """
        if max_display < 2:
            raise ValueError(f"{max_display=}; it must be 2 or more")
        values, base, errors, logit = _of_output(explanation, output)
        names = [str(name) for name in explanation.feature_names]
        if len(values) == 1:
            cells = [cell(value) for value in explanation.data[0]]
            names = [f"{name} = {text}" for name, text in zip(names, cells, strict=True)]
            total = base[0] + values[0].sum()
            title = f"{logit} {total:.3f}; with all fields absent {base[0]:.3f}"
            lengths, label = values[0], "Shapley value (log-odds)"
            errors = None if errors is None else errors[0]
        else:
            lengths, label = np.abs(values).mean(0), "mean |Shapley value| (log-odds)"
            title, errors = f"{logit}s of {len(values):,} rows", None
        bars = pd.DataFrame({"name": names, "value": lengths})
        bars["error"] = np.nan if errors is None else errors
        bars = _longest(bars, max_display, "sum of" if len(values) == 1 else "sum over")
        return cls(
            names=bars["name"].tolist(),
            values=bars["value"].to_numpy(),
            label=label,
            title=title,
            errors=None if errors is None else bars["error"].to_numpy(),
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        self : ExplanationDisplay
        """
        ax = new_axes(ax, (6.4, 1.1 + 0.3 * len(self.names)))
        colors = [_NEGATIVE if value < 0 else _POSITIVE for value in self.values]
        if (np.asarray(self.values) >= 0).all() and self.label.startswith("mean"):
            colors = [_NEGATIVE] * len(colors)
        self.bars_ = ax.barh(
            range(len(self.names)),
            self.values,
            xerr=self.errors,
            color=colors,
            error_kw={"capsize": 2},
        )
        label_rows(ax, self.names)
        ax.axvline(0, color="0.4", linewidth=1)
        ax.set(xlabel=self.label)
        if self.title:
            ax.set_title(shortened(self.title, 70), fontsize="medium")
        self.ax_ = ax
        self.figure_ = ax.figure
        return self


def _of_output(explanation: Explanation, output: Any) -> tuple[Any, Any, Any, str]:
    """Return values, base values and errors of one output, and what its logit is called."""
    values, base, errors = explanation.values, explanation.base_values, explanation.errors
    if values.ndim - base.ndim != 1:
        raise ValueError("these are interactions; InteractionDisplay plots them")
    if explanation.output_names is None:
        if output is not None:
            raise ValueError(f"{output=!r}, but there is one logit only; leave output=None")
        return values, base, errors, "logit"
    names = list(explanation.output_names)
    if output not in names:
        raise ValueError(f"{output=!r}; it must be one of the classes {names}")
    c = names.index(output)
    errors = None if errors is None else errors[..., c]
    return values[..., c], base[..., c], errors, f"logit of {output}"


def _longest(bars: pd.DataFrame, n: int, word: str) -> pd.DataFrame:
    """Return the longest bars in falling order of length, and one for the sum of the others."""
    bars = bars.iloc[np.argsort(-bars["value"].abs().to_numpy(), kind="stable")]
    if len(bars) <= n:
        return bars
    kept, others = bars[: n - 1], bars[n - 1 :]
    rest = {"name": f"{word} {len(others)} others", "value": others["value"].sum(), "error": np.nan}
    return pd.concat([kept, pd.DataFrame([rest])], ignore_index=True)
