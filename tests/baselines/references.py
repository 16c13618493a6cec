"""The competitors in plain NumPy: one instance, loops, the equations of their papers.

`E` is the embedding of one instance, (F, D); `p` the parameters of the torch module by name.  What
the tests know of a competitor is its entry in `REFERENCES`, at the end.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tests.references import part

F, D = 4, 3


def relu(x):
    return np.maximum(x, 0)


def dense(p, x):
    """W x + b."""
    out = p["weight"] @ x
    return out + p["bias"] if "bias" in p else out


def dnn(p, x):
    """Hidden layers relu(W x + b)."""
    for i in range(sum(name.endswith(".weight") for name in p)):
        x = relu(dense(part(p, f"layers.{i}"), x))
    return x


def output(p, x):
    """The last unit, without bias."""
    return float(p["output.weight"][0] @ x)


def dnn_logit(p, E):
    return output(p, dnn(part(p, "dnn"), E.reshape(-1)))


def lr(p, E):
    return E.sum()


def fm(p, E):
    """Every pair of fields."""
    total = 0.0
    for i in range(len(E)):
        for j in range(i + 1, len(E)):
            total += sum(E[i, d] * E[j, d] for d in range(E.shape[1]))
    return total


def deepfm(p, E):
    deep = part(p, "deep")
    return fm(p, E) + (dnn_logit(deep, E) if deep else 0.0)


def deepcrossing(p, E, n_units=2):
    x = E.reshape(-1)
    for i in range(n_units):
        unit = part(p, f"units.{i}")
        hidden = relu(dense(part(unit, "hidden.layers.0"), x))
        x = relu(x + dense(part(unit, "back"), hidden))
    return output(p, x)


def with_dnn(p, x, x0, structure="parallel"):
    """Output unit over cross layers and DNN."""
    deep = part(p, "dnn")
    if not deep:
        return output(p, x)
    if structure == "stacked":
        return output(p, dnn(deep, x))
    return output(p, np.concatenate([x, dnn(deep, x0)]))


def dcn(p, E, n_layers=3):
    x = x0 = E.reshape(-1)
    for i in range(n_layers):
        w, b = p[f"cross.{i}.project.weight"][0], p[f"cross.{i}.bias"]
        projection = sum(w[k] * x[k] for k in range(len(x)))
        x = np.array([x0[k] * projection + b[k] + x[k] for k in range(len(x))])
    return with_dnn(p, x, x0)


def dcnv2(p, E, n_layers=3, structure="parallel", rank=None):
    x = x0 = E.reshape(-1)
    for i in range(n_layers):
        mix = part(p, f"cross.{i}.mix")
        W = mix["weight"] if rank is None else mix["1.weight"] @ mix["0.weight"]  # U Vᵀ
        b = mix["bias"] if rank is None else mix["1.bias"]
        assert W.shape == (len(x0), len(x0))
        x = np.array([x0[k] * (W[k] @ x + b[k]) + x[k] for k in range(len(x))])
    return with_dnn(p, x, x0, structure)


def pnn(p, E, products="both", outer="mat"):
    F, D = E.shape
    inner_products, outer_products = [], []
    pair = 0
    for i in range(F):
        for j in range(i + 1, F):
            inner_products.append(sum(E[i, d] * E[j, d] for d in range(D)))
            if outer != "sum" and products != "inner":
                K = p["outer.kernel"][pair]
                K = K if outer == "mat" else np.diag(K) if outer == "vec" else K[0] * np.eye(D)
                outer_products.append(E[i] @ K @ E[j])
            pair += 1
    if outer == "sum":
        pooled = np.zeros((D, D))
        for i in range(F):
            for j in range(F):
                pooled += np.outer(E[i], E[j])
        outer_products = list(pooled.reshape(-1))
    z = (inner_products if products != "outer" else []) + (
        outer_products if products != "inner" else []
    )
    deep = part(p, "dnn")
    if not deep:
        return output(p, np.array(z))
    return output(p, dnn(deep, np.concatenate([E.reshape(-1), z])))


def cin(p, E, n_layers):
    """Triple loop; column i·F + j of a layer's matrix is W_ij."""
    F, D = E.shape
    X, pooled = E, []
    for k in range(n_layers):
        W = p[f"layers.{k}.weight"]
        new = np.zeros((len(W), D))
        for h in range(len(W)):
            for i in range(len(X)):
                for j in range(F):
                    new[h] += W[h, i * F + j] * X[i] * E[j]
        X = new
        pooled += [row.sum() for row in X]
    return np.array(pooled)


