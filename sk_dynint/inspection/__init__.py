"""Inspection of fitted classifiers: arrays first, pictures on top."""

from ._displays import EmbeddingSparsityDisplay, InteractionDisplay, TrainingDisplay
from ._dynamics import gates, pair_weights, singular_values
from ._explanation import Explanation
from ._explanation_display import ExplanationDisplay
from ._importances import field_importances, interaction_strengths
from ._orders import order_decomposition
from ._sampling import sampled_shapley_values
from ._shapley import shapley_interactions, shapley_values

__all__ = [
    "EmbeddingSparsityDisplay",
    "Explanation",
    "ExplanationDisplay",
    "InteractionDisplay",
    "TrainingDisplay",
    "field_importances",
    "gates",
    "interaction_strengths",
    "order_decomposition",
    "pair_weights",
    "sampled_shapley_values",
    "shapley_interactions",
    "shapley_values",
    "singular_values",
]
