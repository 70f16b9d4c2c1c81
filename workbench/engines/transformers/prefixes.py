"""Prefixes: keys and values of prompts that were evaluated, in host memory, so that no prompt is evaluated twice.

They stand in a tree of tokens: what many prompts begin with stands in it once. Each belongs to one set of adapters,
under which alone it is right. Knows nothing of requests, nor of rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from workbench.engines.prompts import shared_length
from workbench.engines.sizes import PARKED_BYTES
from workbench.engines.transformers.cache import Layers


class Piece(NamedTuple):
    """What is known of the tokens from `start` on."""

    start: int
    layers: Layers


class _Node:
    """Tokens from `start` on, with their keys and values."""

    __slots__ = ("children", "layers", "parent", "start", "tokens", "used")

    def __init__(self, tokens: list[int], start: int, parent: _Node | None, layers: Layers) -> None:
        self.tokens = tokens
        self.start = start
        self.parent = parent
        self.layers = layers
        self.children: dict[int, _Node] = {}
        self.used = 0

    @property
    def bytes(self) -> int:
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)

    def cut(self, start: int, end: int) -> Layers:
        """A copy of a part, so that the rest can be let go."""
        return [(keys[:, start:end].clone(), values[:, start:end].clone()) for keys, values in self.layers]


class Prefixes:
    """Those used last are kept. most_bytes: memory they take at most."""

    def __init__(self, most_bytes: int = PARKED_BYTES) -> None:
        self._most_bytes = most_bytes
        self._roots: dict[Hashable, _Node] = {}
        self._clock = itertools.count(1)
        self._nodes: set[_Node] = set()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def off(self) -> bool:
        """Whether nothing is to be kept at all."""
        return self._most_bytes <= 0

    def match(self, owner: Hashable, tokens: Sequence[int]) -> int:
        """How many of the tokens are known."""
        return max((end for _, end in self._walk(owner, tokens)), default=0)

    def find(self, owner: Hashable, tokens: Sequence[int], start: int) -> Iterator[Piece]:
        """What is known of the tokens from `start` on, piece by piece."""
        now = next(self._clock)
        for node, end in list(self._walk(owner, tokens)):
            node.used = now
            first = max(start, node.start)
            if first < end:
                part = slice(first - node.start, end - node.start)
                yield Piece(first, [(keys[:, part], values[:, part]) for keys, values in node.layers])

    def put(self, owner: Hashable, tokens: Sequence[int], layers: Layers) -> None:
        """Keep what stands behind the part of the tokens that is known; it is let go when there is no room for it."""
        node = self._roots.setdefault(owner, _Node([], 0, None, ()))
        place = 0
        for found, end in list(self._walk(owner, tokens)):
            node = found if end == found.start + len(found.tokens) else self._split(found, end - found.start)
            place = end
        new = _Node(list(tokens[place:]), place, node, layers)
        node.children[tokens[place]] = new
        new.used = next(self._clock)
        self._count(new, 1)
        while self.bytes > self._most_bytes:
            self._drop(min((node for node in self._nodes if not node.children), key=lambda node: node.used))

    def clear(self) -> None:
        self._roots.clear()
        self._nodes.clear()
        self.bytes = 0

    def _walk(self, owner: Hashable, tokens: Sequence[int]) -> Iterator[tuple[_Node, int]]:
        """The nodes that begin the tokens, each with where the tokens leave it or it ends."""
        node = self._roots.get(owner)
        place = 0
        while node is not None and place < len(tokens):
            child = node.children.get(tokens[place])
            if child is None:
                return
            shared = shared_length(child.tokens, tokens[place : place + len(child.tokens)])
            place += shared
            yield child, place
            node = child if shared == len(child.tokens) else None

    def _split(self, node: _Node, length: int) -> _Node:
        """Cut a node in two; the new one in front, which is returned, has its first `length` tokens."""
        assert node.parent is not None
        front = _Node(node.tokens[:length], node.start, node.parent, node.cut(0, length))
        front.used = node.used
        front.children[node.tokens[length]] = node
        node.parent.children[node.tokens[0]] = front
        self._count(node, -1)
        node.layers = node.cut(length, len(node.tokens))
        node.tokens, node.start, node.parent = node.tokens[length:], node.start + length, front
        self._count(node, 1)
        self._count(front, 1)
        return front

    def _drop(self, node: _Node) -> None:
        assert node.parent is not None
        del node.parent.children[node.tokens[0]]
        self._count(node, -1)

    def _count(self, node: _Node, sign: int) -> None:
        self.bytes += sign * node.bytes
        if sign > 0:
            self._nodes.add(node)
        else:
            self._nodes.discard(node)
