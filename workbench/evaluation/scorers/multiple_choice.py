"""Multiple choice by log-likelihood: the choice that the variant finds most probable, without writing one.

Knows nothing of how likelihoods are computed (see engines/). The raw value and the length-normalised ones are
those of lm-evaluation-harness: `acc` is raw, `acc_norm` divides by characters.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

from workbench.engines.engine import Likelihood
from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.likelihoods import read_likelihoods
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.question import Question, Weigh
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Score, Traits, no_answer

Way = Literal["raw", "characters", "bytes", "tokens"]
_WAYS: tuple[Way, ...] = ("raw", "characters", "bytes", "tokens")


class MultipleChoice(Judging, frozen=True, kw_only=True):
    """the choice with the highest log-likelihood is the expected one; nothing is generated for it

    choices: the answers to choose from. column: instead, the case's column that holds them as a JSON list.
    normalize: how log-likelihoods are compared: `raw`, or over the choice's characters, bytes or tokens; the
        dataset gets all four. delimiter: text between prompt and choice.
    answer: what the expected answer is: the choice's `text`, its `letter` (A is the first) or its `index` (0 is
        the first); `auto` tries text, then letter.
    """

    traits: ClassVar[Traits] = Traits(binary=True, needs_answer=False)
    name: str = "multiple_choice"
    choices: tuple[str, ...] = ()
    column: str = ""
    normalize: Way = "raw"
    answer: Literal["auto", "text", "letter", "index"] = "auto"
    delimiter: str = ""

    def __post_init__(self) -> None:
        if bool(self.choices) == bool(self.column):
            raise ScorerError("expected either `choices`, a list, or `column`, the column that holds one")
        if self.choices and len(set(self.choices)) < max(len(self.choices), 2):
            raise ScorerError("choices: expected at least two, all different")

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        choices, problem = self._find_choices(case)
        right = self._find_right(choices, case)
        return () if problem or right is None else (Weigh(tuple(self.delimiter + choice for choice in choices)),)

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def judge(self, evidence: Evidence) -> Score:
        case = evidence.case
        if case.expected is None:
            return no_answer(self.name, "")
        choices, problem = self._find_choices(case)
        right = self._find_right(choices, case)
        if not problem and right is None:
            problem = f"The expected answer {case.expected!r} is none of the choices: {', '.join(choices)}."
        found: tuple[Likelihood, ...] = ()
        if not problem:
            found, problem = read_likelihoods(evidence, len(choices))
        if problem or right is None:
            return Score(self.name, 0.0, "", problem, applies=False)
        return self._choose(choices, found, right)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        if not judged:
            return {}
        return {way: sum(one.score.parts.get(way, 0.0) for one in judged) / len(judged) for way in _WAYS}

    def _choose(self, choices: Sequence[str], found: Sequence[Likelihood], right: int) -> Score:
        values = {
            way: [_weigh(way, choice, each) for choice, each in zip(choices, found, strict=True)] for way in _WAYS
        }
        chosen = {way: row.index(max(row)) for way, row in values.items()}
        place = chosen[self.normalize]
        lines = [f"The likeliest choice is {choices[place]!r}, {'as' if place == right else 'not'} expected."]
        lines += [
            f"{choice!r}: {raw:.3f}, {each:.3f} a character{', expected' if at == right else ''}"
            for at, (choice, raw, each) in enumerate(zip(choices, values["raw"], values["characters"], strict=True))
        ]
        parts: dict[str, float] = {way: float(each == right) for way, each in chosen.items()}
        return Score(self.name, parts[self.normalize], choices[place], "\n".join(lines), parts=parts)

    def _find_choices(self, case: Case) -> tuple[tuple[str, ...], str]:
        """The choices of a case; none, and why, where it has none."""
        if self.choices:
            return self.choices, ""
        if self.column not in case.variables:
            return (), f"This case has no column {self.column}; it has {', '.join(case.variables) or 'none'}."
        try:
            choices = msgspec.json.decode(case.variables[self.column], type=tuple[str, ...])
        except (msgspec.DecodeError, ValueError) as error:
            return (), f"The column {self.column} holds no JSON list of texts: {error}."
        return (choices, "") if len(choices) > 1 else ((), f"The column {self.column} holds fewer than two choices.")

    def _find_right(self, choices: Sequence[str], case: Case) -> int | None:
        expected = normalize(case.expected or "")
        if self.answer in ("auto", "text"):
            places = [at for at, choice in enumerate(choices) if normalize(choice) == expected]
            if places or self.answer == "text":
                return places[0] if places else None
        if self.answer == "index":
            return int(expected) if expected.isdecimal() and int(expected) < len(choices) else None
        place = string.ascii_lowercase.find(expected) if len(expected) == 1 else -1
        return place if 0 <= place < len(choices) else None


def _weigh(way: Way, choice: str, found: Likelihood) -> float:
    lengths = {"raw": 1, "characters": len(choice), "bytes": found.bytes, "tokens": found.tokens}
    return found.logprob / max(lengths[way], 1)
