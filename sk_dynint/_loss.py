"""The losses, of two classes and of more: value, gradient, link and base score in one object."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax
from torch import Tensor, finfo, nn, sigmoid
from torch.nn import functional


class BinaryCrossEntropy(nn.Module):
    r"""Cross-entropy of two classes and a logit; the counterpart of ``HalfBinomialLoss``.

    .. math:: \ell(z, y) = \log(1 + e^z) - y z, \qquad
        \frac{\partial \ell}{\partial z} = \sigma(z) - y

    The engine takes value and gradient from a loss, the module its base logit, the estimator the
    link; no other part knows how logits become probabilities.

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

    def one_vs_rest(
        self, target: NDArray[np.floating], logit: NDArray[np.floating]
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.floating]]]:
        """Yield which rows an AUC takes for positive, and what it ranks them by."""
        yield target == 1, logit


class SoftmaxCrossEntropy(nn.Module):
    r"""Cross-entropy of C classes with a logit each; the counterpart of ``HalfMultinomialLoss``.

    .. math:: \ell(z, y) = \log \sum_c e^{z_c} - z_y, \qquad
        \frac{\partial \ell}{\partial z_c} = \mathrm{softmax}(z)_c - [y = c]

    It has the methods of :class:`BinaryCrossEntropy`, whose logit is the difference of two such.

    Parameters
    ----------
    n_classes : int
        C.

    Notes
    -----
    Shape: logits are (B, C); targets in {0, ..., C - 1}, of any type, and weights are (B,).

    Examples
    --------
    >>> import torch
    >>> loss = SoftmaxCrossEntropy(3)
    >>> loss(torch.zeros(2, 3), torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0]))
    tensor(3.2958)
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes

    def forward(self, logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted sum of the losses of the rows."""
        losses = functional.cross_entropy(logit, target.long(), reduction="none")
        return (losses * weight).sum()

    def gradient(self, logit: Tensor, target: Tensor, weight: Tensor, *, out: Tensor) -> Tensor:
        """Gradient of the sum with respect to the logits of each row."""
        torch.softmax(logit, 1, out=out)
        minus_one = out.new_full((), -1.0).expand(len(out), 1)
        return out.scatter_add_(1, target.long().unsqueeze(1), minus_one).mul_(weight.unsqueeze(1))

    def base_logit(self, target: ArrayLike, weight: ArrayLike) -> NDArray[np.float64]:
        """Constant logits of the least loss: the logarithms of the classes' shares, centred.

        A class without a row counts like half a row, as in :class:`BinaryCrossEntropy`.
        """
        positions = np.asarray(target).astype(int)
        share = np.bincount(positions, np.asarray(weight), self.n_classes)
        share = np.where(share > 0, (share / share.sum()).clip(1e-6), 0.5 / len(positions))
        logit = np.log(share)
        return logit - logit.mean()

    def predict_proba(self, logit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probability of each class, (B, C)."""
        return softmax(logit, axis=1)

    def predict(self, logit: NDArray[np.float64]) -> NDArray[np.intp]:
        """Position of the most probable class, (B,)."""
        return logit.argmax(1)

    def one_vs_rest(
        self, target: NDArray[np.floating], logit: NDArray[np.floating]
    ) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.floating]]]:
        """Yield for each class which rows are of it, and its probabilities to rank them by."""
        for position, proba in enumerate(self.predict_proba(logit.astype(np.float64)).T):
            yield target == position, proba


Loss = BinaryCrossEntropy | SoftmaxCrossEntropy
"""The type of a loss."""


def loss_for(n_classes: int) -> Loss:
    """Return the loss of so many classes: one logit for two of them, else one for each.

    Examples
    --------
    >>> loss_for(2), loss_for(5)
    (BinaryCrossEntropy(), SoftmaxCrossEntropy())
    """
    return BinaryCrossEntropy() if n_classes == 2 else SoftmaxCrossEntropy(n_classes)
