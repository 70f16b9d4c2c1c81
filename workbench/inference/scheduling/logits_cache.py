"""The last-position logits of whole prompts, so that a prompt which is asked again needs no evaluation at all."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable, Sequence

from workbench.inference.logprobs import Logits

CAPACITY_BYTES = 32 * 2**20


class LogitsCache:
    """Logits by the tokens that they follow, the least recently used evicted. Each is right for its owner alone."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._known: OrderedDict[tuple[Hashable, bytes], Logits] = OrderedDict()
        self.bytes = 0

    def find(self, owner: Hashable, tokens: Sequence[int]) -> Logits | None:
        key = owner, _pack(tokens)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, owner: Hashable, tokens: Sequence[int], logits: Logits) -> None:
        """Keep a copy."""
        if logits.nbytes > self._capacity_bytes or self.find(owner, tokens) is not None:
            return  # too large a one would evict all others and not stay either
        self._known[owner, _pack(tokens)] = logits.copy()
        self.bytes += logits.nbytes
        while self.bytes > self._capacity_bytes:
            _, evicted = self._known.popitem(last=False)
            self.bytes -= evicted.nbytes

    def clear(self) -> None:
        self._known.clear()
        self.bytes = 0


def _pack(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()
