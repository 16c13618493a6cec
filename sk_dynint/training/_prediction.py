"""What a net predicts for encoded rows, by as many threads as their number is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from sk_dynint._loss import Loss
from sk_dynint._module import CTRModule, Ensemble
from sk_dynint._process import no_fork, one_thread, safe_threads
from sk_dynint.engine import FewRows, make_engine
from sk_dynint.training._data import EncodedData, check_indices
from sk_dynint.training._run import is_ours

FEW_MAX_ROWS = 8
"""Up to so many rows are computed by compiled loops, where there are some for the module."""

EAGER_MAX_ROWS = 64
"""Up to so many rows are predicted by the module itself: preparing a kernel would take longer."""

SINGLE_THREAD_MAX_ROWS = 1024
"""Up to so many rows are predicted in one thread."""


class PredictionMixin:
    """The methods of a skorch net that predict, for encoded rows.

    All of them go through :meth:`logits`, as the classifiers do, so that they agree to the bit.
    """

    module_: CTRModule | Ensemble
    criterion_: Loss
    device: str | torch.device
    module__cardinalities: Any
    module__slots: Any
    _few_rows: FewRows | None = None

    def logits(self, indices: Tensor | NDArray[np.integer]) -> Tensor:
        """Return the logits of field indices that are known to be valid, on the net's device.

        A few rows are computed at once, some in one thread, many by several threads: the same bits
        by any number of them, unless a part of the module is a user's own, which may keep something
        between calls and runs in one thread of Python, with torch's inside.
        """
        if len(indices) <= FEW_MAX_ROWS and (few_rows := self._find_few_rows()) is not None:
            with no_fork():
                return torch.from_numpy(few_rows.logits(indices))
        rows = torch.as_tensor(indices).to(self.device)
        if self.module_.training:
            self.module_.eval()
        if len(rows) <= EAGER_MAX_ROWS:
            with one_thread(), no_fork(), torch.inference_mode():
                return self.module_(rows)
        if len(rows) <= SINGLE_THREAD_MAX_ROWS:
            with one_thread():
                return make_engine(self.module_, n_threads=1).logits(rows)
        n_threads = one_thread.usual_threads() if is_ours(self.module_) else None
        engine = make_engine(self.module_, n_threads=n_threads)
        with safe_threads(), engine.workers.running():
            return engine.logits(rows)

    def _find_few_rows(self) -> FewRows | None:
        """Return what computes a few rows, if there is something; it is kept as long as valid."""
        few_rows = self._few_rows  # which other threads may replace
        if few_rows is None or not few_rows.is_valid(self.module_):
            few_rows = self._few_rows = FewRows.of(self.module_)
        return few_rows

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        """Return the logits of encoded rows."""
        return self.logits(self._encoded(x).indices)

    def forward_iter(self, X: Any, training: bool = False, device: str = "cpu") -> Iterator[Tensor]:
        """Yield the logits of all encoded rows at once; `training` turns dropout on."""
        self.check_is_fitted()  # type: ignore[attr-defined]
        if training:
            self.module_.train()
            try:
                logits = self.module_(torch.as_tensor(self._encoded(X).indices).to(self.device))
            finally:
                self.module_.eval()
        else:
            logits = self.infer(X)
        yield logits.to(device)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class, (n_samples, n_classes)."""
        return self.criterion_.predict_proba(self.decision_function(X))

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Return the position of the most probable class of each row, 0 or 1 of two."""
        return self.criterion_.predict(self.decision_function(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the logit, or logits, of each row in double precision."""
        (logits,) = self.forward_iter(X)
        return logits.numpy().astype(np.float64)

    def _encoded(self, X: EncodedData | ArrayLike | Tensor) -> EncodedData:
        """Take a matrix of field indices for encoded data; check the indices."""
        if isinstance(X, Tensor):
            X = X.cpu().numpy()
        data = X if isinstance(X, EncodedData) else EncodedData(X)
        check_indices(data.indices, self.module__cardinalities, self.module__slots)
        return data
