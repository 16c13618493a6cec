"""Warnings about columns that are probably not read as they are meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from sk_dynint._warnings import warn

from ._counts import Counts
from ._field import Field

MIN_ROWS = 100
"""Number of rows from which on a column is worth a warning."""

DENSE_MIN_VALUES = 367
"""Number of values from which on whole numbers without gaps look like codes: there are more than
levels of grey or days of a year."""

IDENTIFIER_WORDS = {
    *("id", "ids", "uid", "gid", "uuid", "guid", "key", "code", "zip", "zipcode", "postcode"),
    *("hash", "sku", "ip", "user", "customer", "client", "account", "member", "visitor"),
    *("session", "device", "item", "movie", "product", "article", "song", "ad", "advertiser"),
    *("campaign", "creative", "publisher", "site", "page", "app", "shop", "store", "seller"),
    "merchant",
}
"""Last words of names under which identifiers stand."""

UNSEEN = 0.95
"""Share of unseen values from which on a column that `fit` mostly knew is wholly strange."""

BEYOND = 0.1
"""Share of numbers beyond the range of `fit` that is worth a warning."""


def warn_of_useless_columns(
    fields: Sequence[Field], counts: Sequence[Counts], min_count: float
) -> None:
    """Warn of columns that tell a model nothing: no value at all, or none that is kept."""
    empty = [each.label for each in counts if not each.has_values]
    lost = [
        each.label
        for each, field in zip(counts, fields, strict=True)
        if field.cardinality == 2 and each.has_values
    ]
    if empty:
        warn(f"columns {empty} hold no value; whatever they hold later counts as unseen")
    if lost and min_count <= 2:  # a greater one than the default was asked for
        warn(
            f"columns {lost} keep no level: none of their values occurs {min_count} times "
            "(min_count, counted by sample_weight), so that all are the same to a model; drop "
            "the columns, make them numbers or dates, or lower min_count"
        )


def warn_of_identifiers(counts: Sequence[Counts], n_bins: int, known: Collection[Any]) -> None:
    """Warn of identifiers that were binned; `known` labels were called numbers by the user."""
    found = [c for c in counts if c.label not in known and looks_like_identifiers(c, n_bins)]
    if found:
        labels = [each.label for each in found]
        numbers = " and ".join(f"{len(each.values):,}" for each in found)
        warn(
            f"columns {labels} hold whole numbers with {numbers} values and were put in {n_bins} "
            "bins; if they are identifiers, name them in categorical_features, beside which other "
            f"columns stay what they are; if not, binning={{{labels[0]!r}: 'quantile'}} and the "
            "like end this warning"
        )


def looks_like_identifiers(counts: Counts, n_bins: int) -> bool:
    """Whether numbers may well be identifiers, going by their name or by having no gaps."""
    values = counts.values
    if not counts.is_numeric or counts.kind != "numbers" or len(values) <= n_bins:
        return False
    if (values != np.floor(values)).any():
        return False
    least, greatest = float(values.min()), float(values.max())
    is_dense = len(values) >= DENSE_MIN_VALUES and greatest - least < 1.1 * len(values)
    return least >= 0 and (
        (is_dense and least <= 1) or _last_word(counts.label) in IDENTIFIER_WORDS
    )


def _last_word(label: Any) -> str:
    """Return the last word of a name such as "user_id", "movieId" or "Zip Code"."""
    last = label[-1] if isinstance(label, tuple) and label else label
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", str(last))
    return words[-1].lower() if words else ""


def warn_of_strangers(
    labels: Sequence[Any], fields: Sequence[Field], shares: Sequence[float]
) -> None:
    """Warn of columns whose values `fit` never met.

    Parameters
    ----------
    labels, fields, shares
        Of each column its name, its field, and the share of its values that are unseen levels or
        numbers beyond the range of `fit`.
    """
    strange = [
        (label, field, share)
        for label, field, share in zip(labels, fields, shares, strict=True)
        if share >= (BEYOND if field.is_numeric else UNSEEN) and field.usual_share() <= 0.5
    ]
    unseen = {label: f"{share:.0%}" for label, f, share in strange if not f.is_numeric}
    beyond = {label: f"{share:.0%}" for label, f, share in strange if f.is_numeric}
    if unseen:
        warn(
            f"columns hold values that fit did not see, in so much of these rows: {unseen}; all of "
            "them are one to a model. Are they written as they were in fit?"
        )
    if beyond:
        warn(
            "columns hold numbers or dates beyond the range of fit, in so much of these rows: "
            f"{beyond}; they fall in the first or the last bin. A column that grows with time, "
            "such as a date, tells nothing about later rows: drop it"
        )
