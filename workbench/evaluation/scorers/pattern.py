"""Regex: what a pattern finds in the answer, compared with the expected one.

Knows nothing of JSON or of whole answers.
"""

from __future__ import annotations

from typing import ClassVar

from workbench.evaluation.datasets import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Judging, Score, Traits, begin, no_answer, quote
from workbench.evaluation.scorers.search import Search


class Regex(Judging, frozen=True, kw_only=True):
    """what `pattern` finds (its first group, or `group`) equals the expected answer; or is there at all, with
    `compare: false`

    compare: hold what is found against the expected answer. strict: to the letter.
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
        if self.compare and case.expected is None:
            return no_answer(self.name, text)
        try:
            found = self._search().find(text)
        except TimeoutError:
            return Score(self.name, 0.0, "", f"The pattern took more than {self.timeout_seconds:g} s on this answer.")
        if found is None:
            return Score(self.name, 0.0, "", f"Nothing matches {self.pattern!r}.")
        if not self.compare or case.expected is None:
            return Score(self.name, 1.0, begin(found), "The pattern matches.")
        same = any(self._same(found, answer) for answer in (case.expected, *case.also))
        explanation = "The same." if same else f"Expected {quote(case.expected)}, found {quote(found)}."
        return Score(self.name, float(same), begin(found), explanation)

    def _same(self, found: str, answer: str) -> bool:
        return found == answer if self.strict else normalize(found) == normalize(answer)

    def _search(self) -> Search:
        return Search(self.pattern, self.group, self.last, self.timeout_seconds)
