"""What is tuned: the paper's ranges (section 4.1.4), and small grids for a quick look.

Every model gets the same number of configurations, and a penalty on its table is among what they
try; networks try dropout, too.  With ``paper``, they are drawn at random from its ranges, because
the paper does not give its grids; a greater number only adds configurations.  The other grids are
lists: ``quick`` for 100,000 rows, ``million`` for ten times as many.

``l2`` is λ of Adam's penalty on the weights of a body, ``table_l2`` that on the embedding table: of
Adam beside the mean loss of a batch, of FTRL λ2 beside the sum of all losses.
"""

from __future__ import annotations

import math
import random
from typing import Any, NamedTuple

Config = dict[str, Any]

DYNAMIC = ("da", "dgp", "dwp")
NEWER = ("ecn", "fcn", "qnn")
"""Models that are newer than the paper and have no DNN."""


class LogRange(NamedTuple):
    """Numbers whose logarithms are equally likely."""

    low: float
    high: float


# ------------------------------- the paper's ranges, and ours of dropout and the table's penalty
FTRL = {"lr": LogRange(1e-2, 1e-1), "table_l2": LogRange(1.0, 100.0)}
ADAM = {"lr": LogRange(1e-4, 1e-3), "l2": LogRange(1e-4, 1e-3), "table_l2": LogRange(1e-5, 1e-1)}
LAYERS = {"n_layers": (1, 2, 3, 4)}
DROPOUT = {"dropout": (0.0, 0.1, 0.2, 0.3, 0.4)}
WIDTHS = {"hidden_layers": (1, 2, 3, 4), "units": (128, 256, 512, 1024)}
DENSE = WIDTHS | DROPOUT
REDUCTION = {"reduction": (2, 4, 8, 16)}
SUBSPACES = {"n_subspaces": (1, 2, 4, 8, 16)}
DGP_RANKS = (16, 32, 64, 128)
DWP_RANKS = (1, 2, 3, 4)

PIN = FTRL | LAYERS | SUBSPACES
PAPER: dict[str, dict[str, Any]] = {
    "lr": FTRL,
    "fm": FTRL,
    **dict.fromkeys(("dnn", "widedeep", "deepcrossing"), ADAM | DENSE),
    **dict.fromkeys(("deepfm", "pnn", "fibinet"), ADAM | DENSE),
    **dict.fromkeys(("dcn", "dcnv2", "xdeepfm", "autoint"), ADAM | DENSE | LAYERS),
    **dict.fromkeys(NEWER, ADAM | LAYERS | DROPOUT),
    "pin": PIN,
    "da": PIN | REDUCTION,
    "dgp": PIN | REDUCTION | {"rank": DGP_RANKS},
    "dwp": PIN | REDUCTION | {"rank": DWP_RANKS},
}
WITHOUT_DNN = ("deepfm", "dcn", "pnn", "xdeepfm", "autoint", "dcnv2")
"""Models of Table 2 that have a DNN in Table 1."""

