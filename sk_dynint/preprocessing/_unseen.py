"""How many values of new rows an encoder does not know."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sk_dynint._warnings import warn

from ._encoder import FieldEncoder
from ._field import MISSING, RARE, Indices


def unseen_rates(
    encoder: FieldEncoder, indices: Indices, warn_above: float | None = None
) -> pd.DataFrame:
    """Return by field how many values have index 0: levels that were rare in `fit`, or not there.

    Parameters
    ----------
    encoder : FieldEncoder
        A fitted encoder.
    indices : ndarray of shape (n_samples, n_encoded)
        What it makes of the rows.
    warn_above : float, default=None
        A warning tells of the fields whose share has risen by more than this since `fit`.

    Returns
    -------
    DataFrame
        A line for each categorical column, each list and each cross: the share of the values that
        are present which have index 0, in these rows ("unseen") and in `fit` ("in_fit").
    """
    names, slots, rates = encoder.get_feature_names_out(), encoder.slots_, {}
    counts = [field.counts for field in encoder._all_fields()]
    for j, (kind, count) in enumerate(zip(encoder.field_kinds_, counts, strict=True)):
        if kind in ("categorical", "list", "cross"):
            values, n_present = indices[:, slots == j], count.sum() - count[MISSING]
            present = np.count_nonzero((values != MISSING) & (values >= 0))
            rates[names[j]] = (
                np.count_nonzero(values == RARE) / present if present else np.nan,
                count[RARE] / n_present if n_present else np.nan,
            )
    found = pd.DataFrame.from_dict(rates, orient="index", columns=["unseen", "in_fit"])
    if warn_above is not None:
        risen = found[found["unseen"] - found["in_fit"].fillna(0) > warn_above]
        if len(risen):
            told = ", ".join(
                f"{name} ({row.unseen:.0%}, {row.in_fit:.0%} in fit)"
                for name, row in zip(risen.index, risen.itertuples(), strict=True)
            )
            warn(f"the share of values that fit did not keep has risen: {told}; fit anew")
    return found
