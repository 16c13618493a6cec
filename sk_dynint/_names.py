"""Names that parameters have in other libraries, answered with ours."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from sk_dynint._warnings import warn

HINTS = {
    **dict.fromkeys(("learning_rate", "eta", "alpha"), "it is lr here"),
    **dict.fromkeys(
        ("epochs", "n_epochs", "num_epochs", "max_iter", "iterations", "n_estimators"),
        "passes over the rows are max_epochs here",
    ),
    **dict.fromkeys(
        (
            *("early_stopping_rounds", "early_stopping_round", "od_wait", "n_iter_no_change"),
            "early_stop_patience",
        ),
        "it is patience here, counted in evaluations",
    ),
    **dict.fromkeys(
        ("eval_set", "validation_data", "valid_data"), "pass X_val and y_val to fit here"
    ),
    **dict.fromkeys(
        ("eval_metric", "metric", "metrics", "loss_function", "monitor"), "it is scoring here"
    ),
    "has_time": "it is validation='last' here",
    "max_ctr_complexity": "it is crosses here, which fit looks for by itself",
    "snapshot_file": "it is checkpoint here, with fit(resume=True)",
    "init_model": "it is warm_start here, or partial_fit",
    "eval_steps": "it is eval_every here",
    **dict.fromkeys(("seed", "random_seed"), "it is random_state here"),
    **dict.fromkeys(
        (
            *("l2", "l2_reg", "reg_lambda", "l2_leaf_reg", "weight_decay", "l2_regularization"),
            "net_regularizer",
        ),
        "it is optimizer_params={'l2': ...} here",
    ),
    **dict.fromkeys(
        ("embedding_regularizer", "embedding_l2"),
        "it is embedding_optimizer_params={'l2': ...} here",
    ),
    **dict.fromkeys(
        ("l1", "l1_reg", "reg_alpha"), "it is embedding_optimizer_params={'l1': ...} here"
    ),
    **dict.fromkeys(
        ("embed_dim", "emb_dim", "embedding_size", "emb_size", "k"), "it is embedding_dim here"
    ),
    **dict.fromkeys(
        (
            *("dnn_hidden_units", "parallel_dnn_hidden_units", "hidden_layer_sizes", "layers"),
            "hidden_dims",
        ),
        "it is hidden_units here, of BaselineClassifier",
    ),
    **dict.fromkeys(
        (
            *("depth", "max_depth", "num_leaves", "num_layers", "cross_num", "n_cross_layers"),
            "num_cross_layers",
        ),
        "it is n_layers here",
    ),
    **dict.fromkeys(("dnn_dropout", "net_dropout"), "it is dropout here, of BaselineClassifier"),
    **dict.fromkeys(("task_type", "use_cuda", "gpu", "device_type"), "it is device here"),
    **dict.fromkeys(
        ("n_jobs", "thread_count", "num_threads", "nthread"),
        "training takes the threads of torch, see torch.set_num_threads",
    ),
    **dict.fromkeys(
        ("scale_pos_weight", "class_weights", "auto_class_weights", "is_unbalance"),
        "it is class_weight here",
    ),
    **dict.fromkeys(("validation_split", "val_size"), "it is validation_fraction here"),
    **dict.fromkeys(("verbosity", "silent", "logging_level"), "it is verbose here"),
    **dict.fromkeys(
        ("min_child_samples", "min_count", "min_data_in_leaf", "min_categr_count"),
        "rare levels: encoder__min_count=... by set_params, or encoder=FieldEncoder(min_count=...)",
    ),
    **dict.fromkeys(
        ("border_count", "max_bin", "n_bins"),
        "bins: encoder__n_bins=... by set_params, or encoder=FieldEncoder(n_bins=...)",
    ),
    **dict.fromkeys(
        ("splitter", "separators"),
        "lists: encoder__separators=... by set_params, or encoder=FieldEncoder(separators=...)",
    ),
    **dict.fromkeys(
        ("cat_features", "categorical_feature", "cat_cols", "cat_idxs"),
        "it is categorical_features here",
    ),
}
"""Name elsewhere -> what to do here."""


def check_names(cls: type, names: Iterable[str], error: type[Exception] = ValueError) -> None:
    """Refuse names that are no parameters of a class, with a hint where there is one.

    Parameters
    ----------
    cls : type
        The estimator class.
    names : iterable of str
        Names that were given.
    error : type, default=ValueError
        What to raise.
    """
    known = list(inspect.signature(cls).parameters)
    for name in names:
        if name in known:
            continue
        similar = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        hint = HINTS.get(name) or (f"did you mean {similar[0]}?" if similar else "")
        if name.startswith("encoder__"):
            option = name.partition("__")[2]
            hint = f"pass encoder=FieldEncoder({option}=...), or use set_params"
        raise error(
            f"{cls.__name__} has no parameter {name!r}"
            + (f"; {hint}" if hint else "")
            + f". Its parameters are {', '.join(known)}"
        )


def refuse_arguments(cls: type, names: Iterable[str]) -> None:
    """Refuse arguments that `fit` does not have, with a hint where there is one.

    Parameters
    ----------
    cls : type
        The estimator class.
    names : iterable of str
        Names that were given.
    """
    known = inspect.signature(cls).parameters
    for name in names:
        hint = f"it is a parameter of {cls.__name__}" if name in known else HINTS.get(name, "")
        raise TypeError(
            f"{cls.__name__}.fit has no argument {name!r}"
            + (f"; {hint}" if hint else "")
            + ". Its arguments are X, y, sample_weight, X_val, y_val, sample_weight_val, groups"
        )


def warn_of_ignored(estimator: Any, ignored: Mapping[str, Iterable[str]]) -> None:
    """Warn of parameters that make no difference, though they are not at their defaults.

    Parameters
    ----------
    estimator : BaseEstimator
        Has the parameters.
    ignored : dict
        What makes them ineffective -> their names.
    """
    defaults = inspect.signature(type(estimator)).parameters
    for cause, names in ignored.items():
        values = {name: getattr(estimator, name) for name in names}
        told = [f"{k}={v!r}" for k, v in values.items() if v != defaults[k].default]
        if told:
            warn(f"{', '.join(told)} makes no difference with {cause}")


def checked_params(
    estimator: Any, params: Mapping[str, Any], *, default_encoder: type
) -> dict[str, Any]:
    """Check all names that `set_params` was given, before anything is set.

    Parameters
    ----------
    estimator : BaseEstimator
        Has a parameter `encoder`, which may be None.
    params : dict
        Names and values.
    default_encoder : type
        Class of the encoder that parameters such as ``encoder__min_count`` are given to where there
        is none.

    Returns
    -------
    dict
        `params`, with such an encoder if one is needed.
    """
    given = dict(params)
    check_names(type(estimator), {name.partition("__")[0] for name in given})
    nested = {name.partition("__")[2] for name in given if name.startswith("encoder__")}
    if not nested:
        return given
    encoder = given.get("encoder", estimator.encoder)
    if encoder is None:
        encoder = given["encoder"] = default_encoder()
    if unknown := nested - set(encoder.get_params()):
        raise ValueError(
            f"encoder has no parameter {sorted(unknown)}; {type(encoder).__name__} has "
            f"{sorted(encoder.get_params())}"
        )
    return given
