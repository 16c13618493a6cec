"""A fingerprint of data: few digits that tell runs on other rows from runs on these."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.types import infer_dtype

from sk_dynint.preprocessing import arrow_to_pandas, extension_to_pandas, holds_lists, read_lists


def fingerprint(X: Any, y: ArrayLike, protocol: str = "", time: Any = None) -> str:
    """Return sixteen hexadecimal digits that change with the data and with the protocol.

    Written beside every run, they tell runs on other rows from runs on these.

    Parameters
    ----------
    X : DataFrame (pandas or polars) of shape (n_samples, n_features)
        Columns; their names and order count, the index does not. The type of a column counts where
        it changes what the values mean: integers as categories are not integers, booleans and dates
        are no numbers. Strings are the same in every type that holds strings.
    y : array-like of shape (n_samples,)
        Positions of the classes, from 0.
    protocol : str, default=""
        What else must be the same, for example the shares of a split.
    time : array-like of shape (n_samples,), default=None
        When each row happened; only the order counts.

    Returns
    -------
    fingerprint : str

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_dynint.comparison import fingerprint
    >>> X = pd.DataFrame({"site": ["a", "b"]})
    >>> len(fingerprint(X, [0, 1]))
    16
    >>> fingerprint(X, [0, 1]) == fingerprint(X[::-1], [0, 1])
    False
    """
    X = arrow_to_pandas(X)
    read = [_read_column(values) for _, values in X.items()]
    columns = pd.DataFrame({i: values for i, (values, _) in enumerate(read)}, copy=False)
    digest = hashlib.blake2b(f"{protocol} {X.shape} {list(X.columns)}".encode(), digest_size=8)
    digest.update(pd.util.hash_pandas_object(columns, index=False).to_numpy().tobytes())
    digest.update(np.asarray(y, dtype=np.int64).tobytes())
    if time is not None:
        digest.update(pd.util.hash_array(pd.factorize(np.asarray(time), sort=True)[0]).tobytes())
    if kinds := {i: kind for i, (_, kind) in enumerate(read) if kind}:
        digest.update(str(kinds).encode())
    return digest.hexdigest()


def _read_column(values: pd.Series) -> tuple[pd.Series, str]:
    """Return a column as it is hashed, and what it holds unless that is numbers or strings.

    pandas hashes a category as the integer in it, True as 1, and a date as its ticks.
    """
    if isinstance(values.dtype, pd.ArrowDtype):
        values = extension_to_pandas(values)
    dtype = values.dtype
    if dtype.kind in "iuf" or isinstance(dtype, pd.StringDtype):
        return values, ""
    if dtype.kind == "M":
        # The unit does not count. Microseconds hold every date that polars and Python hold.
        return pd.Series(pd.DatetimeIndex(values).as_unit("us"), values.index), "dates"
    if dtype.kind == "m":
        return pd.Series(pd.TimedeltaIndex(values).as_unit("us"), values.index), "durations"
    is_category = isinstance(dtype, pd.CategoricalDtype)
    cells = values.cat.categories if is_category else values
    if holds_lists(cells.to_numpy(dtype=object)):
        lists = read_lists(values.name, values.to_numpy(dtype=object))
        rows = np.split(lists.keys(), lists.lengths.cumsum()[:-1])
        return pd.Series(["\0".join(map(str, row)) for row in rows], values.index), lists.holds
    held = infer_dtype(cells.astype(object), skipna=True)
    if held in ("string", "empty"):
        return values, ""
    if held == "boolean" and not is_category:
        return values.astype("boolean"), "booleans"
    return values, f"{held} as levels"
