"""The tokens that may be drawn: what each way of cutting a distribution leaves, and the draw from the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.inference.logprobs import Logits, find_likeliest
from workbench.inference.types import Sampling

Values = NDArray[np.float64]

_MIROSTAT_TOKENS = 100
"""The likeliest tokens by which mirostat 1 estimates how the probabilities fall."""


class Candidates(NamedTuple):
    """Tokens with their logits; likeliest first where any limit is set."""

    tokens: NDArray[np.intp]
    logits: Values


def find_candidates(logits: Logits, sampling: Sampling, random: np.random.Generator | None = None) -> Candidates:
    """What may be drawn. random: decides whether XTC applies; None: it does not."""
    if sampling.top_n_sigma > 0:
        logits = _keep_sigmas(logits, sampling.top_n_sigma)
    xtc = random is not None and sampling.xtc_probability > 0 and random.random() < sampling.xtc_probability
    cuts = sampling.top_p < 1 or sampling.min_p > 0 or sampling.typical_p < 1
    if not cuts and not xtc and sampling.top_k == 0:
        tokens = np.flatnonzero(np.isfinite(logits))
        return Candidates(tokens, logits[tokens].astype(np.float64))
    found = _keep_likeliest(logits, sampling)
    return _exclude_top(found, sampling.xtc_threshold) if xtc else found


def find_temperature(found: Candidates, sampling: Sampling) -> float:
    """The temperature of one draw: it follows how unsure the model is where dynatemp_range is set."""
    spread = sampling.dynatemp_range
    if spread <= 0 or len(found.tokens) < 2:
        return sampling.temperature
    chances = _softmax(found.logits)
    unsure = _entropy(chances) / np.log(len(chances))
    low, high = max(0.0, sampling.temperature - spread), sampling.temperature + spread
    return float(low + (high - low) * unsure**sampling.dynatemp_exponent)


def draw(found: Candidates, temperature: float, random: np.random.Generator) -> int:
    if temperature <= 0:
        return int(found.tokens[int(np.argmax(found.logits))])
    reached = np.cumsum(np.exp((found.logits - found.logits.max()) / temperature))
    index = int(np.searchsorted(reached, random.random() * reached[-1], side="right"))
    return int(found.tokens[min(index, len(reached) - 1)])


class Mirostat:
    """Draws so that the text's surprise per token stays near tau, in bits (Basu et al. 2020, arXiv:2007.14966)."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._most = 2 * sampling.mirostat_tau

    def choose(self, logits: Logits, random: np.random.Generator) -> int:
        sampling = self._sampling
        tokens = np.flatnonzero(np.isfinite(logits))
        tokens, values = _sort(tokens, logits)
        chances = _softmax(values / max(sampling.temperature, 1e-3))
        kept = self._count_by_fall(chances) if sampling.mirostat == 1 else self._count_by_surprise(chances)
        chances = chances[:kept] / chances[:kept].sum()
        index = min(int(np.searchsorted(np.cumsum(chances), random.random(), side="right")), kept - 1)
        self._most -= sampling.mirostat_eta * (-float(np.log2(chances[index])) - sampling.mirostat_tau)
        return int(tokens[index])

    def _count_by_surprise(self, chances: Values) -> int:
        return max(1, int((-np.log2(np.maximum(chances, 1e-300)) <= self._most).sum()))

    def _count_by_fall(self, chances: Values) -> int:
        first = np.maximum(chances[:_MIROSTAT_TOKENS], 1e-300)
        if len(first) < 2:
            return 1
        steps = np.log(np.arange(2, len(first) + 1) / np.arange(1, len(first)))
        slope = max(float((steps * np.log(first[:-1] / first[1:])).sum() / (steps**2).sum()), 1e-3)
        excess = slope - 1 if abs(slope - 1) > 1e-6 else 1e-6
        share = excess * 2.0**self._most / (1 - float(len(chances)) ** -excess)
        return int(min(max(share ** (1 / slope), 1), len(chances)))


def _keep_sigmas(logits: Logits, count: float) -> Logits:
    """Only logits within so many standard deviations of the highest (Tang et al. 2024, arXiv:2411.07641)."""
    finite = logits[np.isfinite(logits)]
    least = finite.max() - count * finite.std()
    kept: Logits = np.where(logits >= least, logits, np.float32(-np.inf))
    return kept


def _keep_likeliest(logits: Logits, sampling: Sampling) -> Candidates:
    if 0 < sampling.top_k < len(logits):
        tokens = find_likeliest(logits, sampling.top_k)
        tokens = tokens[np.isfinite(logits[tokens])]
        values = logits[tokens].astype(np.float64)
        total = float(np.exp(values - values[0]).sum())
    else:
        weights = np.exp(logits - logits.max())
        total = float(weights.sum(dtype=np.float64))
        tokens, values = _sort(np.flatnonzero(weights >= _least(sampling, total, len(logits))), logits)
    if sampling.typical_p < 1:
        tokens, values = _keep_typical(Candidates(tokens, values), sampling.typical_p)
        total = float(np.exp(values - values[0]).sum())
    if sampling.top_p < 1:
        values = values[: int(np.searchsorted(np.cumsum(np.exp(values - values[0])), sampling.top_p * total)) + 1]
    if sampling.min_p > 0:
        values = values[values >= values[0] + np.log(sampling.min_p)]
    return Candidates(tokens[: len(values)], values)


def _keep_typical(found: Candidates, share: float) -> Candidates:
    """Those whose surprise is nearest to the expected one, up to a share (Meister et al. 2022, arXiv:2202.00666)."""
    chances = _softmax(found.logits)
    surprises = -np.log(np.maximum(chances, 1e-300))
    order = np.argsort(np.abs(surprises - _entropy(chances)), kind="stable")
    kept = order[: int(np.searchsorted(np.cumsum(chances[order]), share)) + 1]
    kept = np.sort(kept)  # likeliest first, as they came
    return Candidates(found.tokens[kept], found.logits[kept])


def _exclude_top(found: Candidates, threshold: float) -> Candidates:
    """XTC: of all tokens at least as likely as a threshold only the least likely stays.

    As in github.com/oobabooga/text-generation-webui, pull request 6335, where it was proposed.
    """
    above = int((_softmax(found.logits) >= threshold).sum())
    return found if above < 2 else Candidates(found.tokens[above - 1 :], found.logits[above - 1 :])


def _least(sampling: Sampling, total: float, size: int) -> float:
    """A weight, the likeliest token's being 1, below which no token can be drawn; below any weight where there is none.

    All tokens below the (1 - top_p)-th part of an equal share weigh less than 1 - top_p together, so that those above
    reach top_p without them. The margins are for rounding.
    """
    smallest = float(np.finfo(np.float32).tiny)
    if sampling.typical_p < 1:
        return smallest  # a token may be typical because it is unlikely
    by_share = (1 - sampling.top_p) * total / size if sampling.top_p < 1 else 0.0
    return max(0.999 * by_share, 0.999 * sampling.min_p, smallest)


def _sort(tokens: NDArray[np.intp], logits: Logits) -> Candidates:
    values = logits[tokens].astype(np.float64)
    order = np.lexsort((tokens, -values))
    return Candidates(tokens[order], values[order])


def _softmax(values: Values) -> Values:
    weights = np.exp(values - values.max())
    chances: Values = weights / weights.sum()
    return chances


def _entropy(chances: Values) -> float:
    """In nats."""
    return float(-(chances * np.log(np.maximum(chances, 1e-300))).sum())
