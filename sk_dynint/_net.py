"""The net of a classifier: built, given new options, saved and restored."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sk_dynint import _archive
from sk_dynint._body import Body
from sk_dynint._compacting import Compaction, compacted, table_rows
from sk_dynint._loss import Loss
from sk_dynint._packing import ArchiveError
from sk_dynint._process import resolve_device
from sk_dynint._rows import table_options
from sk_dynint._versioned import Versioned
from sk_dynint._warnings import warn
from sk_dynint.export import TableDtype, write_onnx
from sk_dynint.optim import OptimizerPolicy, load_optimizer_state, optimizer_state
from sk_dynint.training import CTRNet, parameter_names, stage, to_arrays, to_tensors

MakeBody = Callable[[int, int], Body]

NOT_SAVED = ("callbacks", "random_state")
"""Parameters that may hold objects that cannot be saved without code; None stands for these."""


class NetMixin(Versioned):
    """What a classifier does with its net beside training and predicting."""

    classes_: NDArray[Any]
    negative_sampling_rate: float
    encoder_: Any
    net_: CTRNet
    n_members_: int
    n_knots: Any
    popularity: float
    oov: Any
    orthogonal_penalty: float
    precision: Any
    max_epochs: int
    device: Any
    verbose: int
    _built_with: dict[str, Any]

    @property
    def _loss(self) -> Loss:
        raise NotImplementedError

    def _embedding_dim(self) -> int:
        raise NotImplementedError

    def _init_std(self) -> float:
        raise NotImplementedError

    def _batch_size(self, n_samples: int) -> int:
        raise NotImplementedError

    def _optimizer_policy(self) -> OptimizerPolicy:
        raise NotImplementedError

    def _make_body(self) -> MakeBody:
        raise NotImplementedError

    def _checked_body(self) -> MakeBody:
        raise NotImplementedError

    def _make_net(
        self,
        make_body: MakeBody,
        base_logit: Any,
        n_rows: int,
        seed: int,
        *,
        exact: bool = False,
        **options: Any,
    ) -> CTRNet:
        """Build the module, which has further `options`, and its optimizer; `exact`: float64."""
        module_options = {
            **table_options(self.encoder_, self.n_knots, self.popularity),
            "embedding_dim": self._embedding_dim(),
            "make_body": make_body,
            "base_logit": base_logit,
            "init_std": self._init_std(),
            "oov": self.oov,
            **options,
        }
        return CTRNet.built(
            module_options,
            self._optimizer_policy(),
            criterion=self._loss,
            seed=seed,
            dtype=torch.float64 if exact else torch.float32,
            orthogonal_penalty=self.orthogonal_penalty,
            precision=self.precision,
            batch_size=self._batch_size(n_rows),
            max_epochs=self.max_epochs,
            device=str(resolve_device(self.device)),
            n_members=self.n_members_,
        )

    def _renew_options(self) -> None:
        """Give the present options to the net of an earlier call."""
        if not self.net_.can_continue_:
            raise ValueError(
                f"this {type(self).__name__} is compact, or was saved without the state of its "
                "optimizer, so that it cannot be trained on; take a copy that is not compact, save "
                "with training_state=True, or fit a clone"
            )
        self.net_.renew(
            self._optimizer_policy(),
            orthogonal_penalty=self.orthogonal_penalty,
            precision=self.precision,
            device=str(resolve_device(self.device)),
        )

    @property
    def _logit_shift(self) -> float:
        """What corrects a logit for the negative rows that were left out."""
        return float(np.log(self.negative_sampling_rate))

    # ------------------------------------------------------------------ saving

    def save(self, path: str | os.PathLike[str], *, training_state: bool = False) -> None:
        """Write the fitted classifier to one file, without code: see :func:`sk_dynint.load`.

        The file holds arrays in the format of safetensors, and everything else as JSON in its
        header.  It appears whole or not at all.

        Parameters
        ----------
        path : path
            Where to write it.
        training_state : bool, default=False
            Whether `partial_fit` and a warm start shall go on from it as from this classifier.  The
            file is about three times as large then.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        TypeError
            If the encoder, or a parameter, cannot be saved without code.
        ValueError
            If the state of the optimizer is asked for, and was lost when this classifier was saved.
        """
        check_is_fitted(self)
        if training_state and not self.net_.can_continue_:
            raise ValueError(
                f"this {type(self).__name__} has no state of its optimizer: it was saved without, "
                "or is compact"
            )
        for name in NOT_SAVED:
            if (value := getattr(self, name)) is not None and not isinstance(value, int):
                warn(f"{name}={value!r} is not saved: the loaded classifier has {name}=None")
        _archive.write(path, type(self).__name__, self._content(training_state))

    def compact(self) -> Compaction:
        """Let all rows of the table that are exactly zero share one, for prediction only.

        FTRL's group lasso, ``embedding_optimizer_params={"l1": 1.0, "group": True}``, makes the
        rows of levels that do not help exactly zero, most with a small `embedding_init_std`.
        Predictions stay the same to the bit.  Each index keeps its meaning, and the number of its
        row (4 bytes) takes the place of the row; levels, crosses, `unseen_rate` and explanations
        are as before, and an ONNX file has all rows.

        The state of the optimizer, about twice the table, goes too: `partial_fit` and a warm start
        need a copy that is not compact.  (`fit` without warm start begins anew.)

        Rows that training never touched, such as that of missing values where there were none, have
        their initial values, which are not zero; they stay, as predictions may need them.  A table
        that would not be smaller stays as it is, as first-order weights of two classes do.  If none
        would, nothing changes.

        Returns
        -------
        Compaction
            `n_rows_before`, `n_rows_after`, `n_bytes_before` and `n_bytes_after` of the tables.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_dynint import DynIntClassifier
        >>> rng = np.random.default_rng(0)
        >>> X = np.column_stack([rng.integers(0, 9, 2000), rng.integers(0, 600, 2000)]).astype(str)
        >>> y = X[:, 0] > "4"
        >>> options = {"crosses": None, "n_members": 1, "max_epochs": 4, "random_state": 0}
        >>> l1 = {"l1": 1.0, "group": True}
        >>> sparse = {"embedding_optimizer_params": l1, "embedding_init_std": 0.001}
        >>> model = DynIntClassifier(**sparse, **options).fit(X, y)
        >>> before = model.predict_proba(X)
        >>> report = model.compact()
        >>> report.n_rows_after < report.n_rows_before
        True
        >>> np.array_equal(model.predict_proba(X), before)
        True
        """
        check_is_fitted(self)
        content = self._content(training_state=False)
        content["net"]["weights"], report = compacted(content["net"]["weights"])
        if report.n_rows_after < report.n_rows_before:
            self.net_ = type(self)._restored(content).net_
        return report

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        raw_inputs: bool = True,
        table_dtype: TableDtype = "float32",
    ) -> None:
        """Write the fitted classifier as one ONNX file, which needs neither Python nor torch.

        Parameters
        ----------
        path : path
            Where to write it; it appears whole or not at all.
        raw_inputs : bool, default=True
            Whether the file takes the columns of `fit`, a tensor (N, 1) for each by its name:

            - strings where the column held strings; "<NA>" is a missing one.
            - int64 where the column is categorical, with levels beyond 2^53 (hashes, say); -2^63
              is a missing one.
            - float64 for all other numbers, for booleans, and for dates and durations in seconds
              (since 1970, UTC); NaN is a missing one.

            Otherwise it takes field indices: "indices", (N, n_encoded) int64.
        table_dtype : {"float32", "float16", "int8"}, default="float32"
            What the vectors of the tables are stored in: "float16" takes half the space and "int8"
            about a third; what that costs is in docs/reliability.md.

        Raises
        ------
        ImportError
            If onnx or onnxscript is not installed: ``pip install "sk-dynint[onnx]"``.
        ValueError
            If a column holds what ONNX cannot read (lists, several kinds of values, numbers as
            levels that are not whole), if tables and levels do not fit in a file of 2 GiB, or if
            `table_dtype` is unknown or cannot hold an entry of a table.  Nothing is written then.

        Notes
        -----
        The outputs are "label", (N,), and "probabilities", (N, n_classes) float32, in the order of
        ``classes_``.  Labels that are neither strings, numbers nor booleans are given by their
        position in ``classes_``.

        An infinite number, which `predict_proba` refuses, falls in the last bin on its side.

        The metadata of the file tell the "classes" and the "columns" (raw ones, or those of
        indices) as JSON, and the "table_dtype" and "sk_dynint_version" as they are.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np, onnxruntime, pandas as pd
        >>> from sk_dynint import DynIntClassifier
        >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "age": [1.0, 2.0] * 100})
        >>> model = DynIntClassifier(random_state=0).fit(X, ["no", "yes", "yes", "no"] * 50)
        >>> with TemporaryDirectory() as folder:
        ...     model.to_onnx(Path(folder) / "model.onnx")
        ...     session = onnxruntime.InferenceSession(Path(folder) / "model.onnx")
        >>> columns = {"site": np.array([["a"], ["<NA>"]]), "age": np.array([[2.0], [np.nan]])}
        >>> label, proba = session.run(None, columns)
        >>> new = pd.DataFrame({"site": ["a", None], "age": [2.0, np.nan]})
        >>> np.allclose(proba, model.predict_proba(new), atol=1e-5)
        True
        """
        check_is_fitted(self)
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ImportError(
                'to_onnx needs onnx and onnxscript: pip install "sk-dynint[onnx]"'
            ) from error
        with stage(f"to_onnx: writing {os.fspath(path)}", self.verbose):
            write_onnx(
                path,
                self.net_.module_,
                self.encoder_,
                self.classes_,
                shift=self._logit_shift,
                raw_inputs=raw_inputs,
                table_dtype=table_dtype,
            )

    def _content(self, training_state: bool) -> dict[str, Any]:
        """Return what is saved."""
        params: dict[str, Any] = self.get_params(deep=False)  # type: ignore[attr-defined]
        plain = {name: _plain(name, value) for name, value in params.items()}
        own = {k: v for k, v in vars(self).items() if k not in (*params, "net_", "_skl_callbacks")}
        built_with = {name: _plain(name, value) for name, value in self._built_with.items()}
        net: dict[str, Any] = {
            "weights": to_arrays(self.net_.module_.state_dict()),
            "batch_size": self.net_.batch_size,
            "n_earlier_steps": self.net_.n_earlier_steps_,
        }
        if training_state:
            names = parameter_names(self.net_.module_)
            net["optimizer"] = to_arrays(optimizer_state(self.net_.optimizer_, names))
            net["weights_changed_outside"] = self.net_.weights_changed_outside_
        return {"params": plain, "own": own | {"_built_with": built_with}, "net": net}

    @classmethod
    def _restored(cls, content: Mapping[str, Any]) -> Self:
        """Return the classifier whose content this is.

        Raises
        ------
        ArchiveError
            If weights are missing, or do not fit the parameters.
        """
        made = cls(**content["params"])
        made._validate_params()  # type: ignore[attr-defined]
        vars(made).update(content["own"])
        net, weights = content["net"], content["net"]["weights"]
        exact = any(value.dtype == np.float64 for value in weights.values())
        n_classes = len(made.classes_)
        base = 0.0 if n_classes == 2 else [0.0] * n_classes
        n_rows = table_rows(weights)
        n_weights = sum(value.size for value in weights.values())
        made._check_size(made._make_body(), np.size(base), n_weights, n_rows[0])
        make_body = made._checked_body()
        options = {"table_rows": n_rows} if any(n_rows) else {}
        made.net_ = made._make_net(make_body, base, net["batch_size"], 0, exact=exact, **options)
        module = made.net_.module_
        wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        found = {name: value.shape for name, value in weights.items()}
        if wanted != found:
            raise ArchiveError(f"the weights do not fit the parameters: {wanted} and {found}")
        module.load_state_dict(to_tensors(weights))
        module.train(False)
        made.net_.batch_size = net["batch_size"]
        made.net_.n_earlier_steps_ = net["n_earlier_steps"]
        made.net_.can_continue_ = "optimizer" in net
        if made.net_.can_continue_:
            state = to_tensors(net["optimizer"])
            load_optimizer_state(made.net_.optimizer_, parameter_names(module), state)
            made.net_.weights_changed_outside_ = net["weights_changed_outside"]
        return made

    def _check_size(
        self, make_body: MakeBody, n_outputs: int, n_weights: int, n_rows: int | None
    ) -> None:
        """Refuse parameters that ask for more weights than there are, before these take memory."""
        cardinalities, dim = self.encoder_.cardinalities_, self._embedding_dim()
        with torch.device("meta"):
            body = make_body(len(cardinalities), dim)
        in_body = n_outputs * sum(p.numel() for p in body.parameters())
        n = int(sum(cardinalities))
        in_table = n * dim if n_rows is None else n + n_rows * dim
        if self.n_members_ * (in_body + in_table) > n_weights:
            raise ArchiveError("the parameters ask for more weights than the file has")


def _plain(name: str, value: Any) -> Any:
    """Return a parameter as it is saved."""
    if name in ("checkpoint", "cache"):  # of the run that is over
        return None
    if name in NOT_SAVED and not isinstance(value, int):
        return None
    return str(value) if isinstance(value, torch.device) else value
