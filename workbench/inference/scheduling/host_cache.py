"""The host-memory prefix cache: keys and values of evicted prefixes, offloaded so that they need no second prefill.

A backend that can save a part of a slot saves only what is not here yet: a segment then continues another one, and a
system prompt that a hundred prompts begin with stands here once (as in SGLang's and LMCache's offloading). llama.cpp's
`llama_state_seq_get_data` saves whole sequences; there a longer state replaces those that are parts of it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from workbench.inference.scheduling.backend import SavedState
from workbench.inference.scheduling.prefix_tree import PrefixTree
from workbench.inference.sizes import PROMPT_CACHE_BYTES


@dataclass(slots=True)
class CachedSegment:
    """What was saved of the tokens from `start` to `end`. parent: the segment before it; children: those behind it."""

    start: int
    end: int
    state: SavedState
    parent: int | None = None
    children: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a segment that can be loaded: `count` tokens behind its first `skip` ones, which begin at `start`."""

    start: int
    skip: int
    count: int
    segment: CachedSegment


class HostCache:
    """Segments by their tokens, the least recently used evicted. Each is right for its owner alone."""

    def __init__(self, capacity_bytes: int = PROMPT_CACHE_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._segments: OrderedDict[int, CachedSegment] = OrderedDict()
        self._tree = PrefixTree()
        self._numbers = itertools.count()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def off(self) -> bool:
        """Whether nothing is to be kept at all."""
        return self._capacity_bytes <= 0

    def match(self, owner: Hashable, tokens: Sequence[int]) -> int:
        """How many of the tokens are here."""
        return self._tree.match(owner, tokens)[0]

    def put(self, owner: Hashable, tokens: Sequence[int], start: int, state: SavedState) -> None:
        """Keep the state of the tokens from `start` on; those before are here."""
        parent = self._holder(owner, tokens[:start]) if start else None
        number = next(self._numbers)
        self._tree.insert(number, owner, tokens)
        self._tree.advance(number, len(tokens))
        if not start:
            self._drop_parts(number)
        if parent is not None:
            self._segments[parent].children += 1
        self._segments[number] = CachedSegment(start, len(tokens), state, parent)
        self.bytes += state.nbytes
        while self.bytes > self._capacity_bytes:
            self._drop(next(number for number, segment in self._segments.items() if not segment.children))

    def find(self, owner: Hashable, tokens: Sequence[int], start: int = 0) -> list[Piece]:
        """What is here of the tokens from `start` on, in order; the last piece ends where the tokens are not known."""
        length, _ = self._tree.match(owner, tokens)
        number = self._holder(owner, tokens[:length]) if length > start else None
        pieces: list[Piece] = []
        for segment in self._use(number):
            first, end = max(start, segment.start), min(length, segment.end)
            if first < end:
                pieces.append(Piece(first, first - segment.start, end - first, segment))
            length = min(length, segment.start)  # a segment may leave the one before it in the middle
        return pieces[::-1]

    def clear(self) -> None:
        for number in list(self._segments):
            self._tree.remove(number)
        self._segments.clear()
        self.bytes = 0

    def _holder(self, owner: Hashable, tokens: Sequence[int]) -> int | None:
        """The newest segment that reaches as far as these tokens, all of which are here."""
        _, numbers = self._tree.match(owner, tokens)
        return max(numbers, default=None)

    def _use(self, number: int | None) -> Iterator[CachedSegment]:
        """A segment and those before it, the last one first; each is now the one that was used last."""
        while number is not None:
            self._segments.move_to_end(number)
            segment = self._segments[number]
            yield segment
            number = segment.parent

    def _drop_parts(self, number: int) -> None:
        for node in self._tree.path(number):
            for other in [
                other for other in node.sequences if other != number and self._tree.length(other) == node.end
            ]:
                if not self._segments[other].children and not self._segments[other].start:
                    self._drop(other)

    def _drop(self, number: int) -> None:
        segment = self._segments.pop(number)
        self._tree.remove(number)
        self.bytes -= segment.state.nbytes
        if segment.parent is not None:
            self._segments[segment.parent].children -= 1
