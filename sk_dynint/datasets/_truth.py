"""The truth behind a synthetic click log.

The logit is a sum of *parts* (linear, pairwise, ...), a part a sum of *terms*, a term a product of
*scores*, and a score a function of one field's value with mean 0 and variance 1. Scores are hashed
from the value, not stored, so that a field may have millions of levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

PARTS = ("linear", "pairwise", "third_order", "instance_dependent")
_N_TERMS = {"pairwise": 4, "third_order": 2, "instance_dependent": 3}
_RANK = 2  # scores per field of an interaction: its weight matrix has this rank
_GATE_FIELDS = 3
_GATE_SLOPE = 1.5
_LEAST_POOL = 8  # fields that may interact: half of the categorical ones, but at least so many
_HIDDEN_FACTORS = 3
_HIDDEN_SHARE = 0.4  # of the entries of a categorical field, that follow a hidden factor
_CALIBRATION_ROWS = 50_000
_LEAST_SD = 0.1  # of a score: a level that the calibration rows hardly show must not explode

# Added to the seed, so that generators for different purposes are independent.
_LAWS, _ROWS, _SCORES, _TERMS = range(4)


@dataclass(frozen=True)
class Counts:
    """A numeric field: ⌊exp(mean + sd · z)⌋, with missing values (NaN)."""

    name: str
    missing: float
    mean: float
    sd: float
    weight = 0.5

    def draw(self, hidden: Floats, rng: np.random.Generator) -> Floats:
        """Return a column; half of the variance of z comes from the hidden factor."""
        z = (rng.standard_normal(len(hidden)) + _standard_uniform(hidden)) / np.sqrt(2)
        x = np.floor(np.exp(self.mean + self.sd * z))
        x[rng.random(len(x)) < self.missing] = np.nan
        return x

    def score(self, x: Floats, key: np.uint64) -> Floats:
        """Return a parabola of the logarithm; a missing value has a score of its own."""
        slope, bend, hole = _hash(np.arange(3), key)
        z = np.clip((np.log1p(x) - self.mean) / self.sd, -3, 3)
        return np.where(np.isnan(z), hole, slope * z + bend * (z**2 - 1) / 2)

    def render(self, x: Floats) -> Floats:
        """Return the column as users see it."""
        return x


@dataclass(frozen=True)
class Levels:
    """A categorical field: the rank of a level by frequency, from 0; -1 is a missing value."""

    name: str
    missing: float
    cardinality: int
    exponent: float

    @property
    def weight(self) -> float:
        return float(self.cardinality**-0.125)

    def draw(self, hidden: Floats, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return a column; two rows in five follow the hidden factor."""
        u = np.where(rng.random(len(hidden)) < _HIDDEN_SHARE, hidden, rng.random(len(hidden)))
        x = _zipf(u, self.cardinality, self.exponent)
        x[rng.random(len(x)) < self.missing] = -1
        return x

    def score(self, x: NDArray[np.int32], key: np.uint64) -> Floats:
        """Return a random number for each level."""
        return _hash(x, key)

    def render(self, x: NDArray[np.int32]) -> Any:
        """Return the column as users see it: strings."""
        codes, levels = pd.factorize(x)
        # Multiplication by an odd number permutes the integers modulo 2**32: levels stay distinct.
        start = int(self.name[1:]) * 0x85EBCA6B
        names = [
            None if level < 0 else f"{(level * 0x9E3779B1 + start) % 2**32:08x}"
            for level in levels.tolist()
        ]
        return pd.Series(names, dtype="str").array.take(codes)


Field = Counts | Levels


@dataclass(frozen=True)
class Term:
    """Σ_d Π_i s_id(x_i) over `fields`, times tanh of a score of the `gate` fields if there are."""

    fields: tuple[int, ...]
    gate: tuple[int, ...] = ()
    weight: float = 1.0


