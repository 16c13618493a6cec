"""Arrow columns, from polars or pyarrow; the only file that imports pyarrow, which is optional."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._cells import plain_number


def arrow_to_pandas(X: Any) -> Any:
    """Convert a frame with an Arrow interface (polars, pyarrow, ...) to pandas; return others."""
    if isinstance(X, pd.DataFrame):
        return X
    if hasattr(X, "collect_schema") and hasattr(X, "collect"):
        raise TypeError("X is a LazyFrame, which holds a plan and no rows; pass X.collect()")
    if not (hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns")):
        return X
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError(
            f"A {type(X).__module__.partition('.')[0]} frame is read through pyarrow: "
            "pip install 'sk-dynint[arrow]', or pass a pandas frame."
        ) from error
    objects = objects_of_polars(X)
    names = list(X.columns) if objects else None
    try:
        table = pa.table(X.drop(list(objects)) if objects else X)
    except pa.ArrowException as error:
        raise TypeError(f"X has a column that Arrow cannot hold ({error}); cast it") from error
    columns: dict[int, pd.Series] = {}
    for name, column in zip(table.column_names, table.itercolumns(), strict=True):
        try:
            columns[len(columns)] = column_to_pandas(column)
        except pa.ArrowException as error:
            raise TypeError(
                f"column {name!r} holds {column.type}, which can be neither levels nor numbers"
            ) from error
    frame = pd.DataFrame(columns, copy=False).set_axis(table.column_names, axis=1)
    return frame.assign(**objects)[names] if objects else frame


def objects_of_polars(X: Any) -> dict[str, pd.Series]:
    """Return the columns of objects of Python in a polars frame; Arrow would get addresses."""
    if not hasattr(X, "get_column"):
        return {}
    return {
        name: pd.Series(X.get_column(name).to_list(), dtype=object)
        for name, dtype in X.schema.items()
        if str(dtype) == "Object"
    }


def column_to_pandas(column: Any) -> pd.Series:
    """Return an Arrow column as a pandas one without Arrow types, except for strings."""
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, pa.UuidType) or _is_list(kind):
        return pd.Series(column.to_pylist(), dtype=object)
    if isinstance(kind, pa.BaseExtensionType):
        return column_to_pandas(column.cast(kind.storage_type))
    if _is_string(kind):
        strings = pd.StringDtype("pyarrow")
        return column.cast(pa.large_string()).to_pandas(types_mapper=lambda _: strings)
    if pa.types.is_dictionary(kind) and _is_string(kind.value_type):
        # As polars has them, not every pyarrow can convert them.
        column = column.cast(pa.dictionary(pa.int32(), pa.large_string()))
    elif pa.types.is_decimal(kind):
        return _decimals_to_pandas(column)
    if pa.types.is_integer(column.type) and column.null_count:
        # Not float64, which holds whole numbers up to 2^53 only.
        nullable = pd.api.types.pandas_dtype(
            str(column.type).replace("int", "Int").replace("uI", "UI")
        )
        return column.to_pandas(types_mapper=lambda _: nullable)
    return column.to_pandas(date_as_object=False)


def _decimals_to_pandas(column: Any) -> pd.Series:
    """Return decimals as integers if they are whole and small enough, as objects otherwise."""
    import pyarrow as pa

    if column.type.scale == 0:
        for integer in (pa.int64(), pa.uint64()):
            with suppress(pa.ArrowInvalid):
                return column_to_pandas(column.cast(integer))
    found = pa.chunked_array([column.combine_chunks().dictionary_encode()]).unify_dictionaries()
    (chunk,) = found.chunks
    distinct = [
        None if value is None else plain_number(value) for value in chunk.dictionary.to_pylist()
    ]
    numbers = np.array([*distinct, None], dtype=object)
    return pd.Series(numbers[chunk.indices.fill_null(-1).to_numpy()], dtype=object)


def _is_string(kind: Any) -> bool:
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def extension_to_pandas(series: pd.Series) -> pd.Series:
    """Return a pandas series of an Arrow type as one without."""
    import pyarrow as pa

    return column_to_pandas(pa.chunked_array(series.array.__arrow_array__()))


def is_arrow_backed(values: Any) -> bool:
    """Whether these are strings that Arrow holds."""
    dtype = values.dtype
    return isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"


def arrow_keys(values: Any) -> NDArray[np.object_]:
    """Return strings that Arrow holds as Python's, NaN where they are missing."""
    strings = values.__arrow_array__()
    keys = strings.to_numpy(zero_copy_only=False)
    if strings.null_count:
        keys[np.asarray(strings.is_null())] = np.nan
    return keys


def arrow_positions(levels: pd.Index, values: Any) -> NDArray[np.integer]:
    """Return the position of each Arrow string in `levels`, -1 if it is not there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = pa.chunked_array(values.__arrow_array__())
    value_set = pa.array(levels, type=strings.type, from_pandas=True)
    return pc.index_in(strings, value_set=value_set).fill_null(-1).to_numpy()
