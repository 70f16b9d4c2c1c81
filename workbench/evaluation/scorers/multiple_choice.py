"""Multiple choice by log-likelihood: the choice that the variant finds most probable, without writing one.

Knows nothing of how likelihoods are computed (see engines/). The raw value and the length-normalised ones are
those of lm-evaluation-harness: `acc` is raw, `acc_norm` divides by characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from workbench.engines.engine import Likelihood
from workbench.errors import ScorerError
from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.choices import Answer, Choices, ExpectedChoice
from workbench.evaluation.scorers.likelihoods import lack_likelihoods, read_likelihoods
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.question import Question, Weigh
from workbench.evaluation.scorers.scorer import Evidence, Judged, Judging, Score, Traits, list_references, no_answer

Way = Literal["raw", "characters", "bytes", "tokens"]
_WAYS: tuple[Way, ...] = ("raw", "characters", "bytes", "tokens")


class MultipleChoice(Judging, frozen=True, kw_only=True):
    """the choice with the highest log-likelihood is the expected one; nothing is generated for it

    choices: the answers to choose from. column: instead, the case's column that holds them: a JSON list of texts, as
        MMLU has it, or ARC's texts with their labels; or a list of columns with a choice each.
    normalize: how log-likelihoods are compared: `raw`, or over the choice's characters, bytes or tokens; the
        dataset gets all four. delimiter: text between prompt and choice.
    answer: what the expected answer is: the choice's `text`, its `label`, its `letter` (A is the first), its `index`
        (0 is the first) or its `number` (1 is the first); `auto` tries label, text, letter and index.
    """

    traits: ClassVar[Traits] = Traits(binary=True, needs_answer=False)
    name: str = "multiple_choice"
    choices: tuple[str, ...] = ()
    column: str | tuple[str, ...] = ""
    normalize: Way = "raw"
    answer: Answer = "auto"
    delimiter: str = ""

    def __post_init__(self) -> None:
        if bool(self.choices) == bool(self.column):
            raise ScorerError("expected either `choices`, a list, or `column`, the column that holds one")
        if self.choices and len(set(self.choices)) < max(len(self.choices), 2):
            raise ScorerError("choices: expected at least two, all different")

    def questions(self, text: str, case: Case) -> tuple[Question, ...]:
        choices, _ = self._read(case)
        return (Weigh(tuple(self.delimiter + choice for choice in choices.texts)),) if choices else ()

    def score(self, text: str, case: Case) -> Score:
        return self.judge(Evidence(text, case))

    def judge(self, evidence: Evidence) -> Score:
        case = evidence.case
        references = list_references(case)
        if not references:
            return no_answer(self.name, "", case)
        choices, problem = self._read(case)
        if choices is None:
            return Score(self.name, 0.0, "", problem, applies=False, unscored="error")
        found, problem = read_likelihoods(evidence, len(choices.texts))
        if problem:
            return lack_likelihoods(self.name, problem, evidence)
        return self._choose(choices, found, choices.find(references[0], self.answer))

    def label_key(self, text: str) -> str:
        return normalize(text)

    def summarize(self, judged: Sequence[Judged]) -> dict[str, float]:
        if not judged:
            return {}
        return {way: sum(one.score.parts.get(way, 0.0) for one in judged) / len(judged) for way in _WAYS}

    def _choose(self, choices: Choices, found: Sequence[Likelihood], right: ExpectedChoice) -> Score:
        texts = choices.texts
        values = {way: [_weigh(way, text, each) for text, each in zip(texts, found, strict=True)] for way in _WAYS}
        chosen = {way: row.index(max(row)) for way, row in values.items()}
        place = chosen[self.normalize]
        lines = [f"The likeliest choice is {texts[place]!r}, {'as' if place == right.position else 'not'} expected."]
        lines += [
            f"{text!r}: {raw:.3f}, {each:.3f} a character{', expected' if at == right.position else ''}"
            for at, (text, raw, each) in enumerate(zip(texts, values["raw"], values["characters"], strict=True))
        ]
        parts: dict[str, float] = {way: float(each == right.position) for way, each in chosen.items()}
        extracted = choices.name(place, right.way)
        return Score(self.name, parts[self.normalize], extracted, "\n".join(lines), parts=parts)

    def _read(self, case: Case) -> tuple[Choices | None, str]:
        """The choices of a case whose right one is among them; None, and why, where there are none such."""
        try:
            if self.choices:
                choices = Choices(self.choices)
            elif isinstance(self.column, str):
                choices = Choices.read(self.column, case.variables)
            else:
                choices = Choices.gather(self.column, case.variables)
            for reference in list_references(case)[:1]:
                choices.find(reference, self.answer)
        except ValueError as error:
            return None, str(error)
        return (choices, "") if list_references(case) else (None, "")


def _weigh(way: Way, text: str, found: Likelihood) -> float:
    """A log-likelihood over the choice's own length, as lm-evaluation-harness counts it."""
    lengths = {"raw": 1, "characters": len(text), "bytes": len(text.encode(errors="replace")), "tokens": found.tokens}
    return found.logprob / max(lengths[way], 1)
