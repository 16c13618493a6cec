"""Pictures of interactions, of the course of training, and of the sparsity of the table."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from sk_dynint._plotting import new_axes
from sk_dynint.inspection._importances import interaction_strengths
from sk_dynint.inspection._models import Model
from sk_dynint.inspection._plotting import label_rows, shortened
from sk_dynint.inspection._shapley import Average


class InteractionDisplay:
    """Heat map of the strengths of interactions.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    strengths : DataFrame of shape (n_fields, n_fields)
        What :func:`interaction_strengths` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the plot.
    figure_ : matplotlib Figure
        The figure that holds them.
    image_ : matplotlib AxesImage
        The cells.
    colorbar_ : matplotlib Colorbar
        Their scale.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from sk_dynint.inspection import InteractionDisplay
    >>> strengths = pd.DataFrame([[0, 0.5], [0.5, 0]], ["a", "b"], ["a", "b"])
    >>> display = InteractionDisplay(strengths=strengths).plot()
    >>> display.colorbar_.ax.get_ylabel()
    'mean |interaction| (log-odds)'
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, strengths: pd.DataFrame) -> None:
        self.strengths = strengths

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        X: Any,
        *,
        background: Any = None,
        average: Average = "vectors",
        ax: Any = None,
    ) -> Self:
        """Compute the strengths over some rows, and plot them.

        Parameters
        ----------
        clf : DynIntClassifier
            Fitted, see :func:`shapley_values`, also for the errors.
        X : DataFrame, EncodedData or array-like of shape (n_samples, n_features)
            The rows.
        background : DataFrame, EncodedData or array-like, default=None
            Rows that say what absent fields are; None: the zero vector.
        average : {"vectors", "values"}, default="vectors"
            What is averaged over the background.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : InteractionDisplay
        """
        strengths = interaction_strengths(clf, X, background=background, average=average)
        return cls(strengths=strengths).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        self : InteractionDisplay
        """
        names = [shortened(name, 24) for name in self.strengths.index]
        side = max(3.6, 0.24 * len(names) + 2)
        ax = new_axes(ax, (side + 1.2, side))
        cells = np.array(self.strengths, dtype=float)
        np.fill_diagonal(cells, np.nan)  # a field does not interact with itself
        self.image_ = ax.imshow(cells, cmap="viridis", vmin=0)
        ax.set_facecolor("0.9")
        self.colorbar_ = ax.figure.colorbar(self.image_, ax=ax, shrink=0.8)
        self.colorbar_.set_label("mean |interaction| (log-odds)")
        places = range(len(names))
        size = "medium" if len(names) <= 16 else "small"
        ax.set_xticks(places, names, rotation=90, fontsize=size)
        ax.set_yticks(places, names, fontsize=size)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self


class TrainingDisplay:
    """Plot of the course of a `fit`: losses and validation AUC by training step.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    history : DataFrame
        `history_` of a classifier.
    best_step : int, default=None
        Step of the best evaluation, which is marked.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the losses.
    auc_ax_ : matplotlib Axes or None
        Their twin with the AUC, whose scale is at the right; None without validation rows.
    figure_ : matplotlib Figure
        The figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        The lines by column of the history.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> from sk_dynint.inspection import TrainingDisplay
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> model = DynIntClassifier(n_members=1, random_state=0).fit(X, [0, 1, 1, 0] * 50)
    >>> display = TrainingDisplay.from_estimator(model)
    >>> sorted(display.lines_)
    ['train_loss', 'valid_auc', 'valid_loss']
    >>> plt.close(display.figure_)
    """

    _LABELS = ("train_loss", "training loss"), ("valid_loss", "validation loss")

    def __init__(self, *, history: pd.DataFrame, best_step: int | None = None) -> None:
        self.history = history
        self.best_step = best_step

    @classmethod
    def from_estimator(cls, clf: Any, *, ax: Any = None) -> Self:
        """Plot the history of a fitted classifier.

        Parameters
        ----------
        clf : DynIntClassifier or BaselineClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : TrainingDisplay
        """
        Model(clf)
        best = clf.best_step_ if clf.best_score_ is not None else None
        return cls(history=clf.history_, best_step=best).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        self : TrainingDisplay
        """
        ax = new_axes(ax, (6.4, 4))
        steps = self.history["step"]
        self.lines_ = {
            column: ax.plot(steps, self.history[column], f"C{i}", label=label)[0]
            for i, (column, label) in enumerate(self._LABELS)
            if self._has(column)
        }
        ax.set(xlabel="training step", ylabel="mean cross-entropy (nats)")
        ax.grid(axis="x", alpha=0.3)
        self.auc_ax_ = None
        if self._has("valid_auc"):
            self.auc_ax_ = ax.twinx()
            (line,) = self.auc_ax_.plot(
                steps, self.history["valid_auc"], "C2--", label="validation AUC"
            )
            self.lines_["valid_auc"] = line
            self.auc_ax_.set_ylabel("AUC")
        handles = [*self.lines_.values()]
        if self.best_step is not None:
            label = f"best: step {self.best_step:,}"
            handles.append(ax.axvline(self.best_step, color="0.5", linestyle=":", label=label))
        if ax.figure.get_layout_engine():
            options = {"loc": "outside upper center", "ncols": min(4, len(handles))}
            ax.figure.legend(handles=handles, frameon=False, **options)
        else:
            ax.legend(handles=handles)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _has(self, column: str) -> bool:
        return column in self.history and bool(self.history[column].notna().any())


