"""BaselineClassifier: the competitors of the paper, trained like DynInt."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from sk_dynint._base import BaseCTRClassifier
from sk_dynint._body import Body
from sk_dynint._trial import BODY, check_options, option_names, resolve, try_body
from sk_dynint.baselines import BASELINES, FactorizationMachine, LogisticRegressionBody
from sk_dynint.interactions import PIN, InteractionStack
from sk_dynint.optim import FALLBACK, OPTIMIZER_DEFAULTS, OPTIMIZERS


class XDeepInt(InteractionStack):
    """The body of ``DynIntClassifier(variant="pin")``, with the same defaults.

    Parameters
    ----------
    n_fields, embedding_dim, n_layers, n_subspaces, output
        See :class:`InteractionStack`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        n_layers: int = 3,
        n_subspaces: int | Literal["auto"] = "auto",
        output: Literal["merge", "split"] = "merge",
    ) -> None:
        super().__init__(
            n_fields,
            embedding_dim,
            layer=PIN,
            n_layers=n_layers,
            n_subspaces=n_subspaces,
            output=output,
        )


MODELS: dict[str, type[Body]] = {**BASELINES, "xdeepint": XDeepInt}

SHARED = ("deep", "hidden_units", "dropout", "batch_norm", "n_layers")
"""Options of bodies that are parameters of the estimator; a body takes those that it has."""

KINDS: dict[type[Body], str] = {
    LogisticRegressionBody: "linear",
    FactorizationMachine: "linear",
    XDeepInt: "xdeepint",
}
"""Bodies that are not deep: their kind, for `DEFAULTS`."""

DEFAULTS: dict[str, dict[Any, tuple[dict[str, Any], dict[str, Any]]]] = {
    "linear": {"ftrl": ({"lr": 0.1}, {})},
    "deep": {"adam": ({"lr": 1e-3, "l2": 1e-3}, {"l2": 0.0})},
}
"""Where a baseline differs from `OPTIMIZER_DEFAULTS`: kind of model, optimizer -> options of all
parameters, and what differs for the table."""


