"""Log-likelihood and perplexity: how probable the variant finds the expected answer, without writing one.

Knows nothing of how likelihoods are computed (see engines/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from workbench.engines.engine import Likelihood
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.question import Question, Weigh
from workbench.evaluation.scorers.scorer import (
    Evidence,
    Judged,
    Judging,
    Score,
    Sums,
    Traits,
    list_references,
    no_answer,
)


class _Expectation(Judging, frozen=True, kw_only=True):
    """Asks for the likelihood of the expected answer. delimiter: stands between the prompt and the answer."""

    delimiter: str = ""
    name: str

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        return tuple(Weigh((self.delimiter + answer,)) for answer in list_references(case)[:1])

    def judge(self, evidence: Evidence) -> Score:
        references = list_references(evidence.case)
        if not references:
            return no_answer(self.name, "", evidence.case)
        found, problem = read_likelihoods(evidence, 1)
        return self._weigh(found[0], references[0]) if found else lack_likelihoods(self.name, problem, evidence)

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def _weigh(self, found: Likelihood, expected: str) -> Score:
        raise NotImplementedError


class LogLikelihood(_Expectation, frozen=True, kw_only=True):
    """the log-probability (natural) that the variant gives the expected answer; nothing is generated for it

    per: `answer` sums over its tokens; `token` and `byte` divide by their number. delimiter: text between prompt
        and answer.
    """

    traits: ClassVar[Traits] = Traits(scale="free", needs_answer=False)
    name: str = "log_likelihood"
    per: Literal["answer", "token", "byte"] = "answer"

    def _weigh(self, found: Likelihood, expected: str) -> Score:
        value = {"answer": found.logprob, "token": found.per_token, "byte": found.per_byte}[self.per]
        explanation = f"{describe_likelihood(found)} {'Greedy decoding writes it.' if found.greedy else ''}".strip()
        return _finite(self.name, value, expected, explanation, _parts(found))

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        greedy = [one.score.parts.get("greedy", 0.0) for one in judged]
        return {"greedy": sum(greedy) / len(greedy)} if greedy else {}


class Perplexity(_Expectation, frozen=True, kw_only=True):
    """the perplexity of the expected answer under the variant: 1 is certain, more is worse; the dataset gets that
    over all tokens

    delimiter: text between prompt and answer.
    """

    traits: ClassVar[Traits] = Traits(scale="free", lower_is_better=True, needs_answer=False)
    name: str = "perplexity"

    def _weigh(self, found: Likelihood, expected: str) -> Score:
        return _finite(self.name, found.perplexity, expected, describe_likelihood(found), _parts(found))

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        parts = [one.score.parts for one in judged]
        tokens = sum(each.get("tokens", 0.0) for each in parts)
        logprob = sum(each.get("logprob", 0.0) for each in parts)
        return {"corpus": _to_perplexity(logprob, tokens)} if tokens else {}

    def sums(self, judged: Sequence[Judged]) -> dict[str, Sums]:
        import numpy as np

        parts = [one.score.parts for one in judged]
        rows = np.array([[each.get("logprob", 0.0), each.get("tokens", 0.0)] for each in parts]).reshape(-1, 2)
        return {"corpus": Sums(rows, lambda sums: _to_perplexity(*sums), (1.0, math.inf))} if rows[:, 1].any() else {}


def _to_perplexity(logprob: float, tokens: float) -> float:
    return math.exp(min(-logprob / tokens, 700.0)) if tokens else math.inf


def read_likelihoods(evidence: Evidence, count: int) -> tuple[tuple[Likelihood, ...], str]:
    """The likelihoods that a scorer's only question brought; none, and why, where there are none."""
    if not evidence.replies:
        return (), "This needs the model's own likelihoods; `workbench eval` asks for them."
    reply = evidence.replies[0]
    if len(reply.likelihoods) != count:
        return (), reply.problem or f"Expected {count} likelihoods, found {len(reply.likelihoods)}."
    return reply.likelihoods, ""


def lack_likelihoods(name: str, problem: str, evidence: Evidence) -> Score:
    """The score where likelihoods are missing; a failure only where they were asked for."""
    return Score(name, 0.0, "", problem, applies=False, unscored="error" if evidence.replies else "")


def describe_likelihood(found: Likelihood) -> str:
    return f"Log-probability {found.logprob:.3f} over {found.tokens} tokens, {found.per_token:.3f} each."


def _parts(found: Likelihood) -> dict[str, float]:
    return {"logprob": found.logprob, "tokens": float(found.tokens), "greedy": float(found.greedy)}


def _finite(name: str, value: float, expected: str, explanation: str, parts: dict[str, float]) -> Score:
    if not math.isfinite(value):
        return Score(name, 0.0, expected, f"The value is not finite. {explanation}", applies=False)
    return Score(name, value, expected, explanation, parts=parts)
