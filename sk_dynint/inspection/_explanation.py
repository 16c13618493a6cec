"""What an explanation consists of, whatever has computed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sk_dynint._process import lazy_property


class Explanation:
    """Shares of the fields in the logits of some rows.

    The attributes have the names, shapes and meaning of those of ``shap.Explanation``, which
    :meth:`to_shap` makes.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_fields) or (n_samples, n_fields, n_classes)
        Shares in the logit, in units of log-odds.  Of interactions (n_samples, n_fields, n_fields),
        and a last axis with more than two classes.
    base_values : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Logits with all fields absent.
    data : ndarray of shape (n_samples, n_fields), or callable
        What the rows hold; tuples in fields of crosses.  A function is called for it when it is
        asked for: to decode encoded rows takes longer than to explain them.
    feature_names : list of str
        Names of the fields.
    column_names : list of str
        Names of the columns that the fields are made of.
    field_columns : list of ndarray
        Positions of the columns that each field is made of.
    output_names : list, default=None
        With more than two classes, the classes.
    errors : ndarray of the shape of `values`, default=None
        Standard errors, if the values are estimates.

    Attributes
    ----------
    values, base_values, data, feature_names, column_names, field_columns, output_names, errors
        The parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_dynint.inspection import Explanation
    >>> explanation = Explanation(
    ...     values=np.array([[0.5, -0.25, 1.0]]),
    ...     base_values=np.array([-1.0]),
    ...     data=np.array([["u", "i", ("u", "i")]], dtype=object),
    ...     feature_names=["user", "item", "user:item"],
    ...     column_names=["user", "item"],
    ...     field_columns=[np.array([0]), np.array([1]), np.array([0, 1])],
    ... )
    >>> explanation.by_column().values
    array([[1.  , 0.25]])
    """

    def __init__(
        self,
        *,
        values: NDArray[np.float64],
        base_values: NDArray[np.float64],
        data: NDArray[np.object_] | Callable[[], NDArray[np.object_]],
        feature_names: list[str],
        column_names: list[str],
        field_columns: list[NDArray[np.int64]],
        output_names: list[Any] | None = None,
        errors: NDArray[np.float64] | None = None,
    ) -> None:
        self.values = values
        self.base_values = base_values
        self._data = data
        self.feature_names = feature_names
        self.column_names = column_names
        self.field_columns = field_columns
        self.output_names = output_names
        self.errors = errors

    @lazy_property
    def data(self) -> NDArray[np.object_]:
        """Return what the rows hold."""
        return self._data() if callable(self._data) else self._data

    def __getstate__(self) -> dict[str, Any]:
        """Leave what the data are read from out of copies and pickles."""
        return self.__dict__ | {"_data": self.data}

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Explanation:
        """Select rows by a slice, positions or a mask; a number selects one row, as rows."""
        rows = [rows] if isinstance(rows, int | np.integer) else rows
        return Explanation(
            values=self.values[rows],
            base_values=self.base_values[rows],
            data=lambda: self.data[rows],
            feature_names=self.feature_names,
            column_names=self.column_names,
            field_columns=self.field_columns,
            output_names=self.output_names,
            errors=None if self.errors is None else self.errors[rows],
        )

    def __repr__(self) -> str:
        return f"Explanation(values of shape {self.values.shape}, fields {self.feature_names})"

    @property
    def n_features(self) -> int:
        """Number of fields."""
        return len(self.feature_names)

    def by_column(self) -> Explanation:
        """Give the share of a field of several columns to these columns, in equal parts.

        A cross is a player of its own in the game that Shapley values divide; that its columns
        deserve equal parts of its share is a convention.

        Returns
        -------
        explanation : Explanation
            The shares of the columns, without errors.

        Raises
        ------
        ValueError
            If the values are those of interactions.
        """
        n_columns = len(self.column_names)
        if self.values.ndim - self.base_values.ndim != 1:
            raise ValueError("by_column divides the values of single fields, not of interactions")
        parts = np.zeros((self.n_features, n_columns))
        for j, columns in enumerate(self.field_columns):
            parts[j, columns] = 1 / len(columns)
        return Explanation(
            values=np.einsum("nf...,fc->nc...", self.values, parts),
            base_values=self.base_values,
            data=lambda: self.data[:, :n_columns],  # the fields of columns come first
            feature_names=self.column_names,
            column_names=self.column_names,
            field_columns=[np.array([j]) for j in range(n_columns)],
            output_names=self.output_names,
        )

    def to_shap(self) -> Any:
        """Make a ``shap.Explanation``, for the plots of that library.

        Returns
        -------
        explanation : shap.Explanation

        Raises
        ------
        ImportError
            If shap is not installed.
        """
        try:
            from shap import Explanation as ShapExplanation
        except ImportError as error:
            raise ImportError("to_shap needs shap: pip install shap.") from error
        return ShapExplanation(
            self.values,
            base_values=self.base_values,
            data=self.data,
            feature_names=self.feature_names,
            output_names=None if self.output_names is None else list(map(str, self.output_names)),
        )
