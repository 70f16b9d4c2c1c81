"""Multiple choice by log-likelihood: the choice that the variant finds most probable; nothing is generated.

The raw value and the length-normalised ones are those of lm-evaluation-harness: `acc` is raw, `acc_norm` divides by
characters.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.inference.types import Likelihood
from workbench.scoring.grader_request import GraderRequest, LoglikelihoodCall
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import (
    Score,
    ScoredSample,
    Scorer,
    ScorerSpec,
    ScoringInput,
    list_references,
    no_reference,
)
from workbench.scoring.scorers.loglikelihood import describe_bound, missing_likelihoods, read_likelihoods
from workbench.scoring.text.normalization import clean, normalize
from workbench.units import format_plural

AnswerForm = Literal["auto", "text", "label", "letter", "index", "number"]
_AUTO: tuple[AnswerForm, ...] = ("label", "text", "letter", "index")


class ExpectedChoice(NamedTuple):
    """Which choice an answer names, from 0, and by what it names it."""

    position: int
    way: AnswerForm


class ChoiceList(NamedTuple):
    """labels: the dataset's own names of the choices, such as A to D or 1 to 4; empty where it has none."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()

    @classmethod
    def read(cls, column: str, variables: Mapping[str, str]) -> ChoiceList:
        """The choices in a column: a JSON list of texts (MMLU, HellaSwag), a list of {text, label} objects or an object
        of two lists (ARC), or an object of label to text. Raises ValueError that says why there are none."""
        if column not in variables:
            raise ValueError(_describe_missing([column], variables))
        held = variables[column]
        try:
            value = json.loads(held, parse_float=str, parse_int=str) if isinstance(held, str) else held
        except (ValueError, RecursionError) as error:
            raise ValueError(f"The column {column} holds no JSON list of choices: {error}.") from error
        found = _parse_choices(value)
        if found is None:
            raise ValueError(f"The column {column} holds no JSON list of choices, nor texts with labels.")
        return found._check(f"The column {column} holds")

    @classmethod
    def gather(cls, columns: Sequence[str], variables: Mapping[str, str]) -> ChoiceList:
        """A choice from each column, labelled with the columns' names. Raises ValueError."""
        missing = [column for column in columns if column not in variables]
        if missing:
            raise ValueError(_describe_missing(missing, variables))
        return cls(tuple(variables[column] for column in columns), tuple(columns))._check("The columns hold")

    def find(self, expected: str, answer: AnswerForm) -> ExpectedChoice:
        """The choice that the expected answer names. Raises ValueError where it names none, or several."""
        for way in _AUTO if answer == "auto" else (answer,):
            index = self._find(expected, way)
            if index is not None:
                return ExpectedChoice(index, way)
        offered = self.texts if not self.labels else map(": ".join, zip(self.labels, self.texts, strict=True))
        raise ValueError(f"The expected answer {expected!r} is not one of the choices: {', '.join(offered)}.")

    def name(self, position: int, way: AnswerForm) -> str:
        """A choice as an expected answer of that kind names it."""
        match way:
            case "label" if self.labels:
                return self.labels[position]
            case "letter":
                return string.ascii_uppercase[position]
            case "index":
                return str(position)
            case "number":
                return str(position + 1)
            case _:
                return self.texts[position]

    def _find(self, expected: str, way: AnswerForm) -> int | None:
        if way in ("label", "text"):
            return _find_same(self.labels if way == "label" else self.texts, expected)
        plain = normalize(expected)
        if way == "letter":
            index = string.ascii_lowercase.find(plain) if len(plain) == 1 else -1
        else:
            index = int(plain) - (way == "number") if plain.isascii() and plain.isdecimal() and len(plain) < 9 else -1
        return index if 0 <= index < len(self.texts) else None

    def _check(self, where: str) -> ChoiceList:
        if len(self.texts) < 2:
            raise ValueError(f"{where} fewer than two choices.")
        if self.labels and len(self.labels) != len(self.texts):
            raise ValueError(
                f"{where} {format_plural(len(self.texts), 'choice')} but {format_plural(len(self.labels), 'label')}."
            )
        return self


def _find_same(names: Sequence[str], expected: str) -> int | None:
    """The name that is the expected one, else the only one that is but for case and punctuation."""
    exact = [at for at, name in enumerate(names) if clean(name).strip() == clean(expected).strip()]
    near = [at for at, name in enumerate(names) if normalize(name) == normalize(expected)]
    return exact[0] if exact else near[0] if len(near) == 1 else None


def _parse_choices(value: Any) -> ChoiceList | None:
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        texts, labels = value["text"], value.get("label") or value.get("labels") or []
    elif isinstance(value, dict):
        texts, labels = list(value.values()), list(value)
    elif isinstance(value, list) and value and all(isinstance(each, dict) and "text" in each for each in value):
        texts = [each["text"] for each in value]
        labels = [each["label"] for each in value if "label" in each]
    else:
        texts, labels = value, []
    plain = isinstance(texts, list) and isinstance(labels, list)
    if not plain or not all(isinstance(each, (str, int, float)) for each in (*texts, *labels)):
        return None
    return ChoiceList(tuple(map(str, texts)), tuple(map(str, labels)))


