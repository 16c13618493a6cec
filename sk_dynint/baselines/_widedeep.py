"""`widedeep`: a linear part beside a DNN."""

from __future__ import annotations

from sk_dynint.baselines._dnn import DNNBody


class WideAndDeep(DNNBody):
    r"""Wide & Deep: one weight per index, and a DNN.

    .. math:: \mathrm{logit} = b + \sum_f w_{f, x_f} + w \cdot DNN(x)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    NOTE[DIFF]: the wide part has no crossed columns, which are chosen by hand for each table.

    Shape: (B, F, D) -> (B,).

    References
    ----------
    Cheng et al., *Wide & deep learning for recommender systems*, DLRS 2016.
    """

    first_order = True
    only_deep = "what is left without the DNN is model='lr'"
