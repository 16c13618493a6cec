"""What a fit has made of a classifier, in a few words and numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from sk_dynint._display import Summary
from sk_dynint._module import members_of

KINDS = {
    "categorical": "of levels",
    "numeric": "of numbers",
    "list": "of lists",
    "cross": "of crosses",
    "statistic": "of means of the target",
}
"""Kind of a field -> what it is called."""

MOST = 3
"""Fields that are named, at most: those of the most levels."""


def fit_summary(classifier: Any) -> Summary:
    """Return fields, levels, sizes, the best step with its score, and how long it took.

    Parameters
    ----------
    classifier : BaseCTRClassifier
        Fitted.
    """
    encoder, module = classifier.encoder_, classifier.net_.module_
    summary = [("fields", _fields(encoder)), ("levels", _levels(encoder))]
    parts = members_of(module)
    n_rows, dim = parts[0].embedding.weight.shape
    in_tables = [p for part in parts for table in part.tables for p in table.parameters()]
    size = sum(p.nbytes for p in in_tables) / 1e6
    times = f"{len(parts)} × " if len(parts) > 1 else ""
    n_other = sum(p.numel() for p in module.parameters()) - sum(p.numel() for p in in_tables)
    n_all = len(parts) * int(sum(encoder.cardinalities_))
    n_zero = classifier.n_pruned_rows_
    summary += [
        ("embedding table", f"{times}{n_rows:,} rows × {dim}, {size:,.{_digits(size)}f} MB"),
        ("rows that are zero", f"{n_zero:,} ({n_zero / n_all:.0%})"),
        ("other weights", f"{n_other:,}"),
        ("best step", _best(classifier)),
    ]
    seconds = getattr(classifier, "fit_seconds_", None)  # not in files of earlier versions
    if seconds is not None:
        summary.append(("time", f"{seconds:,.{_digits(seconds)}f} s"))
    return summary


def _digits(number: float) -> int:
    """Return the digits after the point of a number that need not be told precisely."""
    return 0 if number >= 100 else 1 if number >= 1 else 2


def _fields(encoder: Any) -> str:
    """Tell the number of fields, and of what kinds they are."""
    n = len(encoder.cardinalities_)
    kinds = Counter(getattr(encoder, "field_kinds_", ()))
    told = ", ".join(f"{kinds[kind]} {name}" for kind, name in KINDS.items() if kinds[kind])
    return f"{n} ({told})" if told else str(n)


def _levels(encoder: Any) -> str:
    """Tell how many levels and bins were kept, and which fields have the most."""
    sizes = np.asarray(encoder.cardinalities_) - 2
    names = getattr(encoder, "get_feature_names_out", lambda: range(len(sizes)))()
    most = np.argsort(-sizes, kind="stable")[:MOST]
    told = ", ".join(f"{names[i]} {sizes[i]:,}" for i in most)
    return f"{sizes.sum():,} ({told}{', ...' if len(sizes) > MOST else ''})"


def _best(classifier: Any) -> str:
    """Tell the step whose weights are kept, and its scores."""
    history = classifier.history_
    row = history.loc[history["step"] == classifier.best_step_].iloc[-1]
    if classifier.best_score_ is None:
        scores = {"train loss": row["train_loss"]}
    else:
        scores = {"valid logloss": row["valid_loss"], "valid AUC": row["valid_auc"]}
    told = ", ".join(f"{name} {score:.4f}" for name, score in scores.items())
    return f"{classifier.best_step_:,} of {classifier.n_iter_:,}: {told}"
