"""Tables that are read in parts: files and plans of queries that may be larger than memory."""

from ._open import as_source, is_lazy, opened
from ._parts import Table
from ._source import Source, as_frame
from ._store import Store, folder_for
from ._text import MISSING_TEXTS, SEPARATORS, numbers_of_texts, without_missing_texts
from ._values import count_values, merged_values, n_entries, release_memory, values_by_file

__all__ = [
    "MISSING_TEXTS",
    "SEPARATORS",
    "Source",
    "Store",
    "Table",
    "as_frame",
    "as_source",
    "count_values",
    "folder_for",
    "is_lazy",
    "merged_values",
    "n_entries",
    "numbers_of_texts",
    "opened",
    "release_memory",
    "values_by_file",
    "without_missing_texts",
]
