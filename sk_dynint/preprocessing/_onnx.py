"""An encoder as nodes of an ONNX graph: raw columns in, field indices out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._binning import SCORES, NumericField
from ._cells import Truth, is_mixed
from ._column import to_float
from ._crosses import Codes, Cross
from ._encoder import FieldEncoder
from ._field import MISSING, RARE, Field
from ._levels import CategoricalField

MISSING_STRING = "<NA>"
"""The string that stands for a missing one; ONNX has no other way to say so."""

PREFIX = "sk_dynint/"
"""Of all names in a graph but those of its inputs and outputs."""

OUTPUTS = ("label", "probabilities")

MISSING_WHOLE = -(2**63)
"""The whole number that stands for a missing one, in columns that are given as whole numbers."""

_MAX_WHOLE = 2**53 - 1
"""Up to this, no two whole numbers are the same in double precision."""


class EncoderGraph:
    """Collects the nodes of an encoder.

    Parameters
    ----------
    encoder : FieldEncoder
        A fitted encoder.

    Attributes
    ----------
    inputs : list of onnx.ValueInfoProto
        A tensor (N, 1) for each column, by its name: strings, float64, or int64.
    nodes : list of onnx.NodeProto
        What makes the indices, (N, n_fields) int64, called "sk_dynint/indices".
    constants : list of onnx.TensorProto
        What they need.

    Raises
    ------
    ValueError
        If a column holds what has no counterpart in ONNX; the message names it.
    """

    def __init__(self, encoder: FieldEncoder) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._helper, self._tensors, self._types = helper, numpy_helper, TensorProto
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        names = [str(label) for label in encoder._labels()]
        if taken := set(names) & set(OUTPUTS):
            raise ValueError(f"the columns {sorted(taken)} have names of outputs; rename them")
        if "" in names:
            raise ValueError("a column has the name '', which no input can have; rename it")
        columns = [
            self._add_column(name, field)
            for name, field in zip(names, encoder._fields, strict=True)
        ]
        for i, cross in enumerate(encoder._crosses):
            columns += self._add_cross(f"{PREFIX}cross {i}", cross, columns)
        self._add("Concat", columns, f"{PREFIX}indices", axis=1)

    def _add(
        self, kind: str, inputs: Sequence[str], name: str, domain: str = "", **options: Any
    ) -> str:
        """Add a node; return the name of its output."""
        node = self._helper.make_node(kind, inputs, [name], name=name, domain=domain, **options)
        self.nodes.append(node)
        return name

    def _constant(self, name: str, values: Any, dtype: Any) -> str:
        """Add a constant; return its name."""
        self.constants.append(self._tensors.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def _add_column(self, name: str, field: Field) -> str:
        """Add input and nodes of a column; return the name of its indices, (N, 1)."""
        holds = f"column {name!r} holds {field.held}, "
        if field.is_list or is_mixed(field.kind):
            raise ValueError(f"{holds}which an ONNX graph cannot read; use raw_inputs=False")
        at = f"{PREFIX}{name}"
        if isinstance(field, NumericField):
            self._add_input(name, self._types.DOUBLE)
            return self._add_bins(name, at, field)
        assert isinstance(field, CategoricalField)
        if field.kind == "strings":
            self._add_input(name, self._types.STRING)
            return self._add_texts(name, at, field)
        keys = [key for key in map(_whole, field.levels[1:]) if key is not None]
        if len(keys) < len(field.levels) - 1:
            raise ValueError(
                f"{holds}of which some are no whole numbers of 64 bits, and an ONNX graph cannot "
                "look them up; use raw_inputs=False"
            )
        if max(map(abs, keys), default=0) <= _MAX_WHOLE:
            self._add_input(name, self._types.DOUBLE)
            return self._add_numbers(name, at, keys)
        self._add_input(name, self._types.INT64)
        values = [*range(2, 2 + len(keys)), MISSING]
        return self._lookup(
            name, f"{at}: indices", values, RARE, keys_int64s=[*keys, MISSING_WHOLE]
        )

    def _add_input(self, name: str, kind: int) -> None:
        """Add the input of a column."""
        self.inputs.append(self._helper.make_tensor_value_info(name, kind, ["N", 1]))

    def _add_texts(self, name: str, at: str, field: CategoricalField) -> str:
        """Look strings up."""
        if MISSING_STRING in field.levels:
            raise ValueError(
                f"column {name!r} has the level {MISSING_STRING!r}, which stands for missing "
                "strings in an ONNX graph; use raw_inputs=False"
            )
        known = [(key, i) for i, key in enumerate(field.levels[1:], start=2) if _is_unicode(key)]
        keys, values = zip(*known, (MISSING_STRING, MISSING), strict=True)
        return self._lookup(name, f"{at}: indices", values, RARE, keys_strings=list(keys))

    def _add_numbers(self, name: str, at: str, keys: Sequence[int]) -> str:
        """Look whole numbers up; fractions and numbers that are too large are unseen."""
        whole = self._add(
            "Cast",
            [name],
            f"{at}: whole",
            to=self._types.INT64,
        )
        found = self._lookup(whole, f"{at}: found", range(2, 2 + len(keys)), RARE, keys_int64s=keys)
        again = self._add(
            "Cast",
            [whole],
            f"{at}: again",
            to=self._types.DOUBLE,
        )
        is_whole = self._add("Equal", [again, name], f"{at}: is whole")
        rare = self._constant(f"{at}: rare", RARE, np.int64)
        known = self._add("Where", [is_whole, found, rare], f"{at}: known")
        return self._or_missing(name, at, known)

    def _add_bins(self, name: str, at: str, field: NumericField) -> str:
        """Count the edges that a number has reached."""
        of = "Abs" if field.binning in ("authors", "literal") else "Identity"
        number = self._add(of, [name], f"{at}: number")
        edges = self._constant(f"{at}: edges", [edges_of(field)], np.float64)
        reached = self._add("GreaterOrEqual", [number, edges], f"{at}: reached")
        ones = self._add(
            "Cast",
            [reached],
            f"{at}: ones",
            to=self._types.INT64,
        )
        axis = self._constant(f"{at}: axis", [1], np.int64)
        bins = self._add("ReduceSum", [ones, axis], f"{at}: bin", keepdims=1)
        index = self._constant(f"{at}: index", field.index, np.int64)
        found = self._add("Gather", [index, bins], f"{at}: found")
        return self._or_missing(name, at, found)

    def _or_missing(self, name: str, at: str, found: str) -> str:
        """Return index 1 where a number is NaN."""
        is_missing = self._add("IsNaN", [name], f"{at}: is missing")
        missing = self._constant(f"{at}: missing", MISSING, np.int64)
        return self._add("Where", [is_missing, missing, found], f"{at}: indices")

    def _add_cross(self, at: str, cross: Cross, columns: Sequence[str]) -> list[str]:
        """Look combinations of indices up."""
        parts = [columns[j] for j in cross.columns]
        code = parts[0]
        for j, part in enumerate(parts[1:], start=1):
            if (known := cross.codebook.prefixes.get(j)) is not None:
                code = self._find(known, code, f"{at}: prefix {j}", -1)  # and remains negative
            size = self._constant(f"{at}: size {j}", cross.codebook.sizes[j], np.int64)
            shifted = self._add("Mul", [code, size], f"{at}: shifted {j}")
            code = self._add("Add", [shifted, part], f"{at}: code {j}")
        place = self._find(cross.codes, code, f"{at}: place", len(cross.codes) - 1)
        found = []
        for i, indices in enumerate(cross.indices.T):
            table = self._constant(f"{at}: table {i}", indices, np.int64)
            found.append(self._add("Gather", [table, place], f"{at}: indices {i}"))
        return found

    def _find(self, known: Codes, code: str, name: str, default: int) -> str:
        """Give codes their positions among those known, of which the last one is nothing's."""
        keys = known[:-1].tolist()
        return self._lookup(code, name, range(len(keys)), default, keys_int64s=keys)

    def _lookup(
        self, given: str, name: str, values: Sequence[int], default: int, **keys: Any
    ) -> str:
        """Give keys their values."""
        options = {"values_int64s": list(values), "default_int64": default}
        if not options["values_int64s"]:  # a table without keys is refused
            options["values_int64s"] = [default]
            keys = {"keys_int64s": [-1]}
        return self._add("LabelEncoder", [given], name, "ai.onnx.ml", **options, **keys)


