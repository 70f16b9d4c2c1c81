"""The numbers behind whole prompts, so that a prompt that is asked again needs no evaluation at all.

Knows nothing of what is done with them.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence

from workbench.engines.likelihood import Logits

MOST_BYTES = 32 * 2**20


class Endings:
    """Logits by the tokens they stand behind, those used last kept. most_bytes: memory they take at most."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._known: OrderedDict[bytes, Logits] = OrderedDict()
        self.bytes = 0

    def find(self, tokens: Sequence[int]) -> Logits | None:
        key = _key(tokens)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(self, tokens: Sequence[int], logits: Logits) -> None:
        """Keep a copy."""
        key = _key(tokens)
        if key in self._known or logits.nbytes > self._most_bytes:
            return
        self._known[key] = logits.copy()
        self.bytes += logits.nbytes
        while self.bytes > self._most_bytes:
            _, dropped = self._known.popitem(last=False)
            self.bytes -= dropped.nbytes


def _key(tokens: Sequence[int]) -> bytes:
    return array("i", tokens).tobytes()
