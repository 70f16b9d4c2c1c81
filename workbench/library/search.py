"""What a person asks the library for: words, tags such as `tag:routing`, and scores such as `score>=0.8`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from workbench.errors import PromptError
from workbench.library.library import PromptEntry

_TAG = "tag:"
_SCORE = re.compile(r"score(>=|<=|>|<)(.*)")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


class ScoreLimit(NamedTuple):
    """A comparison, such as `>=`, and what a score is compared with."""

    sign: str
    value: float

    def holds(self, score: float) -> bool:
        return _COMPARE[self.sign](score, self.value)


class PromptQuery(NamedTuple):
    """All of it has to hold. words, tags: in folded case."""

    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limits: tuple[ScoreLimit, ...] = ()

    def matches(self, entry: PromptEntry, score: float | None = None) -> bool:
        """Whether a prompt is asked for. score: its own; None where it was never run, which no limit takes."""
        text, tags = f"{entry.name}\n{entry.text}".casefold(), {tag.casefold() for tag in entry.tags}
        if not all(word in text for word in self.words) or not all(tag in tags for tag in self.tags):
            return False
        return all(score is not None and limit.holds(score) for limit in self.limits)

    def find_line(self, entry: PromptEntry) -> tuple[int, str] | None:
        """The line of the file, from 1, with the most words that the name has not, without spaces around it; None
        where no line has any."""
        words = [word for word in self.words if word not in entry.name.casefold()]
        lines = entry.text.splitlines()
        counts = [sum(word in line.casefold() for word in words) for line in lines]
        if not any(counts):
            return None
        best = counts.index(max(counts))
        return best + 1, lines[best].strip()


def parse_query(text: str, typing: bool = False) -> PromptQuery:
    """What a text asks for. typing: it is still being typed, and an unfinished limit is left out.

    Raises PromptError for a limit that is no number.
    """
    words: list[str] = []
    tags: list[str] = []
    limits: list[ScoreLimit] = []
    for word in text.casefold().split():
        if word.startswith(_TAG):
            tags.append(word.removeprefix(_TAG))
        elif match := _SCORE.fullmatch(word):
            limits += _read_limit(match[1], match[2], typing)
        else:
            words.append(word)
    return PromptQuery(tuple(words), tuple(filter(None, tags)) if typing else tuple(tags), tuple(limits))


def _read_limit(sign: str, value: str, typing: bool) -> list[ScoreLimit]:
    try:
        return [ScoreLimit(sign, float(value))]
    except ValueError as error:
        if typing:
            return []
        raise PromptError(f"score{sign}{value}: {value!r} is not a number.", "Write it as score>=0.8.") from error
