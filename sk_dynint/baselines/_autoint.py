"""`autoint`: self-attention over the fields."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sk_dynint._body import Body
from sk_dynint.baselines._dnn import Dense, Output, dnn_beside


class SelfAttention(nn.Module):
    r"""Interacting layer: multi-head self-attention over the fields, with a residual.

    For each head

    .. math::

        \alpha_{mk} = \mathrm{softmax}_k \langle W_Q e_m, W_K e_k \rangle, \qquad
        \tilde e_m = \sum_k \alpha_{mk} W_V e_k

    and with the heads side by side :math:`e'_m = \mathrm{relu}(\tilde e_m + W_R e_m)`.

    Parameters
    ----------
    n_inputs : int
        Length of e_m.
    attention_dim : int
        Length of a query, key or value.
    n_heads : int
        Number of heads; e'_m has n_heads · attention_dim entries.
    scale : bool, default=False
        Divide the inner products by √attention_dim, as in the Transformer.
    residual : bool, default=True
        Whether there is W_R.

    Notes
    -----
    Shape: (B, F, n_inputs) -> (B, F, n_heads · attention_dim).
    """

    def __init__(
        self,
        n_inputs: int,
        attention_dim: int,
        n_heads: int,
        *,
        scale: bool = False,
        residual: bool = True,
    ) -> None:
        super().__init__()
        n_outputs = n_heads * attention_dim
        self.n_heads = n_heads
        self.attention_dim = attention_dim
        self.factor = attention_dim**-0.5 if scale else 1.0
        self.query, self.key, self.value = (
            Dense(n_inputs, n_outputs, bias=False) for _ in range(3)
        )
        self.residual = Dense(n_inputs, n_outputs, bias=False) if residual else None

    def attention(self, x: Tensor) -> Tensor:
        """Weights α of every head; (B, F, n_inputs) -> (B, n_heads, F, F)."""
        similarity = self._heads(self.query(x)) @ self._heads(self.key(x)).mT
        return torch.softmax(self.factor * similarity, -1)  # Song 2019, Eq. (5)

    def forward(self, x: Tensor) -> Tensor:
        """Let every field look at all of them."""
        mixed = self.attention(x) @ self._heads(self.value(x))  # Eq. (6)
        mixed = mixed.transpose(1, 2).flatten(2)  # Eq. (7)
        return torch.relu(mixed if self.residual is None else mixed + self.residual(x))  # Eq. (8)

    def _heads(self, x: Tensor) -> Tensor:
        """Cut the last axis in heads; (B, F, n_heads · K) -> (B, n_heads, F, K)."""
        return x.view(*x.shape[:2], self.n_heads, self.attention_dim).transpose(1, 2)


class AutoInt(Body):
    r"""Stack of self-attention layers, with a DNN beside it (AutoInt+).

    .. math::

        \mathrm{logit} = w \cdot \mathrm{flatten}(E^L) + w_{dnn} \cdot DNN(\mathrm{flatten}(E)),
        \qquad E^{l+1} = attention_l(E^l)

    Parameters
    ----------
    n_fields, embedding_dim : int
        F and D.
    deep : bool, default=True
        Whether there is a DNN: AutoInt+ with it, AutoInt without.
    n_layers : int, default=3
        L, number of attention layers.
    n_heads : int, default=2
        Heads of a layer.
    attention_dim : int, default=16
        Length of a query, key or value of one head.
    scale, residual : bool, default=False, True
        See :class:`SelfAttention`.
    hidden_units, dropout, batch_norm
        See :class:`DNN`.

    Notes
    -----
    Shape: (B, F, D) -> (B,).

    References
    ----------
    Song et al., *AutoInt: automatic feature interaction learning via self-attentive neural
    networks*, CIKM 2019.
    """

    def __init__(
        self,
        n_fields: int,
        embedding_dim: int,
        *,
        deep: bool = True,
        n_layers: int = 3,
        n_heads: int = 2,
        attention_dim: int = 16,
        scale: bool = False,
        residual: bool = True,
        hidden_units: Sequence[int] = (400, 400),
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        for name, value in (("n_heads", n_heads), ("attention_dim", attention_dim)):
            if value < 1:
                raise ValueError(f"{name}={value!r}; it must be at least 1")
        widths = [embedding_dim] + n_layers * [n_heads * attention_dim]
        self.attention = nn.Sequential(
            *(
                SelfAttention(width, attention_dim, n_heads, scale=scale, residual=residual)
                for width in widths[:-1]
            )
        )
        self.output = Output(n_fields * widths[-1])
        self.deep = dnn_beside(
            deep, n_fields, embedding_dim, hidden_units, dropout=dropout, batch_norm=batch_norm
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Logit of each embedding."""
        logit = self.output(self.attention(embedding).flatten(1))
        return logit if self.deep is None else logit + self.deep(embedding)
