"""Log-likelihood and perplexity of the expected answer under the variant; nothing is generated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from workbench.datasets import Case
from workbench.inference.types import Likelihood
from workbench.scoring.grader_request import GraderRequest, LoglikelihoodCall
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import (
    CorpusSums,
    Score,
    ScoredSample,
    Scorer,
    ScorerSpec,
    ScoringInput,
    list_references,
    no_reference,
)


class _ReferenceLikelihood(Scorer, frozen=True, kw_only=True):
    delimiter: Annotated[str, option("Text between prompt and answer")] = ""
    name: str

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        return tuple(LoglikelihoodCall((self.delimiter + answer,)) for answer in list_references(case)[:1])

    def score_input(self, scoring_input: ScoringInput) -> Score:
        references = list_references(scoring_input.case)
        if not references:
            return no_reference(self.name, "", scoring_input.case)
        found, problem = read_likelihoods(scoring_input, 1)
        if not found:
            return missing_likelihoods(self.name, problem, scoring_input)
        if found[0].is_bound:
            return missing_likelihoods(self.name, describe_bound(found[0]), scoring_input)
        return self._score_likelihood(found[0], references[0])

    def _score_likelihood(self, found: Likelihood, expected: str) -> Score:
        raise NotImplementedError


@register(
    "log_likelihood",
    group="likelihood",
    help="Log-likelihood of the expected answer (natural log); nothing is generated",
    example="log_likelihood: {per: token}",
)
class LogLikelihood(_ReferenceLikelihood, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", needs_answer=False)
    name: str = "log_likelihood"
    per: Annotated[
        Literal["answer", "token", "byte"],
        option("Sum over the answer's tokens, or divide by its tokens or bytes"),
    ] = "answer"

    def _score_likelihood(self, found: Likelihood, expected: str) -> Score:
        value = {"answer": found.logprob, "token": found.per_token, "byte": found.per_byte}[self.per]
        explanation = f"{describe_likelihood(found)} {'Greedy decoding writes it.' if found.greedy else ''}".strip()
        return _finite(self.name, value, expected, explanation, _parts(found))

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        greedy = [one.score.parts.get("greedy", 0.0) for one in samples]
        return {"greedy": sum(greedy) / len(greedy)} if greedy else {}


@register(
    "perplexity",
    group="likelihood",
    help=(
        "Perplexity of the expected answer: 1 is certain, higher is worse; the dataset gets the perplexity over all"
        " tokens"
    ),
    example="perplexity",
)
class Perplexity(_ReferenceLikelihood, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(scale="free", lower_is_better=True, needs_answer=False)
    name: str = "perplexity"

    def _score_likelihood(self, found: Likelihood, expected: str) -> Score:
        return _finite(self.name, found.perplexity, expected, describe_likelihood(found), _parts(found))

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        parts = [one.score.parts for one in samples]
        tokens = sum(each.get("tokens", 0.0) for each in parts)
        logprob = sum(each.get("logprob", 0.0) for each in parts)
        return {"corpus": _to_perplexity(logprob, tokens)} if tokens else {}

    def corpus_sums(self, samples: Sequence[ScoredSample]) -> dict[str, CorpusSums]:
        import numpy as np

        parts = [one.score.parts for one in samples]
        rows = np.array([[each.get("logprob", 0.0), each.get("tokens", 0.0)] for each in parts]).reshape(-1, 2)
        return (
            {"corpus": CorpusSums(rows, lambda sums: _to_perplexity(*sums), (1.0, math.inf))}
            if rows[:, 1].any()
            else {}
        )


def _to_perplexity(logprob: float, tokens: float) -> float:
    return math.exp(min(-logprob / tokens, 700.0)) if tokens else math.inf


def read_likelihoods(scoring_input: ScoringInput, count: int) -> tuple[tuple[Likelihood, ...], str]:
    """The likelihoods that a scorer's only question brought; none, and why, where there are none."""
    if not scoring_input.replies:
        return (), "This needs the model's own likelihoods; `workbench eval` asks for them."
    reply = scoring_input.replies[0]
    if len(reply.likelihoods) != count:
        return (), reply.problem or f"Expected {count} likelihoods, found {len(reply.likelihoods)}."
    return reply.likelihoods, ""


def missing_likelihoods(name: str, problem: str, scoring_input: ScoringInput) -> Score:
    """The score where likelihoods are missing; a failure only where they were asked for."""
    return Score(name, 0.0, "", problem, applies=False, unscored="error" if scoring_input.replies else "")


def describe_likelihood(found: Likelihood) -> str:
    return f"Log-probability {found.logprob:.3f} over {found.tokens} tokens, {found.per_token:.3f} each."


def describe_bound(found: Likelihood) -> str:
    return f"The log-probability is below {found.logprob:.1f}: the server's numbers do not tell how far."


def _parts(found: Likelihood) -> dict[str, float]:
    return {"logprob": found.logprob, "tokens": float(found.tokens), "greedy": float(found.greedy)}


def _finite(name: str, value: float, expected: str, explanation: str, parts: dict[str, float]) -> Score:
    if not math.isfinite(value):
        return Score(name, 0.0, expected, f"The value is not finite. {explanation}", applies=False)
    return Score(name, value, expected, explanation, parts=parts)