def xdeepfm(p, E, n_layers=3):
    deep = part(p, "deep")
    logit = output(p, cin(part(p, "cin"), E, n_layers))
    return logit + (dnn_logit(deep, E) if deep else 0.0)


def attention(p, E, n_heads, scale, residual):
    """One interacting layer, head by head and field by field."""
    F = len(E)
    K = p["query.weight"].shape[0] // n_heads
    out = np.zeros((F, n_heads * K))
    for head in range(n_heads):
        rows = slice(head * K, (head + 1) * K)
        Q, Key, V = (p[f"{name}.weight"][rows] for name in ("query", "key", "value"))
        for m in range(F):
            similarity = np.array([(Q @ E[m]) @ (Key @ E[k]) for k in range(F)])
            similarity = similarity / np.sqrt(K) if scale else similarity
            alpha = np.exp(similarity - similarity.max())
            alpha = alpha / alpha.sum()
            out[m, rows] = sum(alpha[k] * (V @ E[k]) for k in range(F))
            if residual:
                out[m, rows] += p["residual.weight"][rows] @ E[m]
    return relu(out)


def autoint(p, E, n_layers=3, n_heads=2, scale=False, residual=True):
    X = E
    for i in range(n_layers):
        X = attention(part(p, f"attention.{i}"), X, n_heads, scale, residual)
    deep = part(p, "deep")
    return output(p, X.reshape(-1)) + (dnn_logit(deep, E) if deep else 0.0)


def bilinear_products(W, E, bilinear):
    """p_ij = (e_i W) ∘ e_j, all entries of all pairs."""
    F, D = E.shape
    products, pair = [], 0
    for i in range(F):
        for j in range(i + 1, F):
            matrix = W[{"all": 0, "each": i, "interaction": pair}[bilinear]]
            for d in range(D):
                products.append(sum(E[i, c] * matrix[c, d] for c in range(D)) * E[j, d])
            pair += 1
    return np.array(products)


def senet(p, E):
    z = E.mean(1)
    A = relu(p["excite.weight"] @ relu(p["squeeze.weight"] @ z))
    return np.array([a * row for a, row in zip(A, E, strict=True)])


def fibinet(p, E, bilinear="interaction"):
    V = senet(part(p, "senet"), E)
    x = np.concatenate(
        [
            bilinear_products(p["products.weight"], E, bilinear),
            bilinear_products(p["senet_products.weight"], V, bilinear),
        ]
    )
    deep = part(p, "dnn")
    return output(p, dnn(deep, x) if deep else x)


def cross_gate(p, x, second_half):
    """[c, ĉ] + b: only c has a matrix, and every entry of ĉ belongs to one of c."""
    c, norm = p["mix.weight"] @ x, part(p, "norms.second")
    copied = c[: len(x) - len(c)]
    z = copied
    if second_half != "affine":
        z = (z - z.mean()) / np.sqrt(z.var() + 1e-5)
    z = norm["weight"] * z + norm["bias"]
    second = copied * relu(z) if second_half == "mask" else z
    return np.concatenate([c, second]) + p["bias"]


