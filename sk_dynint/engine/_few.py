"""A few rows: all members of a model at once, without torch's operations.

For one row, the operations of a network take many times as long as their arithmetic.  With numba
two calls do it all, see `sk_dynint._compiled._few`; without it there is the module itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from sk_dynint._compiled import compiled_loops
from sk_dynint._module import CTRModule, Ensemble, FieldEmbedding, members_of
from sk_dynint.engine.kernels import find_kernel
from sk_dynint.interactions import (
    PIN,
    DynamicActivation,
    DynamicGeneratedParameters,
    DynamicWeightedParameters,
    InteractionLayer,
)


class RowLoop(NamedTuple):
    """The compiled loop of a variant: its name, and what it has to know of a layer's options."""

    name: str
    options: Callable[[Any], tuple[Any, ...]]


def _n_hidden(layer: Any) -> int:
    return len(layer.gate.hidden.bias)


ROW_LOOPS: dict[type[InteractionLayer], RowLoop] = {
    PIN: RowLoop("pin_rows", lambda layer: ()),
    DynamicActivation: RowLoop("da_rows", lambda layer: (_n_hidden(layer),)),
    DynamicGeneratedParameters: RowLoop("dgp_rows", lambda layer: (_n_hidden(layer), layer.rank)),
    DynamicWeightedParameters: RowLoop(
        "dwp_rows", lambda layer: (_n_hidden(layer), layer.offset.flatten().float().numpy())
    ),
}
"""Layer type -> the loop that computes stacks of such layers, as far as their kernel serves them.
It takes the parameters of a layer in their order."""


class FewRows:
    """Logits of a few rows, by parameters that are read where they lie.

    Nothing is written between calls, so that threads can share it.

    Parameters
    ----------
    module : CTRModule or Ensemble
        One that it :meth:`serves`.
    """

    def __init__(self, module: CTRModule | Ensemble) -> None:
        self.module = module
        members = members_of(module)
        bodies: list[Any] = [member.body for member in members]
        stack, table = bodies[0], members[0].embedding
        layer = stack.layers[0]
        self.loops: Any = compiled_loops(module.bias)
        self.loop = getattr(self.loops, ROW_LOOPS[type(layer)].name)
        self.options = ROW_LOOPS[type(layer)].options(layer)
        self.n_members, self.depth, self.width = len(members), layer.depth, layer.width
        self.embedding_shape = layer.width // stack.n_subspaces, layer.depth * stack.n_subspaces
        tables = _addresses(_table_parameters(member.embedding) for member in members)
        self.lookup = *_shared(table), tables, table.oov == "zero"
        of_layers = _addresses(body.layers.parameters() for body in bodies)
        self.layers = of_layers.reshape(len(members), len(stack.layers), -1)
        outputs = [body.output for body in bodies]
        ends = _addresses(zip(outputs, [member.bias for member in members], strict=True))
        self.ends = np.insert(ends, 1, len(stack.output), axis=1)
        self.parameters = list(module.parameters())
        self.memory = [p.detach() for p in self.parameters]  # stays as long as this does
        self.places = [p.data_ptr() for p in self.parameters]
        owners: list[dict[str, Any]] = []
        for part in module.modules():
            owners += [part._modules, part._parameters]
        self.owners = [owner for owner in owners for _ in owner]
        self.names = [name for owner in owners for name in owner]
        self.parts = self._parts()

    @classmethod
    def of(cls, module: CTRModule | Ensemble) -> FewRows | None:
        """Return one for a module, if there are loops for it."""
        return cls(module) if cls.serves(module) else None

    @staticmethod
    def serves(module: CTRModule | Ensemble) -> bool:
        """Whether there are loops for a module: one logit, single precision, on the processor."""
        return all(
            type(member) is CTRModule
            and type(member.embedding) is FieldEmbedding
            and member.embedding.places is None
            and member.first_order is None
            and member.bias.ndim == 0
            and find_kernel(member.body) is not None
            and type(next(iter(member.body.layers))) in ROW_LOOPS  # type: ignore[arg-type]
            and all(compiled_loops(parameter) for parameter in member.parameters())
            for member in members_of(module)
        )

    def is_valid(self, module: nn.Module) -> bool:
        """Whether it is of this module, whose parameters are still where they were."""
        return (
            module is self.module
            and compiled_loops(self.parameters[0]) is self.loops
            and all(map(is_, self._parts(), self.parts))
            and list(map(Tensor.data_ptr, self.parameters)) == self.places
        )

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make None of copies and pickles: the addresses are those of this module."""
        return type(None), ()

    def _parts(self) -> list[Any]:
        """Return what the module consists of now."""
        get: Any = dict.get
        return list(map(get, self.owners, self.names))

    def logits(self, indices: ArrayLike) -> NDArray[np.float32]:
        """Return the logit of each row of indices, (B, C) -> (B,)."""
        indices = np.asarray(indices).astype(np.int64, order="C")
        n_rows, real = len(indices), np.float32
        embedding, out = np.empty((n_rows, *self.embedding_shape), real), np.empty(n_rows, real)
        x0 = np.empty((self.n_members, n_rows, self.depth, self.width), real)
        self.loops.look_up(indices, *self.lookup, embedding, x0)
        self.loop(x0, self.layers, self.ends, *self.options, out)
        return out


def _shared(table: FieldEmbedding) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Return what `look_up` has to know of columns, and the weights of what is added to rows."""
    offsets = table.offsets.numpy().astype(np.int64)
    columns = np.full((len(offsets), 5), -1)
    columns[:, 0] = offsets
    columns[:, 1] = np.arange(len(offsets))
    if table.pooling is not None:
        columns[:, 1] = table.pooling.slots.numpy()
    basis, weights = np.empty((0, 0, 0), np.float32), np.empty((0, 2), np.float32)
    if table.numeric is not None:
        basis = table.numeric.basis.numpy()
        columns[table.numeric.columns.numpy(), 2] = np.arange(len(basis))
    if table.frequency is not None:
        weights = table.frequency.weights.numpy()
        columns[table.frequency.columns.numpy(), 3] = table.frequency.owners.numpy()
        columns[:, 4] = len(table.frequency.fields)
    return columns, basis, weights


def _table_parameters(table: FieldEmbedding) -> Iterable[Tensor | None]:
    """Return what `look_up` reads of a member's table."""
    numeric, frequency = table.numeric, table.frequency
    return table.weight, getattr(numeric, "knots", None), getattr(frequency, "ends", None)


def _addresses(parameters: Iterable[Iterable[Tensor | None]]) -> NDArray[np.int64]:
    """Return the addresses of the tensors of each member; 0 for None."""
    return np.array([[0 if p is None else p.data_ptr() for p in own] for own in parameters])
