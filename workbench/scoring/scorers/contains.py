"""Contains: the expected answer, or a given text, is somewhere in the answer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from workbench.datasets import Case
from workbench.errors import ScorerError
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, list_references, no_reference, quote, truncate
from workbench.scoring.text.normalization import fold, is_blank


@register(
    "contains",
    group="match",
    help="1 if the answer contains the expected answer, or `text`",
    example="contains: {text: sorry, negate: true}",
)
class Contains(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    name: str = "contains"
    strict: Annotated[
        bool,
        option("Compare character for character; otherwise case and whitespace are ignored"),
    ] = False
    ignore_case: Annotated[bool, option("With `strict`: ignore the case of letters, and nothing else")] = False
    at: Annotated[Literal["anywhere", "start", "end"], option("Where in the answer the text must be")] = "anywhere"
    text: Annotated[str | None, option("Text to look for instead of the expected answer")] = None
    all_of: Annotated[tuple[str, ...], option("Texts that must all be there")] = ()
    any_of: Annotated[tuple[str, ...], option("Texts of which at least one must be there")] = ()

    def __post_init__(self) -> None:
        if (self.text is not None) + bool(self.all_of) + bool(self.any_of) > 1:
            raise ScorerError("expected only one of text, all_of and any_of")
        if self.ignore_case and not self.strict:
            raise ScorerError("ignore_case goes with strict; without it, case is ignored already")
        if "" in (self.text, *self.all_of, *self.any_of):
            raise ScorerError("the text to look for is empty: every answer contains it")

    def score(self, text: str, case: Case) -> Score:
        own = () if self.text is None else (self.text,)
        references = () if self.all_of or self.any_of or own else list_references(case)
        wanted = self.all_of or self.any_of or own or references
        if not wanted:
            return no_reference(self.name, text, case)
        there = [each for each in wanted if self._stands(each, text)]
        missing = [each for each in wanted if each not in there]
        passed = bool(there) if self.any_of or references else not missing
        position = {"anywhere": "in", "start": "at the start of", "end": "at the end of"}[self.at]
        message, verb = (there, "Found {}.") if passed else (missing, f"{{}} is not {position} the answer.")
        explanation = verb.format(", ".join(map(quote, message)))
        return Score(self.name, float(passed), truncate(", ".join(there)) if passed else "", explanation)

    def _stands(self, wanted: str, text: str) -> bool:
        if self.strict and self.ignore_case:
            return self._is_in(wanted.lower(), text.lower())
        if self.strict or is_blank(wanted):  # blanks and invisible characters count where there is nothing else
            return self._is_in(wanted, text)
        plain, around = (fold(each, ignore_case=True, ignore_whitespace=True) for each in (wanted, text))
        return self._is_in(plain, around if self.at == "anywhere" else around.strip())

    def _is_in(self, wanted: str, text: str) -> bool:
        if self.at == "anywhere":
            return wanted in text
        return text.startswith(wanted) if self.at == "start" else text.endswith(wanted)
