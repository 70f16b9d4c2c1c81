"""Prefixes that nobody needs just now, in host memory: brought back, they need no evaluation.

Each belongs to one set of adapters, under which alone it is right. Knows nothing of what a state is made of.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from workbench.engines.llamacpp.tree import Tree
from workbench.engines.sizes import PARKED_BYTES


class Parked(NamedTuple):
    """A sequence's state. tokens: how many it has seen. length: how many of them are of use."""

    state: bytes
    tokens: int
    length: int


class _Entry(NamedTuple):
    owner: Hashable
    state: bytes


class Parking:
    """States by their tokens, those used last kept. most_bytes: memory they take at most."""

    def __init__(self, most_bytes: int = PARKED_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._trees: dict[Hashable, Tree] = {}
        self._numbers = itertools.count()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def fits(self, size: int) -> bool:
        """Whether a state of so many bytes could be kept at all."""
        return size <= self._most_bytes

    def put(self, owner: Hashable, tokens: Sequence[int], state: bytes) -> None:
        """Keep a state; it takes the place of those that are parts of it."""
        tree = self._trees.setdefault(owner, Tree())
        number = next(self._numbers)
        tree.insert(number, tokens)
        tree.advance(number, len(tokens))
        for node in tree.path(number):
            for other in [other for other in node.sequences if other != number and tree.length(other) == node.end]:
                self._drop(other)
        self._entries[number] = _Entry(owner, state)
        self.bytes += len(state)
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    def match(self, owner: Hashable, tokens: Sequence[int]) -> int:
        """How many of the tokens a state is kept for."""
        tree = self._trees.get(owner)
        return tree.match(tokens)[0] if tree else 0

    def find(self, owner: Hashable, tokens: Sequence[int]) -> Parked | None:
        """The state that begins with most of the tokens."""
        tree = self._trees.get(owner)
        if tree is None:
            return None
        length, numbers = tree.match(tokens)
        if not numbers:
            return None
        number = max(numbers)
        self._entries.move_to_end(number)
        return Parked(self._entries[number].state, tree.length(number), length)

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number)
        self._trees[entry.owner].remove(number)
        self.bytes -= len(entry.state)