class EmbeddingSparsityDisplay:
    """Plot of the share of the rows of each field's table that are exactly zero.

    Group lasso (``embedding_optimizer_params={"l1": ...}``) prunes the rows of levels that do not
    help.  Make it with :meth:`from_estimator`.

    Parameters
    ----------
    names : list of str
        Names of the fields.
    n_zero : ndarray of shape (n_fields,)
        Zero rows of each; the mean over the members of an ensemble.
    n_rows : ndarray of shape (n_fields,)
        All rows of each.

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
    >>> from sk_dynint.inspection import EmbeddingSparsityDisplay
    >>> display = EmbeddingSparsityDisplay(names=["site", "ad"], n_zero=[3, 0], n_rows=[12, 4])
    >>> [f"{bar.get_width():.0f} %" for bar in display.plot().bars_]
    ['25 %', '0 %']
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, names: list[str], n_zero: Any, n_rows: Any) -> None:
        self.names = names
        self.n_zero = n_zero
        self.n_rows = n_rows

    @classmethod
    def from_estimator(cls, clf: Any, *, ax: Any = None) -> Self:
        """Count the zero rows of a fitted classifier, and plot their shares.

        Parameters
        ----------
        clf : DynIntClassifier or BaselineClassifier
            Fitted.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : EmbeddingSparsityDisplay
        """
        model = Model(clf)
        sizes = [int(size) for size in model.encoder.cardinalities_]
        with torch.no_grad():
            zero = [m.embedding.zero_rows().double() for m in model.members]
        mean = torch.stack(zero).mean(0).cpu().numpy()
        n_zero = [part.sum() for part in np.split(mean, np.cumsum(sizes)[:-1])]
        return cls(names=model.names, n_zero=n_zero, n_rows=np.array(sizes)).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the shares.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        self : EmbeddingSparsityDisplay
        """
        n_zero, n_rows = np.asarray(self.n_zero, dtype=float), np.asarray(self.n_rows)
        ax = new_axes(ax, (6.4, 1.1 + 0.3 * len(self.names)))
        self.bars_ = ax.barh(range(len(self.names)), 100 * n_zero / n_rows, color="C0")
        texts = [f"{round(zero, 1):,g} of {n:,}" for zero, n in zip(n_zero, n_rows, strict=True)]
        ax.bar_label(self.bars_, texts, padding=3, fontsize="small")
        label_rows(ax, self.names)
        ax.set(xlim=(0, 118), xticks=range(0, 101, 20), xlabel="zero rows of the table (%)")
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
