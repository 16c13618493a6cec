"""How a loop is compiled."""

# mypy: disable-error-code="no-untyped-call, call-arg, attr-defined"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import carray, njit, types
from numba.extending import intrinsic

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",  # x / 0 is infinite
    # Sums in any order and fused multiply-adds; but NaN and infinity stay what they are, because
    # they tell of a run that diverges.
    "fastmath": {"contract", "reassoc", "arcp", "nsz"},
}


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, once for the types of its arguments.

    The result is kept on disk, beside the file or in the user's folder for caches (see numba's
    ``NUMBA_CACHE_DIR``), where one of them can be written to.
    """
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # there is no such folder
        return njit(**OPTIONS)(function)


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Take an integer for the address of float32 numbers."""
    signature = types.CPointer(types.float32)(address)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, generate


@loop
def floats_at(address: Any, size: Any) -> Any:
    """View `size` float32 numbers at an address as an array."""
    return carray(_pointer(address), (size,))
