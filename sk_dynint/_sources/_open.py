"""Which tables are read in parts, and what their columns are called."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ._parts import FilePart, FramePart, naming
from ._source import Source
from ._text import SEPARATORS, numbers_of_texts, without_missing_texts

FORMATS = {".parquet": "parquet", **SEPARATORS}
"""What a file is by the end of its name: Parquet, or text with this separator."""


def is_lazy(X: Any) -> bool:
    """Whether a table is to be read in parts: a path, a LazyFrame, or a data set of Arrow."""
    if isinstance(X, Source | str | os.PathLike) or _is_lazy_frame(X):
        return True
    return _module_of(X) == "pyarrow" and hasattr(X, "get_fragments")


def as_source(X: Any) -> Source:
    """Return a table that is read in parts.

    Parameters
    ----------
    X : path, polars.LazyFrame, pyarrow.dataset.Dataset or Source
        A path is that of a file, of a folder of files, or a pattern such as "day-?.parquet". Files
        end with .parquet, .csv or .tsv; the latter two may be compressed (.csv.gz).

    Raises
    ------
    FileNotFoundError
        If there are no such files.
    ValueError
        If files are of several formats or of none of these, or their columns differ.
    ImportError
        If pyarrow or polars are not installed.
    """
    if isinstance(X, Source):
        return X
    try:
        import polars  # noqa: F401
        import pyarrow.dataset  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "tables that are read in parts need polars and pyarrow: pip install 'sk-dynint[polars]'"
        ) from error
    if _is_lazy_frame(X):
        return Source([FramePart(X)], X.clear().collect().to_arrow().schema)
    if isinstance(X, str | os.PathLike):
        return _of_files(_files(X))
    return _of_dataset(X, is_text=_is_text(X))


def opened(X: Any, y: Any, sample_weight: Any, groups: Any) -> tuple[Source, Any, Any, Any]:
    """Return a table without its labels and weights, and these columns.

    Parameters
    ----------
    X : path, LazyFrame or Dataset
        The table.
    y, sample_weight, groups : str or array-like
        Names of columns, which are read, or what they hold. Labels and weights are no features;
        groups or moments are.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    source = as_source(X)
    named = {"y": y, "sample_weight": sample_weight, "groups": groups}
    columns, features = {}, list(source.columns)
    for role, name in named.items():
        if not isinstance(name, str):
            continue
        if name not in source.columns:
            raise ValueError(f"{role}={name!r}, but the table has the columns {source.columns}")
        columns[role] = name
        if role != "groups":
            features.remove(name)
    cells = _read(source, list(dict.fromkeys(columns.values())))
    found = {role: cells[name] if role in columns else name for role, name in named.items()}
    if "y" in columns and isinstance(source.parts[0], FramePart):
        source.checked = found["y"].shrink_dtype()
    found = {r: v.to_numpy() if r in columns else v for r, v in found.items()}
    return source.select(features), found["y"], found["sample_weight"], found["groups"]


def _read(source: Source, names: Sequence[str]) -> dict[str, Any]:
    """Read some columns as a whole, in one go."""
    if not names:
        return {}
    frame = source.frame(names)
    if not source.is_text:
        return {name: frame[name] for name in names}
    texts = {name: without_missing_texts(frame[name]) for name in names}
    numbers = {name: numbers_of_texts(text) for name, text in texts.items()}
    return {name: texts[name] if numbers[name] is None else numbers[name] for name in names}


