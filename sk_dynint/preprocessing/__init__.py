"""Preprocessing: a table of columns becomes a matrix of field indices."""

from ._arrow import arrow_to_pandas, extension_to_pandas
from ._columns import check_frame, check_source, column_labels, unfrozen
from ._dicts import as_dicts, to_frame
from ._encoder import FieldEncoder
from ._held_out import means_without
from ._lists import holds_lists, read_lists
from ._onnx import PREFIX, EncoderGraph
from ._screening import find_crosses
from ._streaming import encoded_parts
from ._unseen import unseen_rates

__all__ = [
    "PREFIX",
    "EncoderGraph",
    "FieldEncoder",
    "arrow_to_pandas",
    "as_dicts",
    "check_frame",
    "check_source",
    "column_labels",
    "encoded_parts",
    "extension_to_pandas",
    "find_crosses",
    "holds_lists",
    "means_without",
    "read_lists",
    "to_frame",
    "unfrozen",
    "unseen_rates",
]