def edges_of(field: NumericField) -> NDArray[np.float64]:
    """Return the least number of each bin but the first.

    It is the least absolute value where the binning knows no sign.  A bin is the number of
    thresholds below the score, which rises with the number; the edges are found among all numbers
    of double precision, so that comparisons agree with the score to the bit.
    """
    score: Callable[[Any], Any] = SCORES[field.binning]
    thresholds = field.thresholds
    low = np.full(len(thresholds), _ordinal(np.array(-np.inf)))
    high = np.full(len(thresholds), _ordinal(np.array(np.inf)))
    if field.binning in ("authors", "literal"):
        low[:] = _ordinal(np.array(0.0)) - 1
    while (high > low + 1).any():  # score(low) ≤ threshold < score(high)
        middle = (low & high) + ((low ^ high) >> 1)  # a difference could overflow
        with np.errstate(invalid="ignore", over="ignore"):
            is_above = score(_number(middle)) > thresholds
        high, low = np.where(is_above, middle, high), np.where(is_above, low, middle)
    return _number(high)


def _ordinal(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return whole numbers in the order of numbers of double precision, without gaps."""
    bits = numbers.astype(np.float64).view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def _number(ordinals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Undo :func:`_ordinal`."""
    bits = np.where(ordinals < 0, np.iinfo(np.int64).min - ordinals, ordinals)
    return bits.view(np.float64)


def _whole(key: Any) -> int | None:
    """Return a level as a whole number of 64 bits, dates in seconds; None if it is no such."""
    if isinstance(key, pd.Timestamp | pd.Timedelta):
        key = to_float(np.array([key.asm8]), "dates")[0]
    key = key.value if isinstance(key, Truth) else key
    is_number = isinstance(key, int | float | np.integer | np.floating)
    if is_number and key == (number := int(key)) and MISSING_WHOLE < number < 2**63:
        return number
    return None


def _is_unicode(text: str) -> bool:
    """Whether UTF-8 has the text; one with a lone surrogate cannot reach a graph."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