def _describe_missing(columns: Sequence[str], variables: Mapping[str, str]) -> str:
    return f"This case has no column {', '.join(columns)}; it has {', '.join(variables) or 'none'}."


LengthNormalization = Literal["raw", "characters", "bytes", "tokens"]
_NORMALIZATIONS: tuple[LengthNormalization, ...] = ("raw", "characters", "bytes", "tokens")


@register(
    "multiple_choice",
    group="likelihood",
    help="1 if the choice with the highest log-likelihood is the expected one; nothing is generated",
    example="multiple_choice: {column: choices, normalize: characters}",
)
class MultipleChoice(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True, needs_answer=False)
    name: str = "multiple_choice"
    choices: Annotated[tuple[str, ...], option("The choices")] = ()
    column: Annotated[
        str | tuple[str, ...],
        option(
            "Column that holds the choices instead: a JSON list of texts (MMLU), ARC's texts with labels, or a list of"
            " columns with one choice each"
        ),
    ] = ""
    normalize: Annotated[
        LengthNormalization,
        option("Length normalization: `raw`, or per character, byte or token of the choice; the dataset gets all four"),
    ] = "raw"
    answer: Annotated[
        AnswerForm,
        option(
            "How the expected answer names its choice: by `text`, `label`, `letter` (A is the first), `index` (0 is"
            " the first) or `number` (1 is the first); `auto` tries label, text, letter and index"
        ),
    ] = "auto"
    delimiter: Annotated[str, option("Text between prompt and choice")] = ""

    def __post_init__(self) -> None:
        if bool(self.choices) == bool(self.column):
            raise ScorerError("expected either `choices`, a list, or `column`, the column that holds one")
        if self.choices and len(set(self.choices)) < max(len(self.choices), 2):
            raise ScorerError("choices: expected at least two, all different")

    def grader_requests(self, text: str, case: Case) -> tuple[GraderRequest, ...]:
        choices, _ = self._read(case)
        return (LoglikelihoodCall(tuple(self.delimiter + choice for choice in choices.texts)),) if choices else ()

    def score_input(self, scoring_input: ScoringInput) -> Score:
        case = scoring_input.case
        references = list_references(case)
        if not references:
            return no_reference(self.name, "", case)
        choices, problem = self._read(case)
        if choices is None:
            return Score(self.name, 0.0, "", problem, applies=False, unscored="error")
        found, problem = read_likelihoods(scoring_input, len(choices.texts))
        if problem:
            return missing_likelihoods(self.name, problem, scoring_input)
        return self._choose(choices, found, choices.find(references[0], self.answer))

    def label_key(self, text: str) -> str:
        return normalize(text)

    def summarize(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        if not samples:
            return {}
        return {way: sum(one.score.parts.get(way, 0.0) for one in samples) / len(samples) for way in _NORMALIZATIONS}

    def _choose(self, choices: ChoiceList, found: Sequence[Likelihood], right: ExpectedChoice) -> Score:
        texts = choices.texts
        values = {
            way: [_normalize_logprob(way, text, each) for text, each in zip(texts, found, strict=True)]
            for way in _NORMALIZATIONS
        }
        chosen = {way: row.index(max(row)) for way, row in values.items()}
        if undecided := [found[at] for at in chosen.values() if found[at].is_bound]:
            return Score(self.name, 0.0, "", describe_bound(undecided[0]), applies=False, unscored="error")
        at_index = chosen[self.normalize]
        lines = [
            f"The likeliest choice is {texts[at_index]!r}, {'as' if at_index == right.position else 'not'} expected."
        ]
        lines += [
            f"{text!r}: {raw:.3f}, {each:.3f} a character{', expected' if at == right.position else ''}"
            for at, (text, raw, each) in enumerate(zip(texts, values["raw"], values["characters"], strict=True))
        ]
        parts: dict[str, float] = {way: float(each == right.position) for way, each in chosen.items()}
        extracted = choices.name(at_index, right.way)
        return Score(self.name, parts[self.normalize], extracted, "\n".join(lines), parts=parts)

    def _read(self, case: Case) -> tuple[ChoiceList | None, str]:
        """The choices of a case whose right one is among them; None, and why, where there are none such."""
        try:
            if self.choices:
                choices = ChoiceList(self.choices)
            elif isinstance(self.column, str):
                choices = ChoiceList.read(self.column, case.variables)
            else:
                choices = ChoiceList.gather(self.column, case.variables)
            for reference in list_references(case)[:1]:
                choices.find(reference, self.answer)
        except ValueError as error:
            return None, str(error)
        return (choices, "") if list_references(case) else (None, "")


def _normalize_logprob(way: LengthNormalization, text: str, found: Likelihood) -> float:
    """A log-likelihood over the choice's own length, as lm-evaluation-harness counts it."""
    lengths = {"raw": 1, "characters": len(text), "bytes": len(text.encode(errors="replace")), "tokens": found.tokens}
    return found.logprob / max(lengths[way], 1)
