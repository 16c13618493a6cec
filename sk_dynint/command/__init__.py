"""The command ``python -m sk_dynint``: compare models on a table, fit one, predict with it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from ._parser import PROGRAM, make_parser

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None means those of the process.

    Raises
    ------
    SystemExit
        If an argument, or what it leads to, is wrong.
    """
    args = make_parser().parse_args(argv)
    # Imported only now, so that --help does not wait for torch.
    command = importlib.import_module(f"{__name__}._{args.command}")
    try:
        command.run(args)
    except (ValueError, TypeError, ImportError, OSError, MemoryError) as error:
        raise SystemExit(f"{PROGRAM} {args.command}: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit(f"{PROGRAM} {args.command}: interrupted") from None
