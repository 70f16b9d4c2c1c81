"""Pictures as a model reads them: tokens of its vocabulary around positions that hold embeddings.

Such a position has no token id. It gets a number below 0 that belongs to this picture alone, so that everything that
compares prompts by their ids (the radix tree, offloaded prefixes, known logits) takes two pictures for equal only where
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from workbench.prompting.pictures import Picture


class PictureChunk(msgspec.Struct, frozen=True, eq=False):
    """Positions that are evaluated together, from a picture's embeddings. ids: one below 0 for each.

    positions: by how much they move the text behind them, which is less than their number where a model has positions
    in two dimensions. content: what a backend computes the embeddings from.
    """

    ids: tuple[int, ...]
    positions: int
    content: Any = None


class EncodedPicture(NamedTuple):
    """A picture in a prompt: token ids and chunks, in their order."""

    parts: tuple[Sequence[int] | PictureChunk, ...]

    @property
    def tokens(self) -> int:
        """What it takes of the context."""
        return sum(len(part.ids) if isinstance(part, PictureChunk) else len(part) for part in self.parts)


class PictureSpan(NamedTuple):
    """Where a chunk stands in a prompt's token ids."""

    start: int
    chunk: PictureChunk

    @property
    def end(self) -> int:
        return self.start + len(self.chunk.ids)


class PictureEncoder(Protocol):
    """Encodes pictures for one model."""

    @property
    def placeholder(self) -> str:
        """What the model's chat template writes for a picture among the parts of a message; empty where messages are
        texts in which a picture stands at its place."""
        ...

    def encode(self, picture: Picture) -> EncodedPicture:
        """Raises EngineError for one that cannot be decoded."""
        ...


class PictureNumbers:
    """Hands out ids below 0, the same ones for the same key again."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, int], int] = {}
        self._next = -1

    def number(self, digest: str, index: int, count: int) -> tuple[int, ...]:
        """For the `count` positions of a picture's chunk."""
        start = self._starts.get((digest, index))
        if start is None:
            start = self._starts[digest, index] = self._next
            self._next -= count
        return tuple(range(start, start - count, -1))


class EmbeddingCache:
    """Embeddings of pictures that were asked for lately, by key; the least recently used are dropped."""

    def __init__(self, capacity_bytes: int = 256 * 2**20) -> None:
        self._capacity_bytes = capacity_bytes
        self._known: dict[Any, Any] = {}

    def get(self, key: Any, compute: Callable[[], Any]) -> Any:
        """compute: gives an array or a tensor, which tells its `nbytes`."""
        found = self._known.pop(key, None)
        found = compute() if found is None else found
        self._known[key] = found
        while len(self._known) > 1 and sum(one.nbytes for one in self._known.values()) > self._capacity_bytes:
            del self._known[next(iter(self._known))]
        return found
