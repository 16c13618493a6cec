"""Which options the estimators give to which parameters, and the optimizer's state by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sk_dynint.optim._adam import RowAdam

Options = dict[str, Any]

OPTIMIZER_DEFAULTS: dict[Any, tuple[Options, Options]] = {
    "ftrl": ({"lr": 0.04}, {"lr": 0.2, "group": True}),
    "adam": ({"lr": 1e-3}, {}),
}
"""Register name -> options of all parameters, and what differs for the embedding table."""

FALLBACK: tuple[Options, Options] = ({"lr": 1e-3}, {})
"""The same for an optimizer class of the user's."""


class OptimizerPolicy(NamedTuple):
    """An optimizer and its options: for all parameters, and what differs for the tables."""

    optimizer: type[torch.optim.Optimizer]
    options: Options
    table_options: Options

    def check(self, device: torch.device | str) -> None:
        """Refuse options that the optimizer does not take, and optimizers that need a closure.

        Raises
        ------
        ValueError
            If an option is unknown or has a wrong value, or if the optimizer evaluates the loss
            several times in a step.
        """
        closure = inspect.signature(self.optimizer.step).parameters.get("closure")
        if closure is not None and closure.default is closure.empty:
            raise ValueError(
                f"optimizer={self.optimizer.__name__} evaluates the loss several times in a step; "
                "training by batches needs one that takes the gradients as they are, such as "
                "torch.optim.AdamW"
            )
        given = {"optimizer_params": self.options, "embedding_optimizer_params": self.table_options}
        parameters = list(inspect.signature(self.optimizer).parameters.values())[1:]
        known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        for name, options in given.items():
            unknown = sorted(set(options) - set(known))
            if unknown and len(known) == len(parameters):
                raise ValueError(f"{name} has {unknown}; {self.optimizer.__name__} takes {known}")
        dummy = nn.Parameter(torch.zeros(1, 1, device=device))
        self.optimizer([dummy], **self.options)
        self.optimizer([dummy], **self.options | self.table_options)

    def param_groups(self, tables: Iterable[str]) -> list[tuple[str, Options]]:
        """Return patterns of parameter names, each with the options that differ for them."""
        groups = [(name, self.table_options) for name in tables]
        if issubclass(self.optimizer, RowAdam):  # L2 is for weights, not for biases or batch norm
            groups += [(pattern, {"l2": 0.0}) for pattern in ("*bias", "*.norms.*")]
        return groups

    def renew(
        self,
        optimizer: torch.optim.Optimizer,
        tables: Iterable[str],
        names: Mapping[nn.Parameter, str],
    ) -> bool:
        """Give the options to an optimizer that has made steps; return whether any has changed."""
        defaults = self.optimizer([nn.Parameter(torch.zeros(1))], **self.options).defaults
        groups = [*self.param_groups(tables), ("*", {})]
        changed = False
        for group in optimizer.param_groups:
            name = names[group["params"][0]]
            renewed = defaults | next(o for pattern, o in groups if fnmatch(name, pattern))
            changed |= any(group[option] != value for option, value in renewed.items())
            group.update(renewed, initial_lr=renewed["lr"])  # where schedulers start from
        return changed


def optimizer_state(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str]
) -> dict[str, Any]:
    """Return the state of an optimizer as tensors and numbers under the names of parameters.

    ``torch.optim.Optimizer.state_dict`` numbers the parameters instead, so that it belongs to one
    order of parameter groups.

    Returns
    -------
    dict
        "embedding.weight/z" and the like: the state of a parameter.  "embedding.weight/options":
        the options of its group.
    """
    state: dict[str, Any] = {}
    for group in optimizer.param_groups:
        options = {name: value for name, value in group.items() if name != "params"}
        for parameter in group["params"]:
            name = names[parameter]
            state[f"{name}/options"] = dict(options)
            for key, value in optimizer.state.get(parameter, {}).items():
                state[f"{name}/{key}"] = value.clone() if isinstance(value, Tensor) else value
    return state


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, names: Mapping[nn.Parameter, str], state: Mapping[str, Any]
) -> None:
    """Restore what :func:`optimizer_state` returned.

    Raises
    ------
    ValueError
        If the state belongs to other parameters.
    """
    found = {name.rpartition("/")[0] for name in state}
    wanted = {names[p] for group in optimizer.param_groups for p in group["params"]}
    if found != wanted:
        raise ValueError(
            f"the state is of the parameters {sorted(found)}, but the optimizer has "
            f"{sorted(wanted)}"
        )
    optimizer.state.clear()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            prefix = f"{names[parameter]}/"
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            group.update(own.pop("options"))
            if own:
                optimizer.state[parameter] = {
                    key: value.clone() if isinstance(value, Tensor) else value
                    for key, value in own.items()
                }
