"""Trial runs of the layers and bodies that users bring, before any data is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint._process import no_fork, resolve_device, seeded
from sk_dynint._warnings import warnings_ignored
from sk_dynint.interactions import InteractionLayer, InteractionStack, split_subspaces

N_ROWS = 2
TRIALS = ((3, torch.float32), (4, torch.float64))
"""Number of fields and precision of each trial.  `fit` needs both precisions; and with either three
or four fields the axes of a layer differ in length, so that a wrong order is noticed."""


@dataclass(frozen=True)
class Contract:
    """What a class must fulfil.

    Parameters
    ----------
    base : type
        Its base class.
    home : str
        Module that users import the base class from.
    sizes : str
        First arguments of its constructor.
    passed_on : str
        What the constructor of the base class takes of them.
    arguments : str
        Arguments of `forward`.
    axes : str
        Axes of what `forward` returns.
    """

    base: type[nn.Module]
    home: str
    sizes: str
    passed_on: str
    arguments: str
    axes: str


LAYER = Contract(
    *(InteractionLayer, "sk_dynint.interactions"),
    *("width, depth", "width, depth", "x, x0", "(rows, depth, width)"),
)
BODY = Contract(
    *(Body, "sk_dynint.baselines"),
    *("n_fields, embedding_dim", "", "embedding", "(rows,)"),
)


def resolve(parameter: str, value: Any, register: Mapping[str, type], contract: Contract) -> Any:
    """Look a name up in a register, or take a class that a user brings.

    Raises
    ------
    ValueError
        If `value`, which is that of `parameter`, is neither.
    """
    part = register.get(value) if isinstance(value, str) else value
    if isinstance(part, type) and issubclass(part, contract.base):
        return part
    raise ValueError(
        f"{parameter}={value!r}; it must be one of {sorted(register)} or a subclass of "
        f"{contract.home}.{contract.base.__name__}"
    )


def option_names(part: type[nn.Module]) -> set[str]:
    """Names of the options of a layer or body, which are passed by keyword."""
    parameters = inspect.signature(part).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_options(
    parameter: str, options: Mapping[str, Any] | None, allowed: set[str], of: str
) -> None:
    """Refuse options, given as `parameter`, that a part does not have."""
    if unknown := set(options or {}) - allowed:
        raise ValueError(
            f"{parameter} has {sorted(unknown)}; {of} takes {sorted(allowed) or 'none'}"
        )


def try_layer(
    layer: type[InteractionLayer],
    make_stack: Callable[[int, int], InteractionStack],
    embedding_dim: int,
    device: str | torch.device,
) -> None:
    """Run the first interaction layer of small stacks.

    Parameters
    ----------
    layer : type
        Class of the layers.
    make_stack : callable
        ``make_stack(n_fields, embedding_dim)`` returns a stack of such layers.
    embedding_dim : int
        D.
    device : str or torch.device
        Where to run it.

    Raises
    ------
    TypeError or ValueError
        If the class does not fulfil the contract of :class:`InteractionLayer`.
    """
    for n_fields, dtype in TRIALS:
        with _aside(device) as where:
            stack = _built(layer, LAYER, make_stack, n_fields, embedding_dim)
            embedding = torch.randn(N_ROWS, n_fields, embedding_dim, dtype=dtype, device=where)
            x = split_subspaces(embedding, stack.n_subspaces)
            for part in stack.layers[:1]:
                _run(part, LAYER, (x, x.clone()), tuple(x.shape))


def try_body(
    body: type[Body],
    make_body: Callable[[int, int], Body],
    embedding_dim: int,
    device: str | torch.device,
) -> None:
    """Run small bodies; parameters and errors are those of :func:`try_layer`."""
    for n_fields, dtype in TRIALS:
        with _aside(device) as where:
            part = _built(body, BODY, make_body, n_fields, embedding_dim)
            embedding = torch.randn(N_ROWS, n_fields, embedding_dim, dtype=dtype, device=where)
            _run(part, BODY, (embedding,), (N_ROWS,))


@contextmanager
def _aside(device: str | torch.device) -> Iterator[torch.device]:
    """Context without warnings that leaves torch's generator as it was."""
    where = resolve_device(device)
    with seeded(0, where), warnings_ignored(), no_fork():
        yield where


def _built(
    part: type[nn.Module], contract: Contract, make: Callable[[int, int], Any], *sizes: int
) -> Any:
    """Build a body that is such a part, or consists of such parts."""
    if part.forward is contract.base.forward:
        raise TypeError(
            f"{part.__name__} has no forward; it must define forward({contract.arguments})"
        )
    try:
        body = make(*sizes)
        list(body.parameters())  # fails if the base class was not initialised
    except (TypeError, AttributeError) as error:
        raise TypeError(
            f"{part.__name__} cannot be built: {error}; its __init__ must take {contract.sizes}, "
            f"then options by keyword, and begin with super().__init__({contract.passed_on})"
        ) from error
    return body


def _run(
    part: nn.Module, contract: Contract, inputs: tuple[Tensor, ...], shape: tuple[int, ...]
) -> None:
    """Compare what a part returns with what it must return."""
    part.to(inputs[0])
    name, dtype = f"{type(part).__name__}.forward", inputs[0].dtype
    try:
        out = part(*inputs)
    except Exception as error:
        given = f"{contract.arguments} of shape {tuple(inputs[0].shape)} and {dtype}"
        raise ValueError(f"{name} failed on {given}: {error}") from error
    if not isinstance(out, Tensor):
        raise TypeError(
            f"{name} returned {type(out).__name__}, it must return a tensor: {contract.axes}"
        )
    if out.shape != shape:
        raise ValueError(
            f"{name} returned shape {tuple(out.shape)}, it must return {shape}: {contract.axes}"
        )
    if out.dtype != dtype:
        raise ValueError(f"{name} returned {out.dtype} from {dtype}, it must keep the dtype")
