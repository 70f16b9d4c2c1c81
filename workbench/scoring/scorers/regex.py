"""Regex: what a pattern matches in the answer is compared with the expected one."""

from __future__ import annotations

from typing import Annotated, ClassVar

from workbench.datasets import Case
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec, list_references, no_reference, quote, truncate
from workbench.scoring.text.normalization import normalize
from workbench.scoring.text.search import Search


@register(
    "regex",
    group="match",
    help="1 if what `pattern` matches equals the expected answer; with `compare: false`, 1 if it matches at all",
    example="regex: {pattern: '\\((\\w)\\)', last: true}",
)
class Regex(Scorer, frozen=True, kw_only=True):
    spec: ClassVar[ScorerSpec] = ScorerSpec(binary=True)
    pattern: Annotated[str, option("Regular expression")]
    name: str = "regex"
    group: Annotated[
        int | str | None,
        option(
            "Group to take, by number or name; by default the first group, or the whole match of a pattern without"
            " groups"
        ),
    ] = None
    compare: Annotated[bool, option("Compare the match with the expected answer")] = True
    strict: Annotated[
        bool,
        option("Compare character for character; otherwise case, spaces and sentence punctuation are ignored"),
    ] = False
    last: Annotated[
        bool,
        option("Take the last match instead of the first, for models that reason before they answer"),
    ] = False
    timeout_seconds: Annotated[float, option("Time limit per answer", gt=0)] = 1.0

    def __post_init__(self) -> None:
        self._search()

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if self.compare and not references:
            return no_reference(self.name, text, case)
        try:
            found = self._search().find(text)
        except TimeoutError:
            message = f"The pattern took more than {self.timeout_seconds:g} s on this answer."
            return Score(self.name, 0.0, "", message, applies=False, unscored="error")
        if found is None:
            return Score(self.name, 0.0, "", f"Nothing matches {self.pattern!r}.")
        if not self.compare:
            return Score(self.name, 1.0, truncate(found), "The pattern matches.")
        same = any(self._fold(found) == self._fold(answer) for answer in references)
        explanation = "The same." if same else f"Expected {quote(references[0])}, found {quote(found)}."
        return Score(self.name, float(same), truncate(found), explanation)

    def label_key(self, text: str) -> str | None:
        return self._fold(text) if self.compare else None

    def _fold(self, text: str) -> str:
        return text if self.strict else normalize(text)

    def _search(self) -> Search:
        return Search(self.pattern, self.group, self.last, self.timeout_seconds)