# ------------------------------------------------------------------------- the quick grid
_PENALTIES = [{"table_l2": 1e-3, "dropout": 0.1}, {"table_l2": 1e-2, "dropout": 0.2}]
_DENSE = [
    {"lr": 1e-3, "l2": 1e-3, "hidden_layers": 2, "units": 256},
    {"lr": 1e-3, "l2": 1e-4, "hidden_layers": 2, "units": 256},
    {"lr": 1e-3, "l2": 1e-3, "hidden_layers": 1, "units": 512},
]
_DENSE += [_DENSE[0] | penalty for penalty in _PENALTIES]
_WIDE_INPUT = [config | {"units": 128} for config in _DENSE]  # FiBiNET: F (F - 1) D inputs
_CROSSED = [
    {"lr": 1e-3, "l2": 1e-3, "hidden_layers": 2, "units": 256, "n_layers": 2},
    {"lr": 1e-3, "l2": 1e-4, "hidden_layers": 2, "units": 256, "n_layers": 2},
    {"lr": 1e-3, "l2": 1e-3, "hidden_layers": 2, "units": 256, "n_layers": 1},
]
_CROSSED += [_CROSSED[0] | penalty for penalty in _PENALTIES]
_CROSSED_ALONE = [{k: v for k, v in c.items() if k not in DENSE} for c in _CROSSED]
_NEWER = [{k: v for k, v in c.items() if k not in WIDTHS} for c in _CROSSED]
_DYNINT = [
    {"n_layers": 3, "n_subspaces": 4},
    {"n_layers": 2, "n_subspaces": 4},
    {"n_layers": 2, "n_subspaces": 8},
]
_DYNINT += [{"n_layers": 3, "n_subspaces": 4, "table_l2": l2} for l2 in (3.0, 10.0)]
_LINEAR = [{"lr": 0.1}, {"lr": 0.05}, {"lr": 0.02}]
_LINEAR += [{"lr": 0.1, "table_l2": l2} for l2 in (3.0, 10.0)]
_RATES = [{"lr": 1e-3}, {"lr": 5e-4}, {"lr": 2e-4}]
_RATES += [{"lr": 1e-3, "table_l2": l2} for l2 in (1e-3, 1e-2)]
_SIZES = {
    "pnn": {"outer": "vec"},
    "xdeepfm": {"cin_units": 16},
    "autoint": {"n_heads": 1, "attention_dim": 8},
    "fibinet": {"bilinear": "all"},
}
"""Smaller than the defaults, which take three to ten times as long as the other models."""

QUICK: dict[str, list[Config]] = {
    **dict.fromkeys(("lr", "fm"), _LINEAR),
    **dict.fromkeys(("dnn", "widedeep", "deepcrossing", "deepfm", "pnn"), _DENSE),
    "fibinet": _WIDE_INPUT,
    **dict.fromkeys(("dcn", "dcnv2", "xdeepfm", "autoint"), _CROSSED),
    **dict.fromkeys(NEWER, _NEWER),
    **dict.fromkeys(("pin", *DYNAMIC), _DYNINT),
}
QUICK_WITHOUT_DNN: dict[str, list[Config]] = {
    "deepfm": _RATES,  # its weights are those of single levels only
    "pnn": [rate | {"l2": 1e-3} for rate in _RATES],
    **dict.fromkeys(("dcn", "dcnv2", "xdeepfm", "autoint"), _CROSSED_ALONE),
}

# ----------------------------------------------------------------------- the million grid
_NETWORK = [  # without L2 on the body, which does not improve their scores here
    {"l2": 0.0, "hidden_layers": 2, "units": 400} | config
    for config in (
        {"lr": 3e-3},
        {"lr": 1e-3, "batch_size": 256},  # a third epoch makes all three worse
        {"lr": 3e-3, "table_l2": 1e-3, "dropout": 0.1},
        {"lr": 1e-3, "batch_size": 256, "table_l2": 3e-3, "dropout": 0.2},
    )
]
_THREE_LAYERS = [config | {"n_layers": 3} for config in _NETWORK]
_NEWER_MILLION = [{k: v for k, v in c.items() if k not in WIDTHS} for c in _THREE_LAYERS]
_LINEAR_MILLION = [{"lr": 0.02}, {"lr": 0.05}]
_LINEAR_MILLION += [{"lr": 0.05, "table_l2": l2} for l2 in (10.0, 30.0)]
_DYNINT_MILLION = [  # small batches for many steps; λ2 keeps rare levels from overfitting
    {"n_layers": 3, "batch_size": 128, "embedding_init_std": 0.05} | config
    for config in (
        {"n_subspaces": 8, "embedding_optimizer_params": {"l2": 30.0}, "max_epochs": 3},
        {"n_subspaces": 8, "embedding_optimizer_params": {"l2": 10.0}},
        {"n_subspaces": 4, "embedding_optimizer_params": {"l2": 30.0}, "max_epochs": 3},
        {"n_subspaces": 8, "embedding_optimizer_params": {"l2": 20.0}, "max_epochs": 3},
    )
]
MILLION: dict[str, list[Config]] = {
    **QUICK,
    **dict.fromkeys(("lr", "fm"), _LINEAR_MILLION),
    **dict.fromkeys(("dnn", "widedeep", "deepcrossing", "deepfm", "pnn"), _NETWORK),
    "fibinet": [config | {"units": 128} for config in _NETWORK],
    **dict.fromkeys(("dcn", "dcnv2", "xdeepfm", "autoint"), _THREE_LAYERS),
    **dict.fromkeys(NEWER, _NEWER_MILLION),
    **dict.fromkeys(("pin", "da", "dwp"), _DYNINT_MILLION),
    "dgp": [config | {"rank": 64} for config in _DYNINT_MILLION],
}
LISTED = {"quick": (QUICK, QUICK_WITHOUT_DNN), "million": (MILLION, QUICK_WITHOUT_DNN)}
"""Grid -> its models' configurations, with and without a DNN."""
N_CONFIGURATIONS = {"paper": 24, "quick": 5, "million": 4}

