"""``fit``: train a model on a table and write it to a file."""

from __future__ import annotations

import argparse

from sk_dynint._base import BaseCTRClassifier
from sk_dynint.comparison import make_model

from ._table import check_writable, read_training_table


def run(args: argparse.Namespace) -> None:
    """Fit, write, and say in a line what was reached."""
    params = {
        **{"random_state": args.seed, "verbose": int(not args.quiet)},
        **{"validation": args.validation},
    }
    model = make_model(args.model)
    if not isinstance(model, BaseCTRClassifier):
        raise ValueError(f"--model {args.model} cannot be fitted here; take it to compare")
    model.set_params(**params | args.params).check_params()
    check_writable("--out", args.out)
    table = read_training_table(args, "weight", "validation_column")
    model.fit(
        table.X,
        table.y,
        sample_weight=table.others.get("weight"),
        groups=table.others.get("validation_column"),
    )
    model.save(args.out)
    print(
        f"{args.out}: {args.model}, {len(table.X):,} rows, {model.n_features_in_} columns, "
        f"best step {model.best_step_}{_scores(model)}"
    )


def _scores(model: BaseCTRClassifier) -> str:
    """Return the validation scores that the model has, in words."""
    best = model.history_[model.history_["step"] == model.best_step_].iloc[-1]
    names = {"valid_auc": "AUC", "valid_loss": "logloss"}
    return "".join(f", {text} {best[name]:.4f}" for name, text in names.items() if name in best)
