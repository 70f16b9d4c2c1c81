"""The tokens of many sequences as a radix tree: the prefix that several have in common stands in it once.

The idea is RadixAttention's (SGLang, Zheng et al. 2024); here a node knows its sequences instead of its KV cache, since
llama.cpp's unified cache shares cells between sequences by itself. How far each sequence has been evaluated is kept
beside the tree, so that one can begin with what another has seen, also while that is still in prefill. Sequences of
different owners share nothing: their adapters compute other values from the same tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from typing import NamedTuple

from workbench.prompting.prompt_parts import shared_length


class Node:
    """Tokens from `start` on that all of `sequences` have in common."""

    __slots__ = ("children", "parent", "sequences", "start", "tokens")

    def __init__(self, tokens: list[int], start: int, parent: Node | None) -> None:
        self.tokens = tokens
        self.start = start
        self.parent = parent
        self.children: dict[int, Node] = {}
        self.sequences: set[int] = set()

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)


class Share(NamedTuple):
    """Tokens that a sequence can begin with as another one has seen them."""

    source: int
    start: int
    end: int


class PrefixTree:
    """Sequences by their tokens. size: tokens in it, each counted once, evaluated or not.

    merges: what sequences have in common stands in it once; else each sequence stands by itself.
    """

    def __init__(self, merges: bool = True) -> None:
        self.size = 0
        self._merges = merges
        self._roots: dict[Hashable, Node] = {}
        self._leaves: dict[int, Node] = {}
        self._seen: dict[int, int] = {}
        self._owners: dict[int, Hashable] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._leaves

    def seen(self, sequence: int) -> int:
        """How many of its tokens a sequence has seen."""
        return self._seen[sequence]

    def advance(self, sequence: int, seen: int) -> None:
        """A sequence has seen so many of its tokens."""
        self._seen[sequence] = seen

    def owner(self, sequence: int) -> Hashable:
        return self._owners[sequence]

    def length(self, sequence: int) -> int:
        return self._leaves[sequence].end

    def tokens(self, sequence: int) -> list[int]:
        """All tokens of a sequence."""
        return [token for node in self.path(sequence) for token in node.tokens]

    def path(self, sequence: int) -> list[Node]:
        """The nodes of a sequence, from its first token on."""
        found: list[Node] = []
        node: Node | None = self._leaves[sequence]
        while node is not None:
            found.append(node)
            node = node.parent
        return found[::-1]

    def match(self, owner: Hashable, tokens: Sequence[int]) -> tuple[int, Collection[int]]:
        """How many of the tokens are in the tree already, and the sequences that have them."""
        node, length = self._roots.get(owner), 0
        holders: Collection[int] = ()
        while node is not None and length < len(tokens):
            child = node.children.get(tokens[length])
            if child is None:
                break
            shared = shared_length(child.tokens, tokens[length : length + len(child.tokens)])
            length += shared
            holders = child.sequences
            if shared < len(child.tokens):
                break
            node = child
        return length, holders

    def insert(self, sequence: int, owner: Hashable, tokens: Sequence[int]) -> None:
        """Take in a sequence that has seen nothing yet."""
        node = self._roots.setdefault(owner, Node([], 0, None)) if self._merges else Node([], 0, None)
        node.sequences.add(sequence)
        while node.end < len(tokens):
            index = node.end
            child = node.children.get(tokens[index])
            if child is None:
                child = Node(list(tokens[index:]), index, node)
                node.children[tokens[index]] = child
                self.size += len(child.tokens)
            else:
                shared = shared_length(child.tokens, tokens[index : index + len(child.tokens)])
                child = child if shared == len(child.tokens) else _split(child, shared)
            child.sequences.add(sequence)
            node = child
        self._leaves[sequence] = node
        self._seen[sequence] = 0
        self._owners[sequence] = owner

    def remove(self, sequence: int) -> None:
        """Forget a sequence, and the tokens that no other one has."""
        for node in reversed(self.path(sequence)):
            node.sequences.discard(sequence)
            if not node.sequences and node.parent is not None:
                del node.parent.children[node.tokens[0]]
                self.size -= len(node.tokens)
            elif not node.sequences:
                self._roots.pop(self._owners[sequence], None)
        del self._leaves[sequence], self._seen[sequence], self._owners[sequence]

    def cut(self, sequence: int, length: int) -> None:
        """Forget what a sequence has beyond its first `length` tokens."""
        owner, tokens, seen = self.owner(sequence), self.tokens(sequence)[:length], self.seen(sequence)
        self.remove(sequence)
        self.insert(sequence, owner, tokens)
        self.advance(sequence, min(seen, length))

    def shares(self, sequence: int, limit: int) -> Iterator[Share]:
        """What a sequence can begin with now, piece by piece, as far as `limit`; it counts as seen at once."""
        seen = self._seen[sequence]
        for node in self.path(sequence):
            if node.end <= seen:
                continue
            others = ((min(self._seen[other], node.end), other) for other in node.sequences if other != sequence)
            furthest, source = max(others, default=(seen, sequence))
            end = min(furthest, limit)
            if end <= seen:
                return
            yield Share(source, seen, end)
            self._seen[sequence] = seen = end
            if seen < node.end:
                return

    def has_twin(self, sequence: int) -> bool:
        """Whether another sequence has seen all that this one has."""
        node, seen = self._leaves[sequence], self._seen[sequence]
        return any(self._seen[other] >= seen for other in node.sequences if other != sequence)

    def own(self, sequences: Collection[int]) -> int:
        """Tokens that only these sequences have."""
        nodes = {id(node): node for sequence in sequences for node in self.path(sequence)}
        return sum(len(node.tokens) for node in nodes.values() if node.sequences <= set(sequences))


def _split(node: Node, length: int) -> Node:
    """Cut a node in two; the new one in front, which is returned, has its first `length` tokens."""
    assert node.parent is not None
    front = Node(node.tokens[:length], node.start, node.parent)
    front.sequences = set(node.sequences)
    front.children[node.tokens[length]] = node
    node.parent.children[node.tokens[0]] = front
    node.tokens, node.start, node.parent = node.tokens[length:], node.start + length, front
    return front
