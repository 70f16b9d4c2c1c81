"""A regular expression with the match and the group that is meant, and a time limit.

Patterns are a user's own, and backtracking can take for ever: the clock stops it.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any

import msgspec

from workbench.errors import ScorerError
from workbench.patterns import PatternError, compile_pattern
from workbench.scoring.text.normalization import clean


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """group: number or name; left out, the first group, or the whole match of a pattern without groups.

    last: take the last match instead of the first, for answers that think aloud.
    """

    pattern: str
    group: int | str | None = None
    last: bool = False
    timeout_seconds: float = 1.0

    def __post_init__(self) -> None:
        try:
            compiled = compile_pattern(self.pattern)
        except PatternError as error:
            raise ScorerError(f"pattern {self.pattern[:80]!r}: {error}") from error
        groups = [*range(compiled.groups + 1), *compiled.groupindex]
        if self.group is not None and self.group not in groups:
            raise ScorerError(f"pattern {self.pattern!r} has no group {self.group!r}; it has {groups}")
        if not self.timeout_seconds > 0:
            raise ScorerError(f"timeout_seconds is {self.timeout_seconds}; it must be more than 0")

    @classmethod
    def of(cls, options: Any, where: str) -> Search:
        """The search that a bench describes. Raises ScorerError."""
        try:
            return msgspec.convert(options, cls)
        except msgspec.ValidationError as error:
            cause = error.__cause__
            raise ScorerError(f"{where}: {cause.message if isinstance(cause, ScorerError) else error}") from error

    def find(self, text: str) -> str | None:
        """What the pattern finds, None where it finds nothing. Raises TimeoutError.

        Where the text as it stands has no match, the cleaned one is tried: full-width brackets, an accent in two parts
        or a zero-width space in between are as good.
        """
        cleaned = clean(text)
        found = self._find(text)
        return self._find(cleaned) if found is None and cleaned != text else found

    def _find(self, text: str) -> str | None:
        compiled = compile_pattern(self.pattern)
        matches = compiled.finditer(text, timeout=self.timeout_seconds)
        found = deque(matches, 1) if self.last else list(islice(matches, 1))
        if not found:
            return None
        group = self.group if self.group is not None else min(1, compiled.groups)
        return str(found[0][group] or "")
