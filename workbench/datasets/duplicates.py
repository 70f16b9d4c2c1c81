"""Duplicates: examples or training rows that are among the test cases too, so that a score is contaminated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from workbench.datasets import Case
from workbench.prompting.prompt import Example

DuplicateKind = Literal["exact", "normalised", "near"]

_AT_ONCE = 2048  # cases compared together
_NO_WORD = re.compile(r"[\W_]+")
_IDENTIFIER = re.compile(r"(id|idx|index|uid|uuid|guid|number|key)$|.*_id$", re.IGNORECASE)


class Duplicate(msgspec.Struct, frozen=True):
    """An example that a case repeats.

    kind: exact; normalised: the same but for case, spaces and punctuation; near: nearly the same text.
    example: its id, or `row 7` of a training file. case: the case's number. similarity: 1 for the same text.
    """

    kind: DuplicateKind
    example: str
    case: int
    similarity: float
    example_text: str
    case_text: str


class _Candidate(NamedTuple):
    """An example as it is compared."""

    id: str
    values: tuple[str, ...]
    text: str
    words: str


def find_duplicates(
    examples: Iterable[Example | Case],
    cases: Iterable[Case],
    threshold: float = 0.9,
    variables: Sequence[str] = (),
) -> tuple[Duplicate, ...]:
    """Every pair of an example and a case that repeats it, in the order of the examples, then of the cases.

    threshold: how much of two texts must agree for a near duplicate (1 minus the insertions and deletions that lead
        from one to the other over the length of both), in every variable that either fills.
    variables: those that are compared; none named: those that an example and the first case share, without ids.
    """
    examples, walk = list(examples), iter(cases)
    first = list(islice(walk, _AT_ONCE))
    names = tuple(variables) or _shared(examples, first)
    known = [
        known for known in (_make_candidate(_name(item), item.variables, names) for item in examples) if known.words
    ]
    if not known or not names:
        return ()
    finder = _DuplicateFinder(known, names, threshold)
    found_all: list[tuple[int, Duplicate]] = []
    while first:
        found_all += finder.compare(first)
        first = list(islice(walk, _AT_ONCE))
    return tuple(one for _, one in sorted(found_all, key=lambda item: (item[0], item[1].case)))


class _DuplicateFinder:
    """The examples, laid out so that many cases can be compared with them together."""

    def __init__(self, known: Sequence[_Candidate], names: tuple[str, ...], threshold: float) -> None:
        self._known = sorted(known, key=lambda item: len(item.words))
        order = {id(item): index for index, item in enumerate(known)}
        self._order = [order[id(item)] for item in self._known]
        self._names = names
        self._threshold = threshold
        self._same: dict[str, list[int]] = {}
        for index, item in enumerate(self._known):
            self._same.setdefault(item.words, []).append(index)
        self._lengths = [len(item.words) for item in self._known]

    def compare(self, cases: Sequence[Case]) -> Iterator[tuple[int, Duplicate]]:
        asked = [_make_candidate(str(case.number), case.variables, self._names) for case in cases]
        numbered = sorted(
            ((case, item) for case, item in zip(cases, asked, strict=True) if item.words),
            key=lambda pair: len(pair[1].words),
        )
        for case, item in numbered:
            for index in self._same.get(item.words, ()):
                kind: DuplicateKind = "exact" if self._known[index].values == item.values else "normalised"
                yield self._order[index], self._duplicate(kind, index, case, item, 1.0)
        if self._threshold < 1:
            for index, row, similarity in self._near([item.words for _, item in numbered]):
                case, item = numbered[row]
                alike = self._confirm(index, item, similarity)
                if alike >= self._threshold:
                    yield self._order[index], self._duplicate("near", index, case, item, alike)

    def _near(self, texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
        """Pairs of unequal texts that are nearly the same; both sides are sorted by length, so that only those are
        compared that are nearly as long."""
        from bisect import bisect_left, bisect_right

        import numpy as np
        from rapidfuzz import fuzz, process

        reach = self._threshold / (2 - self._threshold)  # no text can be further in length and still as similar
        for begin in range(0, len(texts), 256):
            block = texts[begin : begin + 256]
            low = bisect_left(self._lengths, len(block[0]) * reach - 1)
            high = bisect_right(self._lengths, len(block[-1]) / reach + 1)
            some = [known.words for known in self._known[low:high]]
            if not some:
                continue
            found: Any = process.cdist(some, block, scorer=fuzz.ratio, score_cutoff=self._threshold * 100, workers=-1)
            for index, row in np.argwhere(found > 0):
                if some[index] != block[row]:
                    yield low + int(index), begin + int(row), float(found[index, row]) / 100

    def _confirm(self, index: int, item: _Candidate, similarity: float) -> float:
        """How alike they are in the variable in which they differ most."""
        if len(self._names) == 1:
            return similarity
        from rapidfuzz import fuzz

        pairs = zip(self._known[index].values, item.values, strict=True)
        return min(fuzz.ratio(normalise(mine), normalise(theirs)) / 100 for mine, theirs in pairs if mine or theirs)

    def _duplicate(self, kind: DuplicateKind, index: int, case: Case, item: _Candidate, similarity: float) -> Duplicate:
        known = self._known[index]
        return Duplicate(kind, known.id, case.number, round(similarity, 4), known.text, item.text)


def _name(item: Example | Case) -> str:
    return item.id if isinstance(item, Example) else f"row {item.number}"


def _make_candidate(id: str, variables: Mapping[str, str], names: tuple[str, ...]) -> _Candidate:
    values = tuple(variables.get(name, "") for name in names)
    text = "\n".join(value for value in values if value)
    return _Candidate(id, values, text, normalise(text))


def normalise(text: str) -> str:
    """Without case, punctuation and repeated spaces; a text without letters and digits stays as it is."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _NO_WORD.sub(" ", text.casefold()).strip() or text.strip()


def _shared(examples: Sequence[Example | Case], cases: Sequence[Case]) -> tuple[str, ...]:
    theirs = {name for case in cases[:1] for name in case.variables}
    ours = dict.fromkeys(name for item in examples[:50] for name in item.variables)
    shared = tuple(name for name in ours if name in theirs)
    return tuple(name for name in shared if not _IDENTIFIER.match(name)) or shared
