"""`pin`: the static polynomial interaction layer of xDeepInt."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from sk_dynint.interactions._layer import InteractionLayer, glorot


class PIN(InteractionLayer):
    r"""Static interaction layer (paper, Eq. 3; with it the model is xDeepInt).

    .. math:: X_l = X_{l-1} \circ (W_{l-1} X_0) + X_{l-1}

    No bias, no activation: the logit is a polynomial of degree L + 1 in the embedding.

    Parameters
    ----------
    width, depth : int
        W and d, see :class:`InteractionLayer`.

    Notes
    -----
    Shape: ``weight`` is (W, W); (B, d, W), (B, d, W) -> (B, d, W).

    Examples
    --------
    >>> import torch
    >>> from sk_dynint.interactions import PIN
    >>> layer = PIN(width=2, depth=1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    >>> x0 = torch.tensor([[[2.0, 3.0]]])
    >>> layer(x0, x0).tolist()  # 2·3 + 2, 3·0 + 3
    [[[8.0, 3.0]]]
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, depth)
        self.weight = glorot(width, width)

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Apply Eq. (3)."""
        return torch.addcmul(x, x, functional.linear(x0, self.weight))  # Eq. (3)
