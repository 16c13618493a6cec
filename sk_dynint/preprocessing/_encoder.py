"""`FieldEncoder`: columns of any kind become fields of integer indices."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
)

from sk_dynint import _archive
from sk_dynint._display import DisplayMixin
from sk_dynint._sources import as_source, is_lazy
from sk_dynint._versioned import Versioned

from ._advice import MIN_ROWS, warn_of_identifiers, warn_of_strangers, warn_of_useless_columns
from ._binning import BINNINGS, NumericField
from ._column import Column
from ._columns import check_source, column_labels, read_columns
from ._counts import Counts
from ._crosses import Cross, encode_crosses
from ._decoding import check_codes, decode_fields
from ._dicts import RowReader, as_dicts, to_frame
from ._field import Field, Indices
from ._fields import FieldsMixin
from ._fitting import Fitting, Limits, count_tasks, encode_columns
from ._levels import CategoricalField
from ._list_field import ListField
from ._lists import shortened, split_strings
from ._roles import (
    column_position,
    columns_named,
    resolve_binning,
    resolve_crosses,
    resolve_separators,
)
from ._state import parts_of, prefixed
from ._streaming import fit_source, transform_source
from ._target import Sample


class FieldEncoder(DisplayMixin, FieldsMixin, Versioned, TransformerMixin, BaseEstimator):
    """Encode every column of a frame as a field of integer indices, and columns together.

    Index 0 is a rare or unseen level, 1 is a missing value, and from 2 on stand the levels that
    `fit` kept: for a categorical column its values, the most frequent first (of equally frequent
    ones the smaller first); for a numeric column its bins, in ascending order.

    Parameters
    ----------
    categorical_features : {"from_dtype", "all"} or array-like, default="from_dtype"
        Which columns are categorical; all others are numeric.

        - "from_dtype": columns that hold anything but numbers, dates or durations, in whatever
          container, and columns of pandas', polars' or Arrow's categories.
        - "all": every column.
        - names, positions or a boolean mask: these columns too.
    binning : {"auto", "winner", "authors", "literal", "quantile"} or dict, default="quantile"
        How numbers become bins; a dict gives it by column (name or position), the others are
        "quantile".

        - "winner": ``⌊(ln v)²⌋`` above 2 and every whole number up to 2 by itself.
        - "authors": ``⌊ln(v² + 1)⌋``.
        - "literal": ``⌊ln(v²)⌋``, and 0 by itself.
        - "quantile": bins that hold about equal weight; values that alone weigh as much as a bin
          have one to themselves, and so has each value if there are few.
        - "auto": "winner" for columns that look like counts (whole numbers, more than `n_bins`
          distinct ones of which at most 8 negative, 99th percentile at least 10 times the
          median), "quantile" for the others.
    n_bins : int, default=64
        Number of quantile bins to aim at. Bins may be fewer, if there are fewer values, and
        somewhat more, if some values are heavy.
    min_count : float, default=2
        A level is kept if it occurs at least this often, counted by `sample_weight`.
    threshold_numeric : bool, default=False
        Whether `min_count` holds for bins of numbers as well.
    keep_counts : bool, default=False
        Whether to keep the counts of all distinct values, rare ones included, in `counts_`, so that
        encoders of parts can be merged (:meth:`merge`). They can take many times the memory of what
        `transform` needs.
    crosses : list of tuple, default=None
        Two or more columns each, by name or position, to be encoded together as well:
        ``[("user", "item"), ("month", "day", "hour")]``. Columns of any kind may be mixed; a
        numeric one takes part by its bins. The fields of crosses come after those of the columns.
    target_statistics : bool, default=True
        Whether each cross has, beside the field of its levels, a numeric field of the mean of the
        target among the rows of a level. `fit` needs `y` then.
    separators : dict, default=None
        Columns of strings that are lists, by name or position, and what stands between their
        elements: ``{"genres": "|"}`` reads "comedy|drama" as a list of two. By default no string
        is split, as no character is a separator in all data.
    max_list_length : int, default=64
        Elements of a list that count, at most: of longer lists the first, of which `fit` warns.
        Each row of the encoded matrix has room for the longest list that `fit` met, so that a few
        very long ones would make all rows long.

    Attributes
    ----------
    cardinalities_ : ndarray of shape (n_fields,), int64
        Number of indices of each field: field `i` is encoded in ``range(cardinalities_[i])``.
        There are as many fields as columns, and those of crosses.
    slots_ : ndarray of shape (n_encoded,), int64
        The field of each column of the encoded matrix: first every field once, then those of lists
        again, for their further elements.
    field_kinds_ : list of {"categorical", "numeric", "list", "cross", "statistic"}
        What each field is: a column as it is read, the levels of a cross, or a mean of the target.
    value_kinds_ : list of str
        What each column held in `fit`: "strings", "numbers", "dates", "durations", "booleans",
        "bytes", "UUID objects" and the like, or several of these ("numbers and strings"), or
        "missing values".
    binning_ : list of str or None
        The binning of each field of numbers; None for one of levels.
    levels_ : list of DataFrame
        For each field the level (or the least and the greatest value of the bin) and the
        weighted count of each index. The level of a cross is a tuple of levels and intervals, in
        the order of the columns. Built when asked for.
    positions_ : list of ndarray of shape (cardinality,) or None
        Where the bins of each numeric field stand between 0 and 1: the share of its values below
        the middle of the bin. NaN for indices 0 and 1; None for fields of levels.
    frequencies_ : list of ndarray of shape (cardinality,) or None
        Where the levels of each categorical column or cross stand between 0 (the rarest that are
        kept, and index 0) and 1 (the most frequent), in the logarithm of one more than their
        count. NaN for index 1; None for numeric fields, and for those of fewer than 5 levels.
    counts_ : list of Counts
        How often each value of each column occurred, with ``keep_counts=True``. Counts of two parts
        can be added.
    field_columns_ : list of ndarray of shape (n_columns,)
        Positions of the columns that each field is made of: one, but for the fields of a cross.
    n_samples_seen_ : int
        Number of rows that `fit` counted.
    n_features_in_ : int
        Number of columns seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns seen by `fit`, if they are all strings.

    Notes
    -----
    The encoding is that of the paper's section 4.1.1, with these departures:

    NOTE[DIFF] The paper prints ``⌊Log(V²)⌋`` ("literal") and credits the winners of the Criteo
    contest, who used "winner"; the authors' code has "authors". All three lump small and negative
    numbers, as of standardised columns, into few bins, hence "auto"; the default is "quantile",
    which gave the better models on real data of 100,000 rows even for counts.

    NOTE[DIFF] Missing values, which the paper does not mention, have an index of their own.

    NOTE[DIFF] The paper removes levels seen less than 20 times (their code: at most 20 times); the
    default here is made for smaller data.

    NOTE[DIFF] The authors' code holds the empty string to be missing; here it is a level like any
    other, as a file reader has made missing values of empty cells where they are.

    *Numbers.* A value beyond the bins that were seen, or between them, falls in the nearest one.
    Dates are read as seconds since 1970, UTC if they have no time zone.

    *Levels* are compared as Python compares, so 1, 1.0 and ``Decimal(1)`` are one level and "1" is
    another, except that True is not 1. Equal instants are one level, whatever their time zone; they
    are decoded in UTC. It does not matter in what a column is stored: NumPy, pandas, polars, Arrow
    or objects of Python. None, NaN, NaT and `pandas.NA` are missing. A column without any value is
    allowed, with a warning: all its later values are unseen ones.

    *Lists.* A column of lists, sets or one-dimensional arrays (a tuple is one value), or of strings
    with a separator, is one categorical field, whose elements are its levels. A level is counted
    once for each row that holds it. The index of the first element stands in the field's column of
    the encoded matrix; further elements stand in columns at its end, as many for the field as its
    longest list needs, -1 where a list is shorter. An empty list is missing. Sets are sorted, and
    of strings what is empty between two separators is left out. Lists take no part in crosses.

    *Kinds.* A column may hold values of several kinds ("numbers and strings"). A kind that it did
    not hold in `fit` is an error, because all such values would be unseen: bytes for strings, say.

    *Crosses.* A level of a cross is a combination of indices of its columns. It is kept by
    `min_count` as other levels are; of equally frequent ones the smaller indices come first. A
    missing part is a part like any other, but with a rare or unseen part the whole is index 0. The
    order in which a cross names its columns does not matter.

    *Means of the target.* The numeric field of a cross bins, in about `n_bins` quantiles,
    ``(s + 10 p) / (n + 10)`` with the number n of rows of the level, that of those among them that
    are of the greater class, s, and the share p of this class in all rows. Of more than two classes
    each has such a field. Rare levels have a mean as well; only a combination that `fit` never met
    is index 0.

    A row that helped to make the mean of its own level would tell a model its label: with two rows
    in a level, most of it. Therefore `fit_transform` is *cross-fitted*, as that of
    :class:`sklearn.preprocessing.TargetEncoder`: rows are dealt to 5 folds (always the same ones
    for as many rows), and s and n are taken over the other folds; a level that the other folds do
    not hold is index 0. Bins are placed on these values. `transform` takes s and n over all rows,
    so that ``fit_transform(X, y)`` differs from ``fit(X, y).transform(X)``, and a model that learns
    from the latter trusts the means too much. The classifiers call `fit_transform`; if you encode
    training rows yourself, for :class:`sk_dynint.EncodedData`, do so too. A frozen encoder, a later
    `partial_fit` and a warm start call `transform`: give them other rows than those of `fit`.

    *Weights* are counts: a row of weight 2 and two equal rows give the same encoder to the bit, and
    a row of weight 0 is as good as absent. The order of rows does not matter. Both are true of
    means of the target but for their folds: each row is in one, by its position.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint.preprocessing import FieldEncoder
    >>> X = pd.DataFrame({"site": ["a", "b", "b", None, "c", "a"], "age": [31, 45, 31, 64, 22, 45]})
    >>> encoder = FieldEncoder(min_count=2).fit(X)
    >>> encoder.transform(X)
    array([[2, 3],
           [3, 4],
           [3, 3],
           [1, 5],
           [0, 2],
           [2, 4]], dtype=int32)
    >>> encoder.cardinalities_
    array([4, 6])
    >>> encoder.levels_[0]
          level  count
    index
    0      None      1
    1       NaN      1
    2         a      2
    3         b      2

    Two columns together, with the mean of the target:

    >>> X = pd.DataFrame({"user": ["u", "u", "v", "v"] * 10, "item": ["i", "j"] * 20})
    >>> y = [1, 0, 0, 1] * 10
    >>> encoder = FieldEncoder(crosses=[("user", "item")])
    >>> indices = encoder.fit_transform(X, y)
    >>> encoder.get_feature_names_out()
    array(['user', 'item', 'user:item', 'target mean of user:item'], dtype=object)
    >>> encoder.transform(X[:4])
    array([[2, 2, 2, 7],
           [2, 3, 3, 2],
           [3, 2, 4, 2],
           [3, 3, 5, 7]], dtype=int32)
    >>> encoder.levels_[2]
            level  count
    index
    0        None      0
    1         NaN      0
    2      (u, i)     10
    3      (u, j)     10
    4      (v, i)     10
    5      (v, j)     10

    Lists:

    >>> X = pd.DataFrame({"n": [1, 2, 1], "tags": ["a|b", "b", "b|c|a"]})
    >>> encoder = FieldEncoder(separators={"tags": "|"})
    >>> encoder.fit_transform(X)
    array([[ 2,  3,  2, -1],
           [ 3,  2, -1, -1],
           [ 2,  2,  0,  3]], dtype=int32)
    >>> encoder.slots_
    array([0, 1, 1, 1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "categorical_features": [StrOptions({"from_dtype", "all"}), "array-like"],
        "binning": [StrOptions(set(BINNINGS)), dict],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "min_count": [Interval(Real, 0, None, closed="left")],
        "threshold_numeric": ["boolean"],
        "keep_counts": ["boolean"],
        "crosses": [list, tuple, None],
        "target_statistics": ["boolean"],
        "separators": [dict, None],
        "max_list_length": [Interval(Integral, 1, None, closed="left")],
    }

    cardinalities_: NDArray[np.int64]
    slots_: NDArray[np.int64]
    field_kinds_: list[str]
    binning_: list[str | None]
    counts_: list[Counts]
    n_samples_seen_: int

    def __init__(
        self,
        *,
        categorical_features: str | ArrayLike = "from_dtype",
        binning: str | Mapping[Any, str] = "quantile",
        n_bins: int = 64,
        min_count: float = 2,
        threshold_numeric: bool = False,
        keep_counts: bool = False,
        crosses: Sequence[Sequence[Any]] | None = None,
        target_statistics: bool = True,
        separators: Mapping[Any, str] | None = None,
        max_list_length: int = 64,
    ) -> None:
        self.categorical_features = categorical_features
        self.binning = binning
        self.n_bins = n_bins
        self.min_count = min_count
        self.threshold_numeric = threshold_numeric
        self.keep_counts = keep_counts
        self.crosses = crosses
        self.target_statistics = target_statistics
        self.separators = separators
        self.max_list_length = max_list_length

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Count levels and place bins.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            Any mix of columns: pandas, polars, Arrow or array.
        y : array-like of shape (n_samples,), optional
            Labels of two or more classes: strings, bools or integers. Needed for means of the
            target of `crosses`, ignored otherwise.
        sample_weight : array-like of shape (n_samples,), optional
            How often each row counts.

        Returns
        -------
        self : FieldEncoder

        Raises
        ------
        ValueError
            If `X` is empty, holds an infinity, names a column twice, or holds strings (say) in a
            column that is to be numeric; if a parameter names a column that is not there; if all
            weights are zero; if `y` is needed and absent, has missing labels, or fractions.
        TypeError
            If `X` is sparse or holds objects that cannot be levels, such as dicts; if a column
            holds lists and something else, or lists of lists.
        """
        if is_lazy(X):
            self._fit_source(X, y, sample_weight, encodes=bool(self.crosses))
            return self
        fitting = self._check_fit_input(X, y, sample_weight)
        if fitting.crosses:  # they are made of the indices of the columns
            self._fit_encode(fitting)
        else:
            self._set_fields(*fitting.fit_columns(), [], fitting.n_samples)
        return self

    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Indices:
        """Fit and encode in one pass; faster than ``fit(...).transform(X)``.

        It gives the same indices except in fields of means of the target, which are cross-fitted
        here: use this method for the rows that a model learns from. Rows of weight 0 are encoded as
        by `transform`.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            Any mix of columns: pandas, polars, Arrow or array.
        y : array-like of shape (n_samples,), optional
            Labels; needed for means of the target of `crosses`, ignored otherwise.
        sample_weight : array-like of shape (n_samples,), optional
            How often each row counts.

        Returns
        -------
        indices : ndarray of shape (n_samples, n_fields), int32
        """
        if is_lazy(X):
            return self._fit_source(X, y, sample_weight, encodes=True)
        return self._fit_encode(self._check_fit_input(X, y, sample_weight))

    def merge(self, other: FieldEncoder) -> FieldEncoder:
        """Return the encoder of the rows of both, from their counts.

        Parameters
        ----------
        other : FieldEncoder
            Fitted on other rows of the same columns, with the same parameters and
            ``keep_counts=True``, like this one.

        Returns
        -------
        FieldEncoder
            What `fit` would have learnt from all rows together, to the bit; with fractional
            weights that are no multiples of a power of two, up to the rounding of their sums.

        Raises
        ------
        ValueError
            If the encoders differ in parameters or columns, have no counts, or have crosses: counts
            of the columns do not tell how often their values occur together.

        Examples
        --------
        >>> import pandas as pd
        >>> from sk_dynint import FieldEncoder
        >>> parts = [pd.DataFrame({"site": site}) for site in (["a", "b", "b"], ["a", "c"])]
        >>> one, two = (FieldEncoder(keep_counts=True).fit(part) for part in parts)
        >>> one.merge(two).levels_[0]["level"].tolist()  # each kept level occurs twice
        [None, nan, 'a', 'b']
        """
        for encoder in (self, other):
            check_is_fitted(encoder)
            if encoder._crosses:
                raise ValueError(
                    "encoders with crosses cannot be merged: counts of the columns do not tell "
                    "how often their values occur together"
                )
            if not hasattr(encoder, "counts_"):
                raise ValueError("an encoder can be merged if it was fitted with keep_counts=True")
        theirs = other.get_params()
        differing = {k: (v, theirs[k]) for k, v in self.get_params().items() if v is not theirs[k]}
        if any(not np.array_equal(*values) for values in differing.values()):
            raise ValueError(f"the encoders have different parameters: {differing}")
        if not np.array_equal(self._labels(), other._labels()):
            raise ValueError(
                f"the encoders have different columns: {self._labels()} and {other._labels()}"
            )
        counts = [a + b for a, b in zip(self.counts_, other.counts_, strict=True)]
        merged = clone(self)
        for name in ("n_features_in_", "feature_names_in_", "_labels_in"):
            if hasattr(self, name):
                setattr(merged, name, getattr(self, name))
        binnings, limits = merged._binnings(counts), merged._limits()
        fields = [limits.fit(*pair)[0] for pair in zip(counts, binnings, strict=True)]
        merged._set_fields(fields, counts, [], self.n_samples_seen_ + other.n_samples_seen_)
        return merged

    def equals(self, other: Any) -> bool:
        """Whether another fitted encoder gives every row the same indices, and has the same counts.

        Parameters
        ----------
        other : FieldEncoder
            Fitted too.
        """
        return (
            isinstance(other, FieldEncoder)
            and self._labels() == other._labels()
            and len(self._crosses) == len(other._crosses)
            and all(a.equals(b) for a, b in zip(self._fields, other._fields, strict=True))
            and all(a.equals(b) for a, b in zip(self._crosses, other._crosses, strict=True))
        )

    # -------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return what was learnt as arrays of numbers, numbers and strings.

        Returns
        -------
        dict
            Names such as "fields.3.counts" to values, from which :meth:`load_state_dict` restores
            the encoder without unpickling anything. Parameters and `counts_` are not part of it.

        Raises
        ------
        TypeError
            If a level has a type that cannot be stored.
        """
        check_is_fitted(self)
        state: dict[str, Any] = {
            "n_features": self.n_features_in_,
            "n_crosses": len(self._crosses),
            "n_samples_seen": self.n_samples_seen_,
            "names": [str(name) for name in getattr(self, "feature_names_in_", [])],
        }
        for j, (field, label) in enumerate(zip(self._fields, self._labels(), strict=True)):
            state |= prefixed(field.state_dict(label), f"fields.{j}.")
        for i, cross in enumerate(self._crosses):
            state |= prefixed(cross.state_dict(), f"crosses.{i}.")
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> Self:
        """Restore what :meth:`state_dict` returned.

        Parameters
        ----------
        state : dict
            The state.

        Returns
        -------
        self : FieldEncoder
        """
        fields: list[Field] = []
        states, crossed = parts_of(state, "fields"), parts_of(state, "crosses")
        for j in range(state["n_features"]):
            own = states[j]
            kind = ListField if "width" in own else CategoricalField
            fields.append((NumericField if own["is_numeric"] else kind).from_state(own))
        crosses = [Cross.from_state(crossed[i]) for i in range(state["n_crosses"])]
        self.n_features_in_ = state["n_features"]
        if state["names"]:
            self.feature_names_in_ = np.array(state["names"], dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._set_fields(fields, [], crosses, state["n_samples_seen"])
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the encoder to one file, without code: see :func:`sk_dynint.load`.

        `counts_` is not saved.

        Parameters
        ----------
        path : path
            Where to write it; it appears whole or not at all.

        Raises
        ------
        TypeError
            If a level has a type that cannot be stored.
        """
        check_is_fitted(self)
        _archive.write(path, type(self).__name__, self)

    def transform(self, X: Any) -> Indices:
        """Encode.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features), dict or list of dicts
            Columns as in `fit`, in the same order.  A row may be a dict of the values of all
            columns by their names, in any order.

        Returns
        -------
        indices : ndarray of shape (n_samples, n_fields), int32
            With lists (n_samples, n_encoded), see `slots_`.

        Raises
        ------
        ValueError
            If the columns are not those of `fit`, in name, order or what they hold. Unseen levels
            and missing values are no reason.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return transform_source(self, as_source(X).select(self._labels()))
        if (rows := as_dicts(X)) is not None:
            return self.encode_dicts(rows)
        n_columns, labels = len(self._fields), self._labels()
        n_crossed = len(self.cardinalities_) - n_columns
        indices, shares = encode_columns(self._read(X, reset=False), self._fields, n_crossed)
        warn_of_strangers(labels, self._fields, shares)
        encode_crosses(self._crosses, indices, n_columns)
        return indices

    def encode_dicts(self, rows: Sequence[Mapping[Any, Any]]) -> Indices:
        """Encode rows as dicts: what `transform` does, for callers that know that it is fitted.

        Parameters
        ----------
        rows : list of dict
            The values of all columns by their names, in any order.

        Returns
        -------
        indices : ndarray of shape (n_samples, n_encoded), int32
        """
        indices = np.empty((len(rows), len(self.cardinalities_)), dtype=np.int32)
        if not self._reader.read(rows, indices):
            return self.transform(to_frame(rows, self._labels()))
        encode_crosses(self._crosses, indices, len(self._fields))
        return indices

    def inverse_transform(self, X: ArrayLike) -> pd.DataFrame:
        """Decode: give each index a value that `transform` encodes as that index.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_encoded)
            Field indices. Those of crosses are not used.

        Returns
        -------
        table : DataFrame of shape (n_samples, n_features)
            Levels, and for numeric columns the middle of what fell in the bin in `fit` (of its
            absolute value where the binning loses the sign; dates in UTC). Index 1 is missing, and
            so is 0, which stands for no level in particular. Lists are lists.
        """
        check_is_fitted(self)
        labels = self._names(self._labels())
        codes = check_codes(X, self.cardinalities_, self.slots_, labels)
        names = getattr(self, "feature_names_in_", _check_feature_names_in(self))
        values = decode_fields(self._fields, codes, self.slots_)
        return pd.DataFrame(dict(enumerate(values))).set_axis(names, axis=1)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Return the names of the fields.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the columns; by default those of `fit`, or "x0", "x1", ... if it knows none.

        Returns
        -------
        names : ndarray of str, shape (n_encoded,)
            A column's field has the name of the column; those of a cross are called "user:item",
            in the order of the columns, and "target mean of user:item", with ", class c" for each
            of more than two classes. The columns of further elements of lists are called "tags[1]",
            "tags[2]" and so on.
        """
        check_is_fitted(self)
        columns = _check_feature_names_in(self, input_features)
        further = (
            f"{name}[{i}]"
            for name, field in zip(columns, self._fields, strict=True)
            for i in range(1, field.width)
        )
        return np.array([*self._names(columns), *further], dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        tags.target_tags.required = bool(self.crosses) and self.target_statistics
        return tags

    def _fit_encode(self, fitting: Fitting) -> Indices:
        indices, fields, counts, crosses = fitting.fit_encode()
        self._set_fields(fields, counts, crosses, len(indices))
        return indices

    def _check_fit_input(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> Fitting:
        """Check what `fit` is given against the parameters."""
        self._validate_params()
        columns = shortened(self._read(X, reset=True), self.max_list_length)
        weight = self._checked_weight(sample_weight, len(columns[0]))
        crosses = resolve_crosses(self.crosses, columns)
        sample = self._sample(crosses, len(columns[0]), y, weight)
        tasks = count_tasks(columns, weight, self.categorical_features, self.binning)
        return Fitting(columns, weight, tasks, self._limits(), crosses, sample)

    def _checked_weight(self, sample_weight: Any, n_samples: int) -> NDArray[np.float64] | None:
        """Return the weights of the rows, if there are any, checked."""
        if sample_weight is None:
            return None
        weight = _check_sample_weight(
            sample_weight, np.empty(n_samples), dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight

    def _sample(
        self, crosses: Sequence[Any], n_samples: int, y: Any, weight: NDArray[np.float64] | None
    ) -> Sample | None:
        """Return what crosses need to know of the rows, if there are any crosses."""
        if not crosses:
            return None
        if y is None and self.target_statistics:
            raise ValueError(
                "This encoder requires y to be passed, but the target y is None: crosses have "
                "means of the target; pass y, or target_statistics=False"
            )
        return Sample.of(n_samples, y if self.target_statistics else None, weight)

    def _fit_source(self, X: Any, y: Any, sample_weight: Any, *, encodes: bool) -> Any:
        """Fit to a table that is read in parts; return its indices if it is to be encoded."""
        self._validate_params()
        source = as_source(X)
        weight = self._checked_weight(sample_weight, len(source))
        crosses = resolve_crosses(self.crosses, columns_named(source.columns))
        sample = self._sample(crosses, len(source), y, weight)
        check_source(self, source)
        indices, fitted = fit_source(self, source, weight, crosses, sample, encodes=encodes)
        self._set_fields(*fitted, len(source))
        return indices

    def _read(self, X: Any, *, reset: bool) -> list[Column]:
        """Check a table and return its columns; strings with a separator are lists."""
        columns = read_columns(self, X, reset=reset)
        for j, separator in resolve_separators(self.separators, columns).items():
            columns[j] = split_strings(columns[j], separator)
        return columns

    def _limits(self) -> Limits:
        return Limits(self.n_bins, self.min_count, self.min_count if self.threshold_numeric else 0)

    def _binnings(self, counts: Sequence[Counts]) -> list[str]:
        """Return the binning of each column of which there are counts."""
        return resolve_binning(self.binning, counts, [not c.is_numeric for c in counts])

    def _names(self, columns: Sequence[Any]) -> list[Any]:
        """Names of the fields, given those of the columns."""
        return [*columns, *(name for cross in self._crosses for name in cross.names(columns))]

    def _labels(self) -> list[Any]:
        """Names of the columns, or their positions."""
        return column_labels(self)

    def _set_fields(
        self,
        fields: Sequence[Field],
        counts: Sequence[Counts],
        crosses: Sequence[Cross],
        n_samples: int,
    ) -> None:
        self._fields, self._crosses = list(fields), list(crosses)
        self._reader = RowReader(fields, self._labels())
        self.n_samples_seen_ = n_samples
        cardinalities = [field.cardinality for field in fields]
        self.field_kinds_ = [field.name for field in fields]
        self.binning_ = [
            field.binning if isinstance(field, NumericField) else None for field in fields
        ]
        for cross in crosses:
            cardinalities += cross.cardinalities
            self.field_kinds_ += ["cross", *["statistic"] * len(cross.statistics)]
            self.binning_ += [None, *(field.binning for field in cross.statistics)]
        self.cardinalities_ = np.array(cardinalities, dtype=np.int64)
        further = np.repeat(np.arange(len(fields)), [field.width - 1 for field in fields])
        self.slots_ = np.concatenate([np.arange(len(cardinalities)), further])
        if self.keep_counts and counts:
            self.counts_ = [each.compact() for each in counts]
        elif hasattr(self, "counts_"):
            del self.counts_
        if counts and n_samples >= MIN_ROWS:
            warn_of_useless_columns(fields, counts, self.min_count)
            named = self.binning if isinstance(self.binning, Mapping) else ()
            known = [counts[column_position(key, counts, "binning")].label for key in named]
            warn_of_identifiers(counts, self.n_bins, known)
