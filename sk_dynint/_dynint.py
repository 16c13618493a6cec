"""DynIntClassifier: which interaction layers to stack."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval

from sk_dynint._base import BaseCTRClassifier
from sk_dynint.interactions import VARIANTS, InteractionLayer, InteractionStack


class DynIntClassifier(BaseCTRClassifier):
    """Docstring to come."""

    _parameter_constraints: dict[str, Any] = {
        **BaseCTRClassifier._parameter_constraints,
        "variant": [str, type],
        "n_layers": [Interval(Integral, 0, 64, closed="both")],
        "n_subspaces": [Interval(Integral, 1, None, closed="left")],
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "reduction": [Interval(Integral, 1, None, closed="left")],
        "orthogonal_penalty": [Interval(Real, 0, None, closed="left")],
        "variant_params": [dict, None],
    }

    def __init__(
        self,
        variant: str | type[InteractionLayer] = "da",
        *,
        n_layers: int = 3,
        n_subspaces: int = 4,
        rank: int | None = None,
        reduction: int = 16,
        orthogonal_penalty: float = 0.0,
        variant_params: dict[str, Any] | None = None,
        embedding_dim: int = 16,
        embedding_init_std: float | None = None,
        oov: Literal["train", "zero"] = "train",
        encoder: Any = None,
        optimizer: str | type[torch.optim.Optimizer] = "ftrl",
        lr: float | None = None,
        optimizer_params: dict[str, Any] | None = None,
        embedding_optimizer_params: dict[str, Any] | None = None,
        max_epochs: int = 20,
        batch_size: int | Literal["auto"] = "auto",
        averaging: float = 1.0,
        eval_every: int | None = None,
        early_stopping: bool | Literal["auto"] = "auto",
        scoring: Literal["logloss", "auc"] = "logloss",
        validation_fraction: float = 0.1,
        patience: int = 3,
        callbacks: list[Any] | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        device: str | torch.device = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.variant = variant
        self.n_layers = n_layers
        self.n_subspaces = n_subspaces
        self.rank = rank
        self.reduction = reduction
        self.orthogonal_penalty = orthogonal_penalty
        self.variant_params = variant_params
        self.embedding_dim = embedding_dim
        self.embedding_init_std = embedding_init_std
        self.oov = oov
        self.encoder = encoder
        self.optimizer = optimizer
        self.lr = lr
        self.optimizer_params = optimizer_params
        self.embedding_optimizer_params = embedding_optimizer_params
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.averaging = averaging
        self.eval_every = eval_every
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.callbacks = callbacks
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _make_body(self) -> Callable[[int, int], torch.nn.Module]:
        layer = _resolve_variant(self.variant)
        if self.embedding_dim % self.n_subspaces:
            raise ValueError(
                f"n_subspaces={self.n_subspaces} must divide embedding_dim={self.embedding_dim}"
            )
        allowed = _options(layer)
        unknown = set(self.variant_params or {}) - allowed - {"output"}
        if unknown:
            raise ValueError(
                f"variant_params has {sorted(unknown)}; variant {self.variant!r} takes "
                f"{sorted(allowed | {'output'})}"
            )
        options = {"reduction": self.reduction, "rank": self.rank}
        options = {k: v for k, v in options.items() if k in allowed and v is not None}
        return partial(
            InteractionStack,
            layer=layer,
            n_layers=self.n_layers,
            n_subspaces=self.n_subspaces,
            **options | (self.variant_params or {}),
        )


def _resolve_variant(variant: str | type[InteractionLayer]) -> type[InteractionLayer]:
    """Look the name up in the register, or take the class."""
    if isinstance(variant, str) and variant in VARIANTS:
        return VARIANTS[variant]
    if isinstance(variant, type) and issubclass(variant, InteractionLayer):
        return variant
    raise ValueError(
        f"variant={variant!r}; it must be one of {sorted(VARIANTS)} or a subclass of "
        "sk_dynint.interactions.InteractionLayer"
    )


def _options(layer: type[InteractionLayer]) -> set[str]:
    """Names of a layer's own options."""
    parameters = inspect.signature(layer).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
