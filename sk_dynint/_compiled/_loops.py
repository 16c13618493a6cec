"""All loops that numba compiles; :func:`sk_dynint._compiled.compiled_loops` imports this file."""

from sk_dynint._compiled._few import da_rows, dgp_rows, dwp_rows, look_up, pin_rows
from sk_dynint._compiled._rows import ftrl, ftrl_rows, row_keys, sum_by_key
from sk_dynint._compiled._stack import (
    gated_recursion,
    gated_recursion_backward,
    merge,
    recursion,
    recursion_backward,
    relu_backward,
    split,
)

__all__ = [
    "da_rows",
    "dgp_rows",
    "dwp_rows",
    "ftrl",
    "ftrl_rows",
    "gated_recursion",
    "gated_recursion_backward",
    "look_up",
    "merge",
    "pin_rows",
    "recursion",
    "recursion_backward",
    "relu_backward",
    "row_keys",
    "split",
    "sum_by_key",
]