# ------------------------------------------------------- what is the same for every model
SETTINGS: dict[str, Config] = {
    # The paper gives neither a patience (5 evaluations here) nor a bound on epochs, and does not
    # average weights.
    "paper": {
        "embedding_dim": 16,
        "batch_size": 4096,
        "eval_every": 2000,
        "max_epochs": 20,
        "patience": 5,
        "averaging": None,
    },
    "quick": {"embedding_dim": 8, "max_epochs": 8, "patience": 4},
    "million": {"embedding_dim": 16, "batch_size": 1024, "max_epochs": 2},
}
MIN_COUNT = {"paper": 20, "quick": 2, "million": 20}
FIXED: dict[str, dict[str, Config]] = {
    # Best layers and sub-spaces of the paper's Tables 3 and 4.
    "paper": {
        "criteo": {"n_layers": 4, "n_subspaces": 16},
        "avazu": {"n_layers": 3, "n_subspaces": 4},
        "ipinyou": {"n_layers": 3, "n_subspaces": 4},
        "else": {"n_layers": 3, "n_subspaces": 4},
    },
    "quick": {"else": {"n_layers": 3, "n_subspaces": 4}},
    "million": {"else": _DYNINT_MILLION[0]},
}
"""Layers and sub-spaces where another hyper-parameter is varied."""
PAPER_LR = 0.04  # FTRL where it is not tuned: near the middle of its range
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
"""λ of Figure 7b; the paper's values cannot be read off its figure."""


def fixed(grid: str, data: str) -> Config:
    """Return the hyper-parameters that stay the same where another one is varied."""
    by_data = FIXED[grid]
    rate = {"lr": PAPER_LR} if grid == "paper" else {}
    return rate | by_data.get(data, by_data["else"])


def configurations(
    grid: str, model: str, n: int | None = None, *, deep: bool = True
) -> list[Config]:
    """Return `n` configurations of a model (None: the usual number of the grid).

    ``deep=False`` is a model of Table 2 without its DNN.
    """
    n = N_CONFIGURATIONS[grid] if n is None else n
    if grid in LISTED:
        known = LISTED[grid][not deep][model]
        if n > len(known):
            raise ValueError(f"--grid {grid} has {len(known)} configurations, asked for {n}.")
        size = {"model_params": _SIZES[model]} if model in _SIZES else {}
        configs = [config | size for config in known[:n]]
    else:
        space = PAPER[model]
        if not deep:
            space = {name: values for name, values in space.items() if name not in DENSE}
        configs = draw(space, n, seed=model)
    return configs if deep else [config | {"deep": False} for config in configs]


MAX_REPEATED = 1000
"""Configurations in a row that were drawn before, after which no new one is expected."""


def draw(space: dict[str, Any], n: int, seed: str) -> list[Config]:
    """Return `n` different configurations at random; a greater `n` only adds some."""
    rng = random.Random(seed)
    drawn: list[Config] = []
    n_repeated = 0  # since the last new one
    while len(drawn) < n:
        config = {name: _draw(rng, values) for name, values in space.items()}
        n_repeated += 1
        if config not in drawn:
            drawn.append(config)
            n_repeated = 0
        elif n_repeated == MAX_REPEATED:
            raise ValueError(
                f"{seed} has hardly more than {len(drawn)} configurations, asked: {n}."
            )
    return drawn


def _draw(rng: random.Random, values: Any) -> Any:
    if isinstance(values, LogRange):
        rate = math.exp(rng.uniform(math.log(values.low), math.log(values.high)))
        return float(f"{rate:.3g}")
    return rng.choice(values)
