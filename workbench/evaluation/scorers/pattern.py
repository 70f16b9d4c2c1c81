"""Regex: what a pattern finds in the answer, compared with the expected one.

Knows nothing of JSON or of whole answers.
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Judging, Score, Traits, begin, list_references, no_answer, quote
from workbench.evaluation.scorers.search import Search


class Regex(Judging, frozen=True, kw_only=True):
    """what `pattern` finds (its first group, or `group`) equals the expected answer; or is there at all, with
    `compare: false`

    compare: hold what is found against the expected answer; case, spaces and sentence punctuation around it do not
        count. strict: they do.
    group: number or name; left out, the first group, or the whole match of a pattern without groups.
    last: take the last match instead of the first, for answers that think aloud. timeout_seconds: for one answer.
    """

    traits: ClassVar[Traits] = Traits(binary=True)
    pattern: str
    name: str = "regex"
    group: int | str | None = None
    compare: bool = True
    strict: bool = False
    last: bool = False
    timeout_seconds: float = 1.0

    def __post_init__(self) -> None:
        self._search()

    def score(self, text: str, case: Case) -> Score:
        references = list_references(case)
        if self.compare and not references:
            return no_answer(self.name, text, case)
        try:
            found = self._search().find(text)
        except TimeoutError:
            told = f"The pattern took more than {self.timeout_seconds:g} s on this answer."
            return Score(self.name, 0.0, "", told, applies=False, unscored="error")
        if found is None:
            return Score(self.name, 0.0, "", f"Nothing matches {self.pattern!r}.")
        if not self.compare:
            return Score(self.name, 1.0, begin(found), "The pattern matches.")
        same = any(self._fold(found) == self._fold(answer) for answer in references)
        explanation = "The same." if same else f"Expected {quote(references[0])}, found {quote(found)}."
        return Score(self.name, float(same), begin(found), explanation)

    def label_key(self, text: str) -> str | None:
        return self._fold(text) if self.compare else None

    def _fold(self, text: str) -> str:
        return text if self.strict else normalize(text)

    def _search(self) -> Search:
        return Search(self.pattern, self.group, self.last, self.timeout_seconds)
