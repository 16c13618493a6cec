"""The average of the weights over the steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """Polynomial-decay average of the weights, which replaces them at the end of training.

    After t updates, ``average += (power + 1) / (power + t) * (weights - average)``: about the last
    1 / (power + 1) of the run counts, however long it is (Shamir and Zhang, *Stochastic gradient
    descent for non-smooth optimization*, ICML 2013).

    Parameters
    ----------
    module : nn.Module
        Its parameters are averaged.
    power : float
        γ.
    every : int
        Steps between two updates.  An update reads the whole table, so one at every step is slow.
    """

    def __init__(self, module: nn.Module, power: float, every: int) -> None:
        self.parameters = dict(module.named_parameters())
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.power = power
        self.every = every
        self.n_steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Count a step; move the average towards the weights if it is time to."""
        self.n_steps += 1
        if self.n_steps % self.every == 0:
            newest = (self.power + 1) / (self.power + self.n_steps // self.every)
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, newest)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Context in which the module has the averaged weights."""
        self.apply()
        try:
            yield
        finally:
            self._swap()

    def apply(self) -> None:
        """Put the average into the module, and the weights in its place."""
        self._swap()
        for name, parameter in self.parameters.items():
            # The optimizer prunes weights to exactly zero; they must be zero in the average too.
            parameter.data.masked_fill_(self.average[name] == 0, 0)

    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.data, self.average[name] = self.average[name], parameter.data

    def state_dict(self) -> dict[str, Any]:
        """Return the average by parameter name, and the number of steps."""
        return {"n_steps": self.n_steps} | {k: v.clone() for k, v in self.average.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from an earlier average."""
        self.n_steps = state["n_steps"]
        for name, mean in self.average.items():
            mean.copy_(state[name])
