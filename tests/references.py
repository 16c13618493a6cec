"""Plain NumPy references in double precision, written from the paper's formulas.

Arrays are (B, M, Ds): the paper's layout, in which a mixing matrix is (M, M) and multiplies from
the left (B batch, M = fields times sub-spaces, Ds = embedding_dim / sub-spaces).  Parameters are a
dict of arrays under the names that the modules give them.  Everything accepts complex numbers, so
that a derivative is one evaluation at p + ih (`complex_step`); the real part alone is what a
blocked gradient lets through.
"""

import inspect

import numpy as np


def known_options(function, options):
    """Those of the options that a function, class or reference takes."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in parameters}


def to_numpy(module):
    """Parameters of a torch module as a dict of double precision arrays."""
    return {name: p.detach().numpy().astype(float) for name, p in module.named_parameters()}


def number(x):
    """A torch scalar, part of a graph or not, the mean over instances, or a number, as a float."""
    return x.mean().item() if hasattr(x, "mean") else float(x)


def randomize(module, std=0.5):
    """Move every parameter of a torch module off its start, zeros and symmetries included."""
    for p in module.parameters():
        p.data.normal_(0, std)
    return module


def part(params, prefix):
    """The parameters below `prefix`, without it."""
    prefix += "."
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}


# --- embedding and sub-spaces


def lookup(table, cardinalities, X, oov="train"):
    """X0[b, f] = row of level X[b, f] in the block of field f.  Eq. (1)."""
    X0 = np.zeros((*X.shape, table.shape[1]), dtype=table.dtype)
    for b, row in enumerate(X):
        for f, level in enumerate(row):
            if oov == "train" or level > 1:
                X0[b, f] = table[sum(cardinalities[:f]) + level]
    return X0


def split(X, h):
    """Z[b, s·F + f, j] = X[b, f, s·Ds + j]."""
    B, F, D = X.shape
    Z = np.zeros((B, h * F, D // h), dtype=X.dtype)
    for s in range(h):
        for f in range(F):
            for j in range(D // h):
                Z[:, s * F + f, j] = X[:, f, s * (D // h) + j]
    return Z


# --- layers: (parameters, Z, Z0, options) -> (Z, penalty of every instance)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def net(p, Z0, gate_input="flatten"):
    """A2 relu(A1 x + a1) + a2; entry (m, j) of the map is input j·M + m, gradient blocked."""
    Z0 = Z0.real
    x = Z0.transpose(0, 2, 1).reshape(len(Z0), -1) if gate_input == "flatten" else Z0.mean(2)
    hidden = x @ p["hidden.weight"].T + p["hidden.bias"]
    hidden = np.where(hidden.real > 0, hidden, 0)
    return hidden @ p["output.weight"].T + p["output.bias"]


def pin(p, Z, Z0):
    """Eq. (3)."""
    return np.array([z * (p["weight"] @ z0) + z for z, z0 in zip(Z, Z0, strict=True)]), 0.0


def da(p, Z, Z0, gate_shape="feature", gate_input="flatten"):
    """Eq. (4)."""
    B, M, Ds = Z0.shape
    G = 2 * sigmoid(net(part(p, "gate"), Z0, gate_input))
    G = G.reshape(B, M, 1) if gate_shape == "feature" else G.reshape(B, Ds, M).transpose(0, 2, 1)
    return np.array([Z[i] * (p["weight"] @ Z0[i]) * G[i] + Z[i] for i in range(B)]), 0.0


def dgp_matrices(p, Z0, activation="sigmoid", sigma="diagonal", gate_input="flatten"):
    """U Σ Vᵀ of every instance, (B, M, M).  Eq. (7)."""
    K = p["u"].shape[1]
    s = net(part(p, "gate"), Z0, gate_input)
    if sigma == "full":
        sigma = np.eye(K) + s.reshape(-1, K, K)
    else:
        act = {
            "sigmoid": lambda a: 2 * sigmoid(a),
            "softplus": lambda a: np.log1p(np.exp(a)),
            "linear": lambda a: a,
        }[activation]
        sigma = np.array([np.diag(row) for row in act(s)])
    return np.array([p["u"] @ one @ p["v"].T for one in sigma])


def dgp(p, Z, Z0, penalty_kind="absolute", normalize_penalty=False, **options):
    """Eq. (5) and (11)."""
    W = dgp_matrices(p, Z0, **options)
    penalty = sum(cosine_penalty(p[name].T, penalty_kind, normalize_penalty) for name in ("u", "v"))
    return np.array([Z[i] * (W[i] @ Z0[i]) + Z[i] for i in range(len(Z))]), penalty


def dwp_factors(p, Z0, rank, offset="sqrt", gate_input="flatten"):
    """u and v of every instance, (B, K, M) each."""
    both = net(part(p, "gate"), Z0, gate_input).reshape(len(Z0), 2, rank, -1)
    both = (
        both
        + {
            "sqrt": np.full((rank, 1), 1 / np.sqrt(rank)),
            "paper": np.full((rank, 1), 1 / rank),
            "first": np.eye(rank)[:, :1],
            "none": np.zeros((rank, 1)),
        }[offset]
    )
    return both[:, 0], both[:, 1]


def dwp(p, Z, Z0, rank, penalty_kind="absolute", normalize_penalty=False, **options):
    """Eq. (6), (9) and (12)."""
    out, penalty = [], []
    for i, (u, v) in enumerate(zip(*dwp_factors(p, Z0, rank, **options), strict=True)):
        G = sum(np.outer(u[k], v[k]) for k in range(rank))
        out.append(Z[i] * ((G * p["weight"]) @ Z0[i]) + Z[i])
        penalty.append(sum(cosine_penalty(a, penalty_kind, normalize_penalty) for a in (u, v)))
    return np.array(out), np.mean(penalty)


def cosine_penalty(vectors, kind="absolute", normalize=False):
    """Σ_{p>q} |cos(a_p, a_q)|, or of cos²; pairs with a zero vector count 0."""
    total = 0.0
    for p in range(len(vectors)):
        for q in range(p):
            a, b = vectors[p], vectors[q]
            if np.any(a.real != 0) and np.any(b.real != 0):
                cos = (a @ b) / np.sqrt((a @ a) * (b @ b))
                total += cos**2 if kind == "squared" else cos * np.sign(cos.real)
    n_pairs = len(vectors) * (len(vectors) - 1) / 2
    return total / n_pairs if normalize and n_pairs else total


LAYERS = {"pin": pin, "da": da, "dgp": dgp, "dwp": dwp}
"""Name in `sk_dynint.interactions.VARIANTS` -> reference.  Every variant has an entry here."""


# --- the whole model


def body(params, X0, variant, n_layers, n_subspaces=1, output="merge", **options):
    """(logit of every instance without bias, penalty).  Eq. (1) to (4)."""
    F, h = X0.shape[1], n_subspaces
    Z = Z0 = split(X0, h)
    penalty = 0.0
    for k in range(n_layers):
        Z, extra = LAYERS[variant](part(params, f"layers.{k}"), Z, Z0, **options)
        penalty = penalty + extra
    logit = 0
    for m in range(Z.shape[1]):  # row m = s·F + f belongs to field f
        logit = logit + params["output"][m % F if output == "merge" else m] * Z[:, m].sum(1)
    return logit, penalty


def logit_and_penalty(params, cardinalities, X, oov="train", **options):
    """CTRModule with an interaction stack."""
    X0 = lookup(params["embedding.weight"], cardinalities, X, oov)
    logit, penalty = body(part(params, "body"), X0, **options)
    return params["bias"] + logit, penalty


def summed_cross_entropy(logit, y):
    """Σ_i log(1 + exp(-(2y - 1) logit)), without overflow."""
    margin = (2 * y - 1) * logit
    loss = np.log1p(np.exp(-np.abs(margin.real) - 1j * np.sign(margin.real) * margin.imag))
    return np.sum(loss - np.where(margin.real < 0, margin, 0))


def objective(params, cardinalities, X, y, coefficient, **options):
    """Summed cross-entropy plus B·λ·penalty: `sum_i (BCE_i + λ P_i)`.  Eq. (11) and (12)."""
    logit, penalty = logit_and_penalty(params, cardinalities, X, **options)
    return summed_cross_entropy(logit, y) + len(X) * coefficient * penalty


# --- derivatives


def complex_step(function, params, h=1e-30):
    """Gradient of `function(params)` by Im f(p + ih) / h: exact to rounding."""
    gradients = {}
    for name, value in params.items():
        gradients[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[index] += 1j * h
            gradients[name][index] = np.imag(function(params | {name: moved})) / h
    return gradients


def slope(function, value, h=1e-30):
    """Gradient of `function(value)` with respect to one array."""
    return complex_step(lambda p: function(p["value"]), {"value": value}, h)["value"]


def central_differences(function, params, h=1e-6):
    """Gradient of `function(params)` by (f(p + h) - f(p - h)) / 2h."""
    gradients = {}
    for name, value in params.items():
        gradients[name] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = h
            up, down = (function(params | {name: value + s}) for s in (step, -step))
            gradients[name][index] = np.real(up - down) / (2 * h)
    return gradients


# --- optimizers


class PlainFTRL:
    """FTRL-Proximal one coordinate at a time, group FTRL one row at a time.

    `start="consistent"` begins with the z from which the initial weights follow.
    """

    def __init__(self, w, lr, beta=1.0, l1=0.0, l2=0.0, group=False, n0=0.0, start="consistent"):
        self.w = np.array(w, dtype=float)
        self.rows = self.w.reshape(-1, self.w.shape[1] if group and self.w.ndim == 2 else 1)
        self.lr, self.beta, self.l2 = lr, beta, l2
        self.threshold = l1 * np.sqrt(self.rows.shape[1])
        self.n = np.full_like(self.rows, n0)
        self.z = np.zeros_like(self.rows)
        if start == "consistent":
            for r, row in enumerate(self.rows):
                v = row * ((beta + np.sqrt(n0)) / lr + l2)
                norm = np.sqrt(np.sum(v**2))
                self.z[r] = -v * (1 + self.threshold / norm) if norm else 0.0

    def step(self, grad):
        """One step with a gradient of the weights' shape."""
        for r, g_row in enumerate(np.reshape(grad, self.rows.shape)):
            for d, g in enumerate(g_row):
                n = self.n[r, d]
                sigma = (np.sqrt(n + g * g) - np.sqrt(n)) / self.lr
                self.z[r, d] += g - sigma * self.rows[r, d]
                self.n[r, d] += g * g
            norm = np.sqrt(np.sum(self.z[r] ** 2))
            for d, z in enumerate(self.z[r]):
                if norm <= self.threshold:
                    self.rows[r, d] = 0.0
                else:
                    curvature = (self.beta + np.sqrt(self.n[r, d])) / self.lr + self.l2
                    self.rows[r, d] = z * (self.threshold / norm - 1) / curvature
        return self.w


def tensorflow_ftrl(w, grads, lr, l1=0.0, l2=0.0, beta=0.0, accum=0.1, power=-0.5):
    """Weights after every step of TensorFlow's `ApplyFtrl`."""
    w = np.array(w, dtype=float)
    accum, linear, trajectory = np.full_like(w, accum), np.zeros_like(w), []
    l2 = l2 + beta / (2 * lr)
    for g in grads:
        new = accum + g**2
        linear += g - (new**-power - accum**-power) / lr * w
        quadratic = new**-power / lr + 2 * l2
        w = np.where(np.abs(linear) > l1, (np.sign(linear) * l1 - linear) / quadratic, 0.0)
        accum = new
        trajectory.append(w)
    return trajectory
