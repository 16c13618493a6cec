"""DynIntClassifier: which interaction layers to stack."""

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
from sk_dynint._trial import (
    BODY,
    LAYER,
    check_options,
    option_names,
    resolve,
    try_body,
    try_layer,
)
from sk_dynint.baselines import BASELINES, Fusion, Hybrid
from sk_dynint.interactions import VARIANTS, InteractionLayer, InteractionStack


class DynIntClassifier(BaseCTRClassifier):
    r"""Click-through-rate prediction with dynamic feature interactions (DynInt).

    A table of raw columns is encoded (see :class:`FieldEncoder`), embedded, and crossed by a stack
    of L interaction layers:

    .. math::

        X_l = X_{l-1} \circ (W_{l-1} X_0) + X_{l-1}, \qquad
        P(y = 1) = \sigma\bigl(w_{out} X_L \mathbf{1} + b\bigr)

    where the variant says how the interaction :math:`W_{l-1} X_0` depends on the instance.

    Of C > 2 classes each has such a stack, all over one embedding table, a bias, and a weight for
    every level; the probabilities are the softmax of the C sums.

    Parameters
    ----------
    variant : {"da", "pin", "dgp", "dwp"} or InteractionLayer subclass, default="da"
        - "pin": static W; the model is xDeepInt (paper, Eq. 3).
        - "da": dynamic activation, :math:`(W X_0) \circ G^{(i)}` (Eq. 4).
        - "dgp": dynamic generated parameters, :math:`U \Sigma^{(i)} V^T X_0` (Eq. 8).
        - "dwp": dynamic weighted parameters, :math:`(G^{(i)} \circ W) X_0` with G of low rank
          (Eq. 10).
        - a class: a variant of your own, see :class:`sk_dynint.interactions.InteractionLayer`.
    n_layers : int, default=3
        L; the logit is a polynomial of degree L + 1.  With 0 the model is logistic regression.
        The paper searches 1 to 4.
    n_subspaces : int or "auto", default="auto"
        H; must divide `embedding_dim`.  1 crosses whole vectors (vector-wise), `embedding_dim`
        single entries (bit-wise).  Cost grows with it.  The paper searches 1, 2, 4, 8 and 16.
        "auto" takes the largest divisor up to 4, or less where several hundred columns would make
        the layers too large; ``net_.module_.body.n_subspaces`` tells which (with more than two
        classes ``net_.module_.body.bodies[0].n_subspaces``).
    rank : int, default=None
        K, rank of what is generated.  None: the smaller of 16 and fields times sub-spaces for
        "dgp", 2 for "dwp"; the other variants have none.
    reduction : int, default=16
        r; the generating network of a dynamic layer has F·D // r hidden units.
    orthogonal_penalty : float, default=0.0
        λ of Eq. 11 ("dgp") and Eq. 12 ("dwp"), relative to the mean cross-entropy.  It multiplies
        a sum over K (K - 1) pairs and L layers, so it has to shrink with them.
    variant_params : dict, default=None
        Options of the variant's layers, for example ``{"gate_init": "zeros"}`` for "da" or
        ``{"offset": "first"}`` for "dwp", and ``{"output": "split"}`` of the stack; see the classes
        in :mod:`sk_dynint.interactions`.
    beside : str or Body subclass, default=None
        A body beside the stack, over the same embeddings, which makes the model a hybrid: "dnn",
        "dcnv2" or another model of :class:`BaselineClassifier` by its name there, or a class of
        your own, see :class:`sk_dynint.baselines.Body`.  The bodies are then in
        ``net_.module_.body.bodies``, the stack first.
    beside_params : dict, default=None
        Options of that body, for example ``{"hidden_units": (128, 64), "dropout": 0.1}`` for "dnn"
        or ``{"deep": False}`` for "dcnv2"; see the classes in :mod:`sk_dynint.baselines`.
    fusion : {"sum", "tri-bce"}, default="sum"
        How the two logits become one: their sum, or their mean with a loss in which each of them
        has a share, the greater the more it is behind the mean (FCN's Tri-BCE; with more than two
        classes the loss of the mean alone).
    n_members : int or "auto", default="auto"
        Number of networks whose mean logit is the model: an ensemble.  They share the encoder and
        differ in initial weights, order of rows, and validation rows: each sets a part of its own
        aside, so that every row teaches most of them; training stops, for all at once, by what
        they predict for those.  Two to eight improve nearly every table, the more the smaller it
        is; time and memory grow with their number.  "auto": 8 with fewer than 10,000 rows, 4 with
        more, and with `partial_fit`.
    embedding_dim : int, default=8
        D, length of the vector of a level.
    embedding_init_std : float, default=None
        Standard deviation of the table's normal start; None means 0.1/√D, a tenth of the authors':
        with that the early model is nearly linear, and overfits rare levels less.
    n_knots : int, tuple of int or None, default=(4, 16)
        Knots of the piecewise-linear vectors of numbers, for each scale.  The vector of a number is
        that of its bin, and for each scale the one between the two nearest knots, which are at
        equal distances in the order of the values: neighbouring bins have that in common, and
        learn it from more rows.  Numbers with no more bins than knots have none.  None: bins alone.
    popularity : float, default=1.5
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
    crosses : "auto", list of tuples or None, default="auto"
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
    optimizer : {"ftrl", "adam"} or torch.optim.Optimizer subclass, default="ftrl"
        "ftrl": group-lasso FTRL on the table, FTRL on the rest (:class:`sk_dynint.optim.FTRL`);
        "adam": :class:`sk_dynint.optim.RowAdam`.  These two update only the rows of a batch; a
        class of your choice gets dense gradients.
    lr : float, default=None
        Learning rate of everything but the table, which has one of its own with "ftrl" only.  None:
        0.04 for "ftrl", 0.001 otherwise.
    optimizer_params : dict, default=None
        Further options of the optimizer, for example ``{"l1": 1.0}``.
    embedding_optimizer_params : dict, default=None
        What differs for the table: for "ftrl" ``{"lr": 0.2, "group": True}`` and what is given
        here; with l1 above 0 the rows of levels that do not help become exactly zero.
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

    Notes
    -----
    The loss is the *sum* of the cross-entropies in a batch, the scale that FTRL's constants are
    meant for; see :class:`sk_dynint.optim.FTRL`.

    Up to 128 rows (and ``batch_size="auto"``), `fit` takes all rows at every step, sorted and
    in float64: neither the order of the rows, nor whether a weight is written as repeated rows,
    makes a difference.

    References
    ----------
    Y. Yan and L. Li, *DynInt: Dynamic Interaction Modeling for Large-scale Click-Through Rate
    Prediction*, DLP-KDD 2022.

    Li et al., *FCN: fusing exponential and linear cross network for click-through rate prediction*,
    KDD 2026 (arXiv 2407.13349), for Tri-BCE.

    Examples
    --------
    Two fields, and a label that is their exclusive or:

    >>> import pandas as pd
    >>> from sk_dynint import DynIntClassifier
    >>> X = pd.DataFrame({"site": ["a", "a", "b", "b"] * 50, "ad": ["x", "y", "x", "y"] * 50})
    >>> y = ["no", "yes", "yes", "no"] * 50
    >>> model = DynIntClassifier(random_state=0).fit(X, y)
    >>> model.predict(X.head(4))
    array(['no', 'yes', 'yes', 'no'], dtype=...)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseCTRClassifier._parameter_constraints,
        "variant": [str, type],
        "n_layers": [Interval(Integral, 0, 64, closed="both")],
        "n_subspaces": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "reduction": [Interval(Integral, 1, None, closed="left")],
        "orthogonal_penalty": [Interval(Real, 0, None, closed="left")],
        "variant_params": [dict, None],
        "beside": [str, type, None],
        "beside_params": [dict, None],
        "fusion": [StrOptions({"sum", "tri-bce"})],
    }

    def __init__(
        self,
        variant: str | type[InteractionLayer] = "da",
        *,
        n_layers: int = 3,
        n_subspaces: int | Literal["auto"] = "auto",
        rank: int | None = None,
        reduction: int = 16,
        orthogonal_penalty: float = 0.0,
        variant_params: dict[str, Any] | None = None,
        beside: str | type[Body] | None = None,
        beside_params: dict[str, Any] | None = None,
        fusion: Fusion = "sum",
        n_members: int | Literal["auto"] = "auto",
        embedding_dim: int = 8,
        embedding_init_std: float | None = None,
        n_knots: int | tuple[int, ...] | None = (4, 16),
        popularity: float = 1.5,
        oov: Literal["train", "zero"] = "train",
        categorical_features: str | ArrayLike | None = None,
        crosses: list[tuple[Hashable, ...]] | Literal["auto"] | None = "auto",
        encoder: Any = None,
        optimizer: str | type[torch.optim.Optimizer] = "ftrl",
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
        self.variant = variant
        self.n_layers = n_layers
        self.n_subspaces = n_subspaces
        self.rank = rank
        self.reduction = reduction
        self.orthogonal_penalty = orthogonal_penalty
        self.variant_params = variant_params
        self.beside = beside
        self.beside_params = beside_params
        self.fusion = fusion
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
        layer = resolve("variant", self.variant, VARIANTS, LAYER)
        if self.n_subspaces != "auto" and self.embedding_dim % self.n_subspaces:
            raise ValueError(
                f"n_subspaces={self.n_subspaces} must divide embedding_dim={self.embedding_dim}"
            )
        allowed = option_names(layer)
        of = f"variant {self.variant!r}"
        check_options("variant_params", self.variant_params, allowed | {"output"}, of)
        options = {"reduction": self.reduction, "rank": self.rank}
        options = {k: v for k, v in options.items() if k in allowed and v is not None}
        make_stack = partial(
            InteractionStack,
            layer=layer,
            n_layers=self.n_layers,
            n_subspaces=self.n_subspaces,
            **options | (self.variant_params or {}),
        )
        if isinstance(self.variant, type):
            try_layer(layer, make_stack, self.embedding_dim, self.device)
        if self.beside is None:
            check_options("beside_params", self.beside_params, set(), "beside=None")
            return make_stack
        make_beside = self._make_beside()
        return partial(_make_hybrid, (make_stack, make_beside), self.fusion)

    def _ignored_by_body(self) -> dict[str, Iterable[str]]:
        layer = resolve("variant", self.variant, VARIANTS, LAYER)
        names = [name for name in ("rank", "reduction") if name not in option_names(layer)]
        if layer.penalty is InteractionLayer.penalty:
            names.append("orthogonal_penalty")
        ignored: dict[str, Iterable[str]] = {f"variant={self.variant!r}": names}
        return ignored | ({"beside=None": ("fusion",)} if self.beside is None else {})

    def _make_beside(self) -> Callable[[int, int], Body]:
        """Check the options of the body beside the stack; return what makes it."""
        body = resolve("beside", self.beside, BASELINES, BODY)
        if body.fixed_embedding_dim not in (None, self.embedding_dim):
            raise ValueError(
                f"beside={self.beside!r} has embeddings of length {body.fixed_embedding_dim}, and "
                f"would share a table with embedding_dim={self.embedding_dim}"
            )
        of = f"beside={self.beside!r}"
        check_options("beside_params", self.beside_params, option_names(body), of)
        make_beside = partial(body, **self.beside_params or {})
        if isinstance(self.beside, type):
            try_body(body, make_beside, self.embedding_dim, self.device)
        return make_beside


def _make_hybrid(
    makers: Sequence[Callable[[int, int], Body]], fusion: Fusion, n_fields: int, embedding_dim: int
) -> Hybrid:
    """Make a hybrid of the bodies that the makers make."""
    return Hybrid([make(n_fields, embedding_dim) for make in makers], fusion=fusion)