def cross_network(p, E, n_layers, exponential=True, n_heads=1, second_half="affine"):
    """Mean over the heads of the logit of cross layers with these gates."""
    F, D = E.shape
    d = D // n_heads
    logits = []
    for h in range(n_heads):
        head = E[:, h * d : (h + 1) * d]
        first = [head[f, k] for f in range(F) for k in range(d - d // 2)]
        second = [head[f, k] for f in range(F) for k in range(d - d // 2, d)]
        x = x0 = np.array(first + second)
        for i in range(n_layers):
            gate = cross_gate(part(p, f"gates.{i}"), x, second_half)
            x = np.array([(x if exponential else x0)[k] * gate[k] + x[k] for k in range(len(x))])
        logits.append(output(p, x))
    return np.mean(logits)


def ecn(p, E, n_layers=3, n_heads=1, second_half="affine"):
    return cross_network(p, E, n_layers, n_heads=n_heads, second_half=second_half)


def fcn_members(p, E, n_layers=3, n_linear_layers=None, n_heads=1, second_half="affine"):
    """Logits of the exponential and of the linear network."""
    n_linear = n_linear_layers or n_layers
    options = {"n_heads": n_heads, "second_half": second_half}
    return (
        cross_network(part(p, "exponential"), E, n_layers, **options),
        cross_network(part(p, "linear"), E, n_linear, exponential=False, **options),
    )


def fcn(p, E, n_layers=3, n_linear_layers=None, n_heads=1, second_half="affine"):
    return np.mean(fcn_members(p, E, n_layers, n_linear_layers, n_heads, second_half))


def qnn(p, E, n_layers=3, n_gates=2):
    x = E.reshape(-1)
    for i in range(n_layers):
        layer = part(p, f"layers.{i}.gates")
        W, b = layer["weight"].reshape(n_gates, len(x), len(x)), layer["bias"].reshape(n_gates, -1)
        gate = sum(relu(W[r] @ x + b[r]) for r in range(n_gates))
        x = np.array([x[k] * gate[k] + x[k] for k in range(len(x))])
    return output(p, x)


# --- losses of the members of a mean


def cross_entropy(z, y):
    """Of a logit; y may lie between 0 and 1."""
    return -y * np.log(1 / (1 + np.exp(-z))) - (1 - y) * np.log(1 / (1 + np.exp(z)))


def tri_bce(members, y, w):
    """The whole loss: that of the mean, and those of the members by how far they are behind."""
    L = np.average(cross_entropy(members.mean(0), y), weights=w)
    total = L
    for member in members:
        L_m = np.average(cross_entropy(member, y), weights=w)
        total = total + max(0, L_m - L) * L_m
    return total


def self_ensemble(members, y, w):
    """The whole loss, with the mean probability as a target that is not differentiated."""
    p = (1 / (1 + np.exp(-members))).mean(0)
    total = np.average(-y * np.log(p) - (1 - y) * np.log(1 - p), weights=w)
    return total + sum(np.average(cross_entropy(member, p), weights=w) for member in members)


# --- the register


class Form(NamedTuple):
    """A body to test: its options, and the number of its parameters with F fields of length D."""

    options: dict
    n_parameters: int


class Reference(NamedTuple):
    """What the tests know of a competitor.

    `logit(p, E, ...)` returns the logit of one instance; the names after `p` and `E` are options of
    the body that the parameters do not show, with the same defaults.  `linear` says whether the
    model has one weight per index beside its body.
    """

    logit: Callable[..., float]
    forms: list[Form]
    linear: bool = False


def n_dense(*widths):
    """Number of parameters of dense layers between these widths."""
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(widths))


def n_dnn(n_inputs):
    """Number of parameters of the two hidden layers of `HIDDEN` and of the output unit."""
    return n_dense(n_inputs, 7, 5) + 5


def n_gate(n_first, n_second):
    """Number of parameters of a low-cost gate: W, γ, β and b."""
    width = n_first + n_second
    return n_first * width + 2 * n_second + width


HIDDEN = {"hidden_units": (7, 5)}
X, P = F * D, F * (F - 1) // 2  # width of the embedding, number of pairs of fields
N_CROSS = X * X + X  # of a cross layer of DCN V2 without a rank

REFERENCES = {
    "lr": Reference(lr, [Form({}, 0)]),
    "fm": Reference(fm, [Form({}, 0)], linear=True),
    "dnn": Reference(dnn_logit, [Form(HIDDEN, n_dnn(X)), Form({"hidden_units": ()}, X)]),
    "widedeep": Reference(
        dnn_logit,
        [Form(HIDDEN, n_dnn(X)), Form({"hidden_units": (7,)}, n_dense(X, 7) + 7)],
        linear=True,
    ),
    "deepcrossing": Reference(
        deepcrossing, [Form(HIDDEN, n_dense(X, 7, X) + n_dense(X, 5, X) + X)]
    ),
    "dcn": Reference(
        dcn,
        [
            Form(HIDDEN, 3 * 2 * X + X + n_dnn(X)),
            Form({"deep": False, "n_layers": 2}, 2 * 2 * X + X),
        ],
    ),
    "dcnv2": Reference(
        dcnv2,
        [
            Form(HIDDEN, 3 * N_CROSS + X + n_dnn(X)),
            Form({"deep": False, "n_layers": 1}, N_CROSS + X),
            Form(HIDDEN | {"structure": "stacked"}, 3 * N_CROSS + n_dnn(X)),
            Form(HIDDEN | {"rank": 2}, 3 * (2 * 2 * X + X) + X + n_dnn(X)),
            Form(
                HIDDEN | {"rank": 2, "structure": "stacked", "n_layers": 2},
                2 * (2 * 2 * X + X) + n_dnn(X),
            ),
            Form({"deep": False, "structure": "stacked", "rank": 5}, 3 * (2 * 5 * X + X) + X),
        ],
    ),
    "pnn": Reference(
        pnn,
        [
            Form(HIDDEN, P * D * D + n_dnn(X + 2 * P)),
            Form(HIDDEN | {"outer": "vec"}, P * D + n_dnn(X + 2 * P)),
            Form(HIDDEN | {"outer": "num"}, P + n_dnn(X + 2 * P)),
            Form(HIDDEN | {"outer": "sum"}, n_dnn(X + P + D * D)),
            Form(HIDDEN | {"products": "inner"}, n_dnn(X + P)),
            Form(HIDDEN | {"products": "outer"}, P * D * D + n_dnn(X + P)),
            Form(HIDDEN | {"products": "outer", "outer": "sum"}, n_dnn(X + D * D)),
            Form({"deep": False}, P * D * D + 2 * P),
            Form({"deep": False, "products": "inner"}, P),
        ],
    ),
    "deepfm": Reference(deepfm, [Form(HIDDEN, n_dnn(X)), Form({"deep": False}, 0)], linear=True),
    "xdeepfm": Reference(
        xdeepfm,
        [
            Form(HIDDEN | {"cin_units": 6}, F * F * 6 + 2 * 6 * F * 6 + 3 * 6 + n_dnn(X)),
            Form(
                {"deep": False, "cin_units": (6, 2), "n_layers": 2},
                F * F * 6 + 6 * F * 2 + 6 + 2,
            ),
        ],
        linear=True,
    ),
    "autoint": Reference(
        autoint,
        [
            Form(HIDDEN, 4 * D * 32 + 2 * 4 * 32 * 32 + F * 32 + n_dnn(X)),
            Form(HIDDEN | {"attention_dim": 3}, 4 * D * 6 + 2 * 4 * 6 * 6 + F * 6 + n_dnn(X)),
            Form({"deep": False, "n_heads": 1, "n_layers": 1}, 4 * D * 16 + F * 16),
            Form(
                HIDDEN | {"n_heads": 3, "scale": True},
                4 * D * 48 + 2 * 4 * 48 * 48 + F * 48 + n_dnn(X),
            ),
            Form({"deep": False, "residual": False}, 3 * D * 32 + 2 * 3 * 32 * 32 + F * 32),
        ],
    ),
    "fibinet": Reference(
        fibinet,
        [
            Form(HIDDEN, 2 * 1 * F + 2 * P * D * D + n_dnn(2 * P * D)),
            Form(
                HIDDEN | {"bilinear": "each", "reduction": 2},
                2 * 2 * F + 2 * (F - 1) * D * D + n_dnn(2 * P * D),
            ),
            Form({"deep": False, "bilinear": "all"}, 2 * 1 * F + 2 * D * D + 2 * P * D),
        ],
        linear=True,
    ),
    "ecn": Reference(
        ecn,
        [
            Form({}, 3 * n_gate(F * 2, F) + X),
            Form({"n_layers": 1, "second_half": "norm"}, n_gate(F * 2, F) + X),
            Form({"second_half": "mask"}, 3 * n_gate(F * 2, F) + X),
            Form({"n_heads": 3, "n_layers": 2}, 2 * n_gate(F, 0) + F),
        ],
    ),
    "fcn": Reference(
        fcn,
        [
            Form({}, 2 * (3 * n_gate(F * 2, F) + X)),
            Form({"n_layers": 2, "n_linear_layers": 1}, 3 * n_gate(F * 2, F) + 2 * X),
            Form({"second_half": "mask", "tri_bce": False}, 2 * (3 * n_gate(F * 2, F) + X)),
        ],
    ),
    "qnn": Reference(
        qnn,
        [
            Form({}, 3 * n_dense(X, 2 * X) + X),
            Form({"n_layers": 1, "n_gates": 3}, n_dense(X, 3 * X) + X),
            Form({"n_gates": 1, "self_ensemble": False}, 3 * n_dense(X, X) + X),
        ],
    ),
}
"""Name in `sk_dynint.baselines.BASELINES` -> reference.  Every competitor has an entry here."""
