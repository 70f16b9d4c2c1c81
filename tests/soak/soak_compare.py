"""Whether an answer is the one that the deterministic mode gives, and how near the choice was where it is not.

A margin is the difference of the two likeliest tokens' logits where two answers part; for a drawn answer the distance
of the draw to the border of its token, in probability. Knows nothing of what else ran.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from workbench.inference.candidates import find_candidates
from workbench.inference.types import (
    Chunk,
    Engine,
    GenerateRequest,
    Likelihood,
    LoglikelihoodRequest,
    LoglikelihoodResult,
    Sampling,
    TokenLogprob,
)


class Tolerance(NamedTuple):
    """near: a margin below it is a near-tie. weighed: what a token's log-probability may differ by, on the mean."""

    near: float
    weighed: float


TOLERANCES = {"desk-q8_0.gguf": Tolerance(0.5, 0.5), "desk-f16.gguf": Tolerance(0.05, 0.05)}
"""By the file: in 8 bits, numbers are rounded differently where a batch has another size."""


class Parting(NamedTuple):
    """Two answers that differ. margin: see above."""

    number: int
    margin: float
    kind: str
    expected: str
    found: str


def answer_alone(engine: Engine, request: GenerateRequest) -> list[Chunk]:
    """The deterministic answer."""
    engine.submit(replace(request, deterministic=True, priority=0))
    chunks: list[Chunk] = []
    while engine.busy:
        chunks += [event for event in engine.step() if isinstance(event, Chunk)]
    return chunks


def weigh_alone(engine: Engine, weighing: LoglikelihoodRequest) -> tuple[Likelihood, ...]:
    engine.loglikelihood(replace(weighing, deterministic=True, priority=0))
    found: tuple[Likelihood, ...] = ()
    while engine.busy:
        for event in engine.step():
            found = event.likelihoods if isinstance(event, LoglikelihoodResult) else found
    return found


def distance(found: Sequence[Likelihood], alone: Sequence[Likelihood]) -> float:
    """The largest difference of two weighings, for a token; infinite where they do not count the same."""
    if [(one.tokens, one.bytes) for one in found] != [(one.tokens, one.bytes) for one in alone]:
        return math.inf
    pairs = zip(found, alone, strict=True)
    return max((abs(one.logprob - other.logprob) / max(1, one.tokens) for one, other in pairs), default=0.0)


def part(engine: Engine, request: GenerateRequest, expected: str, found: str, biases: Mapping[str, float]) -> Parting:
    """Look at the choice where an answer parts from the deterministic one. biases: the request's, by tokens' texts."""
    chunks = answer_alone(engine, replace(request, top_logprobs=engine.info.vocabulary))
    written: list[TokenLogprob] = []
    text, choices = "", chunks[-1].tokens
    for chunk in chunks:
        text, choices = text + chunk.text, chunk.tokens or choices
        if not found.startswith(text):
            break
        written += chunk.tokens
    else:
        written = written[: len(written) - len(choices)]
    recent = [*engine.tokenize(request).pieces, *(token.text for token in written)]
    sampling = request.sampling
    biases = biases if sampling.logit_bias else {}
    rest = found[len(text) - len(chunk.text) :] if sampling.json_schema else None
    margins = []
    for place, choice in enumerate(choices):
        if sampling.temperature:
            margins.append(_drawn(choice, sampling, len(written) + place))
        else:
            margins.append(_greedy(choice, sampling, biases, recent, rest))
        recent.append(choice.text)
    margins += _crossed(engine, request, written, found, biases)
    kind = "drawn" if sampling.temperature else "grammar" if sampling.json_schema else "greedy"
    return Parting(request.id, min(margins), kind, expected, found)


def _crossed(
    engine: Engine, request: GenerateRequest, written: Sequence[TokenLogprob], found: str, biases: Mapping[str, float]
) -> list[float]:
    """The margins where another token would have spelled what was found as well.

    There the tokens may have parted, although the texts go on alike: ` so` and ` s`, which became ` sorry`.
    """
    recent = list(engine.tokenize(request).pieces)
    margins, before = [], 0
    for place, choice in enumerate(written):
        rest = found[before:]
        if any(
            guess.text and guess.text != choice.text and rest.startswith(guess.text) for guess in choice.top_logprobs
        ):
            if request.sampling.temperature:
                margins.append(_drawn(choice, request.sampling, place))
            else:
                margins.append(_greedy(choice, request.sampling, biases, recent, rest))
        recent.append(choice.text)
        before += len(choice.text)
    return margins


def _greedy(
    choice: TokenLogprob, sampling: Sampling, biases: Mapping[str, float], recent: Sequence[str], rest: str | None
) -> float:
    """The gap between the likeliest two. rest: where a grammar ruled, only tokens that go on so are compared."""
    counts = Counter(recent[-sampling.repeat_last_n :])

    def value(text: str, logprob: float) -> float:
        seen = counts[text]
        penalty = sampling.frequency_penalty * seen + sampling.presence_penalty * bool(seen)
        return logprob + biases.get(text, 0.0) - penalty

    others = [guess for guess in choice.top_logprobs if guess.text != choice.text]
    if rest is not None:
        others = [guess for guess in others if guess.text and rest.startswith(guess.text)]
    best = max((value(guess.text, guess.logprob) for guess in others), default=-math.inf)
    return abs(value(choice.text, choice.logprob) - best)


def _drawn(choice: TokenLogprob, sampling: Sampling, place: int) -> float:
    """How far the draw was from another token, and how far that token from changing places with the next."""
    logits = np.array([guess.logprob for guess in choice.top_logprobs], np.float32)
    _, values = find_candidates(logits, sampling)
    chances = np.cumsum(np.exp((values - values.max()) / sampling.temperature))
    assert sampling.seed is not None
    draw = np.random.default_rng(sampling.seed).random(place + 1)[-1] * chances[-1]
    borders = np.concatenate([[0.0], chances])
    inner = borders[1:-1]
    nearest = float(np.abs(inner - draw).min() / chances[-1]) if len(inner) else math.inf
    taken = min(int(np.searchsorted(chances, draw, side="right")), len(values) - 1)
    gaps = [abs(float(values[taken] - values[other])) for other in (taken - 1, taken + 1) if 0 <= other < len(values)]
    return min([nearest, *gaps])
