"""What stands behind whole prompts, so that a prompt that is asked again needs no evaluation at all.

Knows nothing of what that is, nor of what is done with it.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, Protocol, Self, TypeVar

MOST_BYTES = 32 * 2**20


class _Ending(Protocol):
    @property
    def nbytes(self) -> int: ...

    def copy(self) -> Self: ...


SomeEnding = TypeVar("SomeEnding", bound=_Ending)


class Endings(Generic[SomeEnding]):
    """Endings by the tokens they stand behind, those used last kept. Each is right for its owner alone.

    most_bytes: memory they take at most.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._known: OrderedDict[tuple[Hashable, bytes], SomeEnding] = OrderedDict()
        self.bytes = 0

    def find(self, owner: Hashable, tokens: Sequence[int]) -> SomeEnding | None:
        key = owner, _pack(tokens)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(self, owner: Hashable, tokens: Sequence[int], ending: SomeEnding) -> None:
        """Keep a copy."""
        if self.find(owner, tokens) is not None:
            return
        kept = ending.copy()
        if kept.nbytes > self._most_bytes:
            return  # it would drive out all others and not stay either
        self._known[owner, _pack(tokens)] = kept
        self.bytes += kept.nbytes
        while self.bytes > self._most_bytes:
            _, dropped = self._known.popitem(last=False)
            self.bytes -= dropped.nbytes

    def clear(self) -> None:
        self._known.clear()
        self.bytes = 0


def _pack(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()
