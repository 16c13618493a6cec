"""Interaction layers, the stack that holds them, and the register of variants."""

from sk_dynint.interactions._da import DynamicActivation
from sk_dynint.interactions._dgp import DynamicGeneratedParameters
from sk_dynint.interactions._dwp import DynamicWeightedParameters
from sk_dynint.interactions._gate import GateNetwork
from sk_dynint.interactions._layer import InteractionLayer
from sk_dynint.interactions._penalty import orthogonal_penalty
from sk_dynint.interactions._pin import PIN
from sk_dynint.interactions._stack import InteractionStack, merge_subspaces, split_subspaces

VARIANTS: dict[str, type[InteractionLayer]] = {
    "pin": PIN,
    "da": DynamicActivation,
    "dgp": DynamicGeneratedParameters,
    "dwp": DynamicWeightedParameters,
}
"""Name of a variant -> its interaction layer."""

__all__ = [
    "PIN",
    "VARIANTS",
    "DynamicActivation",
    "DynamicGeneratedParameters",
    "DynamicWeightedParameters",
    "GateNetwork",
    "InteractionLayer",
    "InteractionStack",
    "merge_subspaces",
    "orthogonal_penalty",
    "split_subspaces",
]