class Truth:
    """The distribution of the rows, and the probability of a click given a row."""

    def __init__(
        self,
        fields: Sequence[Field],
        strengths: Mapping[str, float],
        positive_rate: float,
        seed: int,
    ) -> None:
        self.fields = fields
        self.seed = seed
        self.strengths = {part: strength for part, strength in strengths.items() if strength > 0}
        self.terms = {part: _draw_terms(fields, part, seed) for part in self.strengths}
        # Mean and standard deviation of every score and part. The first rows that are scored fix
        # them, and those are the calibration rows.
        self.moments: dict[tuple[Any, ...], tuple[float, float]] = {}
        self.bias = 0.0
        rows = self.draw(_CALIBRATION_ROWS, np.random.default_rng([seed, _ROWS]))
        self.bias = _bias_for(self.logit(rows), positive_rate)

    def draw(self, n: int, rng: np.random.Generator) -> list[NDArray[Any]]:
        """Return columns of n rows."""
        hidden = rng.random((_HIDDEN_FACTORS, n))
        return [f.draw(hidden[i % _HIDDEN_FACTORS], rng) for i, f in enumerate(self.fields)]

    def proba(self, columns: Sequence[NDArray[Any]]) -> Floats:
        """Return P(y = 1 | x)."""
        return expit(self.logit(columns))

    def logit(self, columns: Sequence[NDArray[Any]]) -> Floats:
        """Return the bias plus the parts at their strengths."""
        logit = np.full(len(columns[0]), self.bias)
        for part, strength in self.strengths.items():
            value = np.zeros(len(logit))
            for index, term in enumerate(self.terms[part]):
                value += term.weight * self._term(columns, part, index, term)
            logit += strength * self._standardise(value, (part,), least_sd=0.0)
        return logit

    def _term(self, columns: Sequence[NDArray[Any]], part: str, index: int, term: Term) -> Floats:
        def score(i: int, d: int) -> Floats:
            # d = 0, 1, ... number the scores of a product; d = _RANK is the gate's
            purpose = (PARTS.index(part), index, i, d)
            key = np.random.SeedSequence([self.seed, _SCORES, *purpose]).generate_state(
                1, np.uint64
            )[0]
            return self._standardise(self.fields[i].score(columns[i], key), purpose, _LEAST_SD)

        rank = 1 if len(term.fields) == 1 else _RANK
        value: Floats = np.zeros(len(columns[0]))
        for d in range(rank):
            value += np.prod([score(i, d) for i in term.fields], axis=0)
        if term.gate:
            q = np.sum([score(g, _RANK) for g in term.gate], axis=0) / np.sqrt(len(term.gate))
            value *= np.tanh(_GATE_SLOPE * q)
        return value

    def _standardise(self, value: Floats, name: tuple[Any, ...], least_sd: float) -> Floats:
        if name not in self.moments:
            self.moments[name] = (float(value.mean()), max(float(value.std()), least_sd) or 1.0)
        mean, sd = self.moments[name]
        return (value - mean) / sd


def draw_fields(
    n_numeric: int, levels: Sequence[int], zipf_exponent: float, missing: float, seed: int
) -> list[Field]:
    """Return the distribution of each column."""
    rng = np.random.default_rng([seed, _LAWS])
    shares = rng.uniform(0, 2 * missing, n_numeric + len(levels)).tolist()
    means = rng.uniform(0, 4, n_numeric).tolist()
    sds = rng.uniform(1, 2, n_numeric).tolist()
    counts = zip(shares[:n_numeric], means, sds, strict=True)
    strings = zip(shares[n_numeric:], levels, strict=True)
    return [
        *(Counts(f"I{i}", *law) for i, law in enumerate(counts, 1)),
        *(Levels(f"C{i}", *law, zipf_exponent) for i, law in enumerate(strings, 1)),
    ]


def _draw_terms(fields: Sequence[Field], part: str, seed: int) -> list[Term]:
    """Return the terms of a part: which fields interact, and which set the weight."""
    if part == "linear":
        return [Term((i,), weight=f.weight) for i, f in enumerate(fields)]
    rng = np.random.default_rng([seed, _TERMS, PARTS.index(part)])
    numeric = [i for i, f in enumerate(fields) if isinstance(f, Counts)]
    levels = {i: f.cardinality for i, f in enumerate(fields) if isinstance(f, Levels)}
    pool = sorted(levels, key=levels.__getitem__)[: max(len(levels) // 2, _LEAST_POOL)]
    terms = []
    for _ in range(_N_TERMS[part]):
        chosen = rng.choice(pool, 3 if part == "third_order" else 2, replace=False).tolist()
        gate: list[int] = []
        if part == "instance_dependent":
            others = [i for i in numeric + pool if i not in chosen]
            gate = rng.choice(others, min(_GATE_FIELDS, len(others)), replace=False).tolist()
        terms.append(Term(tuple(chosen), tuple(gate)))
    return terms


def _zipf(u: Floats, cardinality: int, exponent: float) -> NDArray[np.int32]:
    """Return ranks 0, 1, ... of levels: the inverse of a bounded power law, rounded down."""
    end, power = cardinality + 1.0, 1.0 - exponent
    x = end**u if abs(power) < 1e-6 else (u * (end**power - 1) + 1) ** (1 / power)
    return np.minimum(x - 1, cardinality - 1).astype(np.int32)


def _hash(ids: NDArray[np.integer], key: np.uint64) -> Floats:
    """Return a random number of mean 0 and variance 1 for each id (SplitMix64, uniform)."""
    x = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return _standard_uniform((x >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _standard_uniform(u: Floats) -> Floats:
    """Return u, uniform on (0, 1), shifted and scaled to mean 0 and variance 1."""
    return (u - 0.5) * np.sqrt(12.0)


def _bias_for(logit: Floats, positive_rate: float) -> float:
    """Return the bias with which the mean probability is the rate, by bisection."""
    low, high = -50.0 - logit.max(), 50.0 - logit.min()
    for _ in range(60):
        middle = (low + high) / 2
        if expit(logit + middle).mean() < positive_rate:
            low = middle
        else:
            high = middle
    return float(middle)