class BaselineClassifier(BaseCTRClassifier):
    r"""Click-through-rate prediction with the models that DynInt is compared to.

    Same data, encoder, embedding table, training and early stopping as
    :class:`DynIntClassifier`; only what makes a logit of the embedding differs:

    .. math:: P(y = 1) = \sigma\bigl(b + \sum_f w_{f, x_f} + body(E)\bigr)

    with the linear part in the models that have one.  Of C > 2 classes each has such a sum, with a
    linear part in every model, over one embedding table; the probabilities are the softmax.  ("lr",
    "fm" and "deepfm", in which embeddings stand for weights, give each class columns of its own.)

    Parameters
    ----------
    model : str or Body subclass, default="dcnv2"
        The competitors of the paper's Table 1 and newer ones, with the classes of
        :mod:`sk_dynint.baselines` that hold the equations, and what `n_layers` counts in them:

        - "lr": logistic regression, one weight per index.
        - "fm": factorization machine of second order.
        - "dnn": multilayer perceptron.
        - "widedeep": Wide & Deep, a linear part beside the DNN.
        - "deepcrossing": Deep Crossing, one residual unit for each entry of `hidden_units`.
        - "dcn": Deep & Cross Network; cross layers.
        - "dcnv2": DCN V2; cross layers.
        - "pnn": product network, inner and outer products.
        - "deepfm": DeepFM, the factorization machine beside the DNN.
        - "xdeepfm": xDeepFM; layers of the compressed interaction network.
        - "autoint": AutoInt+, or AutoInt with ``deep=False``; attention layers.
        - "fibinet": FiBiNET, squeeze-and-excitation and bilinear products.
        - "ecn": exponential cross network; cross layers, of which each doubles the order.
        - "fcn": FCN (DCN V3), an exponential and a linear cross network trained by Tri-BCE; cross
          layers of each.
        - "qnn": QNN-α; quadratic layers.
        - "xdeepint": xDeepInt, the model of ``DynIntClassifier(variant="pin")`` with the same
          defaults; polynomial interaction layers.
        - a class: a body of your own, see :class:`sk_dynint.baselines.Body`.

        Where nothing is named, `n_layers` does nothing.
    deep : bool, default=True
        Whether the model has its DNN.  False leaves the interaction layers (paper, Table 2); an
        error for "dnn", "widedeep" and "deepcrossing", which have no such form.  "lr", "fm", "ecn",
        "fcn", "qnn" and "xdeepint" never have a DNN.
    hidden_units : sequence of int, default=(400, 400)
        Widths of the DNN's hidden layers.  The paper searches 1 to 4 of 128 to 1,024.
        `hidden_units`, `dropout` and `batch_norm` do nothing in models without a DNN, but for the
        last two in "ecn", "fcn" and "qnn".
    dropout : float, default=0.0
        Probability that a hidden unit of the DNN, or an entry of a layer of "ecn", "fcn" and "qnn",
        is dropped in training.
    batch_norm : bool, default=False
        Whether the DNN normalises before each activation, and the gates of "ecn", "fcn" and "qnn"
        are normalised.
    n_layers : int, default=3
        Number of interaction layers, see `model`.  The paper searches 1 to 4.
    model_params : dict, default=None
        Further options of the model:

        - "dcnv2": ``structure`` ("parallel", "stacked"), ``rank`` (None: whole matrices).
        - "pnn": ``products`` ("both", "inner", "outer"), ``outer`` ("mat", "vec", "num", "sum").
        - "xdeepfm": ``cin_units`` (64; one number, or one for each layer).
        - "autoint": ``n_heads`` (2), ``attention_dim`` (16), ``scale``, ``residual``.
        - "fibinet": ``bilinear`` ("interaction", "each", "all"), ``reduction`` (3).
        - "ecn": ``n_heads`` (1), ``second_half`` ("affine", "norm", "mask").
        - "fcn": ``n_linear_layers`` (None: `n_layers`), ``tri_bce`` (True), ``n_heads``,
          ``second_half``.
        - "qnn": ``n_gates`` (2), ``self_ensemble`` (True).
        - "xdeepint": ``n_subspaces`` ("auto"), ``output`` ("merge", "split").
    n_members : int or "auto", default=1
        Number of networks whose mean logit is the model: an ensemble.  They share the encoder and
        differ in initial weights, order of rows, and validation rows: each sets a part of its own
        aside, so that every row teaches most of them; training stops, for all at once, by what
        they predict for those.  Two to eight improve nearly every table, the more the smaller it
        is; time and memory grow with their number.  "auto": 8 with fewer than 10,000 rows, 4 with
        more, and with `partial_fit`.
    embedding_dim : int, default=8
        D, length of the vector of a level; "lr" has none.
    embedding_init_std : float, default=None
        Standard deviation of the table's normal start; None means 0.1/√D, and 0 for "lr".
    n_knots : int, tuple of int or None, default=None
        Knots of the piecewise-linear vectors of numbers, for each scale.  The vector of a number is
        that of its bin, and for each scale the one between the two nearest knots, which are at
        equal distances in the order of the values: neighbouring bins have that in common, and
        learn it from more rows.  Numbers with no more bins than knots have none.  None: bins alone.
    popularity : float, default=0.0
        Strength of what the levels of a categorical column share by how frequent they are: to the
        vector of a level are added parts of two vectors of the column, one for its rarest and one
        for its most frequent levels, times this number over the square root of the number of
        fields.  A level that few rows have, or none, starts from what others of its kind have
        learnt.  0: each level for itself.
    oov : {"train", "zero"}, default="train"
        What index 0 (rare or unseen) and 1 (missing) mean: rows of the table like any other, or
        the zero vector as in the authors' code.
    categorical_features : {"from_dtype", "all"} or array-like, default=None
        The encoder's parameter of this name: names or positions of columns of numbers that are
        identifiers; strings are categorical beside them.  None leaves it to the encoder, which goes
        by what the columns hold.
    crosses : "auto" or list of tuples, default=None
        Columns that are fields together, for example ``[("user", "item")]``: each gets a field of
        the combinations, and one of the mean of the target in each, see :class:`FieldEncoder`.
        "auto" looks for pairs and triples that tell more of the target, out of fold, than their
        columns alone, and takes those of which validation rows confirm it, if one network predicts
        held-out rows better with them than without; `crosses_` has all figures.  With fewer than
        1,000 rows it looks for none.
    encoder : transformer, default=None
        None means ``FieldEncoder()``; `set_params` reaches its parameters as ``encoder__min_count``
        and the like either way.  Its `fit_transform` gets the training rows, their targets as 0
        and 1, and `sample_weight` where there are weights.  A ``sklearn.frozen.FrozenEstimator`` is
        used as it was fitted.
    optimizer : {"ftrl", "adam"} or torch.optim.Optimizer subclass, default=None
        None is the paper's choice: "ftrl" for "lr" and "fm" (plain, no group lasso), group-lasso
        FTRL and FTRL for "xdeepint", "adam" with L2 on the weights of the body for the rest.
    lr : float, default=None
        Learning rate.  None: 0.1 for "lr" and "fm" with "ftrl", 0.001 with any other optimizer
        than "ftrl"; for the rest of the models with "ftrl" 0.04, and 0.2 for the table, which then
        follows `embedding_optimizer_params` only.
    optimizer_params : dict, default=None
        Further options of the optimizer, for example ``{"l2": 1e-4}``.  Adam's ``l2``, 1e-3 if not
        given, is λ of a penalty λ/2 ‖W‖² beside the *mean* cross-entropy, over the weights of the
        body; biases, batch norm and the table are left alone.
    embedding_optimizer_params : dict, default=None
        What differs for the table, for example ``{"l2": 1e-5}`` with Adam, which shrinks the rows
        of a batch (:class:`sk_dynint.optim.RowAdam`), or ``{"group": True, "l1": 1.0}`` with FTRL.
    max_epochs : int, default=20
        Passes over the rows, at most.
    batch_size : int or "auto", default="auto"
        Rows in a training step.  "auto": the power of two that makes about 300 steps of a pass,
        between 128 and 1,024; `fit` takes all of up to 128 rows at once.  The paper's 4,096 is
        faster by the row, and takes more passes over a million rows than there can be without
        overfitting.
    averaging : float, default=8.0
        γ of the polynomial-decay average of the weights, which is what is validated and kept: about
        the last 1/(γ + 1) of the steps counts.  None keeps the last weights, and so do models with
        batch norm, because its statistics are those of the last weights.
    eval_every : int, default=None
        Steps between two evaluations; None means four in a pass with validation rows, but at least
        2 steps, and one in a pass without.  The paper evaluates every 2,000 steps.
    early_stopping : bool or "auto", default="auto"
        Whether to stop by the score of validation rows and restore the best weights.  "auto":
        with more than 128 rows.
    scoring : {"logloss", "auc"}, default="logloss"
        The score that decides.  "auc" of more than two classes is the mean of the AUCs of each
        class against all others, as in scikit-learn's "roc_auc_ovr".
    validation : {"random", "last", "groups"}, default="random"
        Which rows are set aside for it, before the encoder sees them: drawn at random, with each
        class in proportion (classes too rare for that together); the last ones, for rows in the
        order of time of which later ones will be predicted; or whole groups, such as users, of
        which others will be predicted.
    validation_column : label, default=None
        Column of `X` with the moment or the group of each row, unless `fit` is given `groups`.
        Rows of one moment or group stay together.  The column is a feature like the others.
    validation_fraction : float, default=0.1
        Part of the rows to set aside.
    patience : int, default=8
        Evaluations without improvement before training stops.
    callbacks : list of skorch callbacks, default=None
        Called by the net in training.  An "epoch" of skorch is one evaluation period.  (Callbacks
        of scikit-learn are set with ``set_callbacks``.)
    checkpoint : path, default=None
        File in which `fit` keeps the state of its run at every evaluation and when it is
        interrupted or terminated; ``fit(..., resume=True)`` goes on from there.  One file for one
        run: clones that train side by side need others.
    cache : path, default=None
        Folder that keeps the encoded rows of tables that are read in parts (files, LazyFrames), so
        that the next `fit` of the same rows begins with them, also after an interruption.  It needs
        four bytes for each cell.  None takes a temporary folder, which is gone after `fit`.
    class_weight : dict or "balanced", default=None
        Factor for the weight of each class.
    negative_sampling_rate : float, default=1.0
        Share w of the negative rows (those of ``classes_[0]``) that were kept for training, of two
        classes.  Predictions are corrected for it: a probability p becomes p / (p + (1 - p) / w).
        (He et al., *Practical Lessons from Predicting Clicks on Ads at Facebook*, ADKDD 2014.)  It
        may be set after `fit` too.
    warm_start : bool, default=False
        Whether `fit` goes on from the last call: same levels, same weights.
    precision : {"fp32", "bf16"}, default="fp32"
        What the matrix products of training compute in.  "bf16" is faster on processors that have
        it (on others, which a warning tells, several times slower), and costs about three digits
        of each product; the table, the optimizer's sums and predictions keep single precision.
    device : str or torch.device, default="cpu"
        Where to train and predict; "auto" takes a CUDA card if there is one.
    random_state : int, RandomState instance or None, default=None
        Split, initial weights, order of rows and dropout.  With an int, two fits on the same
        machine agree to the bit; the global generators are left alone.
    verbose : int, default=0
        1 shows a line of progress with the last and the best score, and at its end what was kept;
        and what else takes seconds: looking for crosses, many rows to encode or to predict, files
        of ONNX.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    encoder_ : FieldEncoder
        The fitted encoder.
    crosses_ : DataFrame
        The crosses, a line each: the tuple of its columns, and whether it is `kept`.  With
        ``crosses="auto"`` all that were considered, in the order of their choice, with the mean
        logloss that each saved on the rows that chose it (`gain`) and on others (`confirmed`, with
        its standard `error`): it is kept if `confirmed` exceeds `error` and half of `gain`, and the
        network's logloss on held-out rows, in ``crosses_.attrs["logloss"]``, is lower with all such
        crosses than without.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` is the torch module.
    n_members_ : int
        Number of members.
    history_ : DataFrame
        One line for each evaluation of the last call of `fit` or `partial_fit`: step, train_loss,
        valid_loss, valid_auc, whether it is the best, seconds.
    n_iter_ : int
        Training steps made, in all calls that went on with these weights.
    best_step_ : int
        Step of the best evaluation, whose weights are kept; the last step without validation rows.
    best_score_ : float or None
        Its score, by `scoring`; None without validation rows.
    fit_seconds_ : float
        Seconds that the last call of `fit` or `partial_fit` took, encoding included.
    n_pruned_rows_ : int
        Rows of the table that are exactly zero.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.

    References
    ----------
    Y. Yan and L. Li, *DynInt: Dynamic Interaction Modeling for Large-scale Click-Through Rate
    Prediction*, DLP-KDD 2022, Tables 1 and 2; the papers of the models are named in their classes.

    Examples
    --------
    Two fields, and a label that is their exclusive or, which a linear model cannot express:

    >>> import pandas as pd
    >>> from sk_dynint import BaselineClassifier
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = ["no", "yes", "yes", "no"] * 50
    >>> models = [BaselineClassifier(m, random_state=0).fit(X, y) for m in ("lr", "fm", "dcnv2")]
    >>> [model.score(X, y) == 1 for model in models]
    [False, True, True]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseCTRClassifier._parameter_constraints,
        "model": [StrOptions(set(MODELS)), type],
        "deep": ["boolean"],
        "hidden_units": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "n_layers": [Interval(Integral, 1, 64, closed="both")],
        "model_params": [dict, None],
        "optimizer": [StrOptions(set(OPTIMIZERS)), type, None],
    }

    def __init__(
        self,
        model: str | type[Body] = "dcnv2",
        *,
        deep: bool = True,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
        n_layers: int = 3,
        model_params: dict[str, Any] | None = None,
        n_members: int | Literal["auto"] = 1,
        embedding_dim: int = 8,
        embedding_init_std: float | None = None,
        n_knots: int | tuple[int, ...] | None = None,
        popularity: float = 0.0,
        oov: Literal["train", "zero"] = "train",
        categorical_features: str | ArrayLike | None = None,
        crosses: list[tuple[Hashable, ...]] | Literal["auto"] | None = None,
        encoder: Any = None,
        optimizer: str | type[torch.optim.Optimizer] | None = None,
        lr: float | None = None,
        optimizer_params: dict[str, Any] | None = None,
        embedding_optimizer_params: dict[str, Any] | None = None,
        max_epochs: int = 20,
        batch_size: int | Literal["auto"] = "auto",
        averaging: float | None = 8.0,
        eval_every: int | None = None,
        early_stopping: bool | Literal["auto"] = "auto",
        scoring: Literal["logloss", "auc"] = "logloss",
        validation: Literal["random", "last", "groups"] = "random",
        validation_column: Hashable | None = None,
        validation_fraction: float = 0.1,
        patience: int = 8,
        callbacks: list[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        negative_sampling_rate: float = 1.0,
        warm_start: bool = False,
        precision: Literal["fp32", "bf16"] = "fp32",
        device: str | torch.device = "cpu",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.deep = deep
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.n_layers = n_layers
        self.model_params = model_params
        self.n_members = n_members
        self.embedding_dim = embedding_dim
        self.embedding_init_std = embedding_init_std
        self.n_knots = n_knots
        self.popularity = popularity
        self.oov = oov
        self.categorical_features = categorical_features
        self.crosses = crosses
        self.encoder = encoder
        self.optimizer = optimizer
        self.lr = lr
        self.optimizer_params = optimizer_params
        self.embedding_optimizer_params = embedding_optimizer_params
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.averaging = averaging
        self.eval_every = eval_every
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation = validation
        self.validation_column = validation_column
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.cache = cache
        self.class_weight = class_weight
        self.negative_sampling_rate = negative_sampling_rate
        self.warm_start = warm_start
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _make_body(self) -> Callable[[int, int], Body]:
        body = self._model()
        if body.only_deep and not self.deep:
            raise ValueError(f"model={self.model!r} has no form with deep=False: {body.only_deep}")
        options = option_names(body)
        own = options - set(SHARED)
        check_options("model_params", self.model_params, own, f"model {self.model!r}")
        shared = {name: getattr(self, name) for name in SHARED if name in options}
        make_body = partial(body, **shared | (self.model_params or {}))
        if isinstance(self.model, type):
            try_body(body, make_body, self._embedding_dim(), self.device)
        return make_body

    def _ignored_by_body(self) -> dict[str, Iterable[str]]:
        options = option_names(self._model())
        ignored: dict[str, Iterable[str]] = {
            f"model={self.model!r}": [name for name in SHARED if name not in options]
        }
        if not self.deep and "deep" in options:
            ignored["deep=False"] = set(options) & {"hidden_units", "dropout", "batch_norm"}
        return ignored

    def _model(self) -> type[Body]:
        return resolve("model", self.model, MODELS, BODY)

    def _optimizer_defaults(self) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        kind = KINDS.get(self._model(), "deep")
        usual = "adam" if kind == "deep" else "ftrl"
        optimizer = usual if self.optimizer is None else self.optimizer
        known = OPTIMIZER_DEFAULTS | DEFAULTS.get(kind, {})
        return optimizer, *known.get(optimizer, FALLBACK)

    def _embedding_dim(self) -> int:
        return self._model().fixed_embedding_dim or self.embedding_dim

    def _init_std(self) -> float:
        starts_at_zero = self._model() is LogisticRegressionBody
        if starts_at_zero and self.embedding_init_std is None:
            return 0.0
        return super()._init_std()
