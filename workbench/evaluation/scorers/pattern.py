"""Regex: what a pattern finds in the answer, compared with the expected one.

Knows nothing of JSON or of whole answers. A pattern that would run for ever is stopped by the clock.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import msgspec
import regex

from workbench.errors import ScorerError
from workbench.evaluation.dataset import Case
from workbench.evaluation.scorers.normalization import normalize
from workbench.evaluation.scorers.scorer import Score, no_answer


class Regex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """what `pattern` finds (its first group, or `group`) equals the expected answer; or is there at all, with
    `compare: false`

    group: number or name; None takes the first group, or the whole match of a pattern without groups.
    last: take the last match instead of the first, for answers that think aloud.
    """

    pattern: str
    name: str = "regex"
    group: int | str | None = None
    compare: bool = True
    strict: bool = False
    last: bool = False
    timeout_seconds: float = 1.0

    def __post_init__(self) -> None:
        try:
            compiled = regex.compile(self.pattern)
        except regex.error as error:
            raise ScorerError(f"pattern {self.pattern!r}: {error}") from error
        groups = [*range(compiled.groups + 1), *compiled.groupindex]
        if self.group is not None and self.group not in groups:
            raise ScorerError(f"pattern {self.pattern!r} has no group {self.group!r}; it has {groups}")
        if not self.timeout_seconds > 0:
            raise ScorerError(f"timeout_seconds is {self.timeout_seconds}; it must be more than 0")

    def score(self, text: str, case: Case) -> Score:
        if self.compare and case.expected is None:
            return no_answer(self.name, text)
        try:
            found = self._find(text)
        except TimeoutError:
            return Score(self.name, 0.0, "", f"The pattern took more than {self.timeout_seconds:g} s on this answer.")
        if found is None:
            return Score(self.name, 0.0, "", f"Nothing matches {self.pattern!r}.")
        if not self.compare or case.expected is None:
            return Score(self.name, 1.0, found, "The pattern matches.")
        same = found == case.expected if self.strict else normalize(found) == normalize(case.expected)
        explanation = "The same." if same else f"Expected {case.expected!r}, found {found!r}."
        return Score(self.name, float(same), found, explanation)

    def _find(self, text: str) -> str | None:
        compiled = regex.compile(self.pattern)  # the package keeps compiled patterns
        matches = compiled.finditer(text, timeout=self.timeout_seconds)
        found = deque(matches, 1) if self.last else list(islice(matches, 1))
        if not found:
            return None
        group = self.group if self.group is not None else min(1, compiled.groups)
        return str(found[0][group] or "")