def _files(path: str | os.PathLike[str]) -> list[str]:
    """Return the files that a path, a folder or a pattern stands for, in the order of their names.

    Folders of a folder are searched too; hidden files and those that begin with "_", as other
    programs write beside data, are left out.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        found = sorted(str(p) for p in Path(name).rglob("*") if p.is_file())
        found = [f for f in found if not _is_hidden(Path(f).relative_to(name))]
        found = [f for f in found if _format(f)] or found
    elif os.path.exists(name):
        found = [name]
    else:
        found = sorted(glob.glob(name, recursive=True))
    if not found:
        raise FileNotFoundError(f"there is no file {name!r}, nor any that fits it as a pattern")
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _format(name: str) -> str | None:
    """Return what a file is by the end of its name."""
    suffixes = Path(name).suffixes[-2:]
    return next((FORMATS[suffix] for suffix in suffixes if suffix in FORMATS), None)


def _of_files(files: Sequence[str]) -> Source:
    """Return the table of files of one format."""
    import pyarrow.csv
    import pyarrow.dataset as ds

    formats = {_format(file) for file in files}
    if len(formats) > 1 or None in formats:
        odd = next((file for file in files if _format(file) != _format(files[0])), files[0])
        raise ValueError(
            f"files must all end with .parquet, .csv or .tsv (these may be compressed), but there "
            f"is {odd}"
        )
    (form,) = formats
    if form == "parquet":
        with naming(files[0]):
            dataset = ds.dataset(list(files), format="parquet")
        return _of_dataset(dataset, is_text=False, unites=True)
    parse = pyarrow.csv.ParseOptions(delimiter=form, newlines_in_values=True)
    with naming(files[0]):
        names = ds.dataset(files[0], format=ds.CsvFileFormat(parse)).schema.names
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pyarrow.string()),
            null_values=[""],
            strings_can_be_null=True,
        )
        text = ds.CsvFileFormat(parse, convert_options=convert)
        dataset = ds.dataset(list(files), format=text)
    return _of_dataset(dataset, is_text=True)


def _is_text(dataset: Any) -> bool:
    """Whether all columns of a data set are strings out of text files."""
    import pyarrow as pa

    is_csv = type(getattr(dataset, "format", None)).__name__ == "CsvFileFormat"
    return is_csv and all(field.type == pa.string() for field in dataset.schema)


def _of_dataset(dataset: Any, *, is_text: bool, unites: bool = False) -> Source:
    """Return the table of a data set of Arrow, whose files have all columns.

    If it `unites` types, whole numbers in one file and fractions in another are numbers.
    """
    fragments = list(dataset.get_fragments())
    schema = dataset.schema
    for fragment in fragments:
        with naming(getattr(fragment, "path", "the data set")):
            physical = fragment.physical_schema
        known = [*physical.names, *_names_in(fragment.partition_expression)]
        if absent := [name for name in schema.names if name not in known]:
            raise ValueError(f"{fragment.path} lacks the columns {absent}; the first file has them")
        if unites:
            schema = _united(schema, physical, fragment.path)
    parts = [part for fragment in fragments for part in _parts_of(fragment, schema)]
    described = json.dumps([str(schema), list(map(_stamp, fragments)), is_text])
    return Source(
        parts,
        schema,
        is_text=is_text,
        categories=_categories(schema),
        fingerprint=hashlib.blake2b(described.encode(), digest_size=16).hexdigest(),
    )


def _united(schema: Any, other: Any, path: str) -> Any:
    """Return a schema by which a file that has another one can be read too."""
    import pyarrow as pa

    for j, field in enumerate(schema):
        if field.name not in other.names or other.field(field.name).type == field.type:
            continue
        theirs = other.field(field.name)
        try:
            pair = [pa.schema([pa.field(field.name, each.type)]) for each in (field, theirs)]
            (one,) = pa.unify_schemas(pair, promote_options="permissive")
        except pa.ArrowException as error:
            raise ValueError(
                f"{path} holds {theirs.type} in column {field.name!r}, and others {field.type}"
            ) from error
        schema = schema.set(j, one)
    return schema


def _categories(schema: Any) -> list[str]:
    """Return the columns that Arrow or pandas had as categories when the file was written."""
    import pyarrow.types as types

    by_pandas = (schema.pandas_metadata or {}).get("columns", [])
    return [
        *(field.name for field in schema if types.is_dictionary(field.type)),
        *(c["name"] for c in by_pandas if c["pandas_type"] == "categorical"),
    ]


def _parts_of(fragment: Any, schema: Any) -> Iterator[FilePart]:
    """Yield the row groups of a file of Parquet, or another file as a whole."""
    if not hasattr(fragment, "split_by_row_group"):
        yield FilePart(fragment, schema)
        return
    with naming(fragment.path):
        groups = fragment.split_by_row_group()
    for group in groups:
        (info,) = group.row_groups
        yield FilePart(group, schema, info.num_rows, info.id)


def _names_in(expression: Any) -> list[str]:
    """Return the columns that the folders of a partitioned data set tell."""
    import pyarrow.dataset as ds

    return list(ds.get_partition_keys(expression)) if expression is not None else []


def _stamp(fragment: Any) -> list[Any]:
    """Return what changes when a file does: its path, size and time of change."""
    path = getattr(fragment, "path", "")
    if not os.path.exists(path):
        return [path]
    status = os.stat(path)
    return [os.path.abspath(path), status.st_size, status.st_mtime_ns]


def _is_lazy_frame(X: Any) -> bool:
    return _module_of(X) == "polars" and hasattr(X, "collect_schema") and hasattr(X, "collect")


def _module_of(X: Any) -> str:
    return type(X).__module__.partition(".")[0]
