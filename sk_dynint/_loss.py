"""The loss: its value, gradient, link and base score in one object."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor, finfo, nn, sigmoid
from torch.nn import functional


class BinaryCrossEntropy(nn.Module):
    r"""Cross-entropy of two classes and a logit; the counterpart of ``HalfBinomialLoss``.

    .. math:: \ell(z, y) = \log(1 + e^z) - y z, \qquad
        \frac{\partial \ell}{\partial z} = \sigma(z) - y

    The engine takes value and gradient from it, the module its base logit, the estimator the link;
    no other part knows how a logit becomes a probability.

    Notes
    -----
    Shape: logits, targets in {0, 1} and weights are (B,).

    Examples
    --------
    >>> import torch
    >>> loss = BinaryCrossEntropy()
    >>> loss(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
    tensor(2.0794)
    """

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted sum of the losses of the rows."""
        losses = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
        return (losses * weight).sum()

    def mean(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted mean of the losses of the rows; 0 if none has weight."""
        return self(logit, target, weight) / weight.sum().clamp_min(finfo(weight.dtype).tiny)

    def gradient(self, logit: Tensor, target: Tensor, weight: Tensor, *, out: Tensor) -> Tensor:
        """Gradient of the sum with respect to the logit of each row."""
        return sigmoid(logit, out=out).sub_(target).mul_(weight)

    def base_logit(self, target: ArrayLike, weight: ArrayLike) -> float:
        """Constant logit of the least loss: the log-odds of the weighted mean of the targets.

        A mean of 0 or 1 is moved inwards by half a row, so that a first chunk of rows without a
        click does not start the model where it can hardly leave.
        """
        rate = np.average(np.asarray(target), weights=np.asarray(weight))
        least = 0.5 / len(np.asarray(target)) if rate in (0, 1) else 1e-6
        rate = rate.clip(least, 1 - least)
        return float(np.log(rate / (1 - rate)))

    def predict_proba(self, logit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class, (B, 2)."""
        return np.column_stack([expit(-logit), expit(logit)])

    def predict(self, logit: NDArray[np.float64]) -> NDArray[np.intp]:
        """Position of the more probable class, (B,)."""
        return (logit > 0).astype(np.intp)
