"""Sharing: what rows take over from others that began alike, and leave to them.

Only rows under the same adapters share; one that is to be computed by itself shares nothing. Knows nothing of steps.
"""

from __future__ import annotations

import contextlib

from workbench.engines.endings import Endings
from workbench.engines.prompts import shared_length
from workbench.engines.tally import Tally
from workbench.engines.transformers.ending import Ending
from workbench.engines.transformers.memory import Memory
from workbench.engines.transformers.prefixes import Prefixes
from workbench.engines.transformers.row import MemoryRow


class Sharing:
    """What the rows of one memory share through prefixes."""

    def __init__(self, memory: Memory, prefixes: Prefixes, tally: Tally) -> None:
        self.prefixes = prefixes
        self._endings = Endings[Ending]()
        self._memory = memory
        self._tally = tally

    def known(self, row: MemoryRow) -> int:
        """How much of a row's prompt is known."""
        return self.prefixes.match(row.overlay.key, row.answer.prompt) if self._shares(row) else 0

    def alike(self, row: MemoryRow, other: MemoryRow) -> bool:
        """Whether two rows have tokens in common that the first has not seen."""
        if row.overlay.key != other.overlay.key or self.prefixes.off:
            return False
        return shared_length(row.answer.prompt, other.answer.prompt) > row.seen

    def take_over(self, row: MemoryRow) -> Ending | None:
        """Let a row have seen what is known of its prompt; what stands behind it, where that is all of it."""
        if len(row.pending) < 2 or not self._shares(row):
            return None
        key, prompt = row.overlay.key, row.answer.prompt
        ending = self._endings.find(key, prompt) if self.prefixes.match(key, prompt) == len(prompt) else None
        known = prompt if ending else prompt[:-1]  # else the last token is read, for the numbers behind it
        for piece in self.prefixes.find(key, known, row.seen):
            count = int(piece.layers[0][0].shape[1])
            try:
                self._memory.load(row.number, row.position, piece.layers)
            except Exception:  # noqa: BLE001  no room to bring it back: it is evaluated, or fails there with a message
                return None
            row.advance(count)
            row.answer.cached_tokens += count
            self._tally.cached += count
        return None if row.pending else ending

    def keep(self, row: MemoryRow, ending: Ending) -> None:
        """Let others begin with what a row has seen of its prompt. ending: the numbers behind that."""
        if not self._shares(row):
            return
        prefixes, key, tokens = self.prefixes, row.overlay.key, row.answer.prompt[: row.seen]
        known, before = prefixes.match(key, tokens), row.overlay.tokens
        if known < len(tokens):
            with contextlib.suppress(MemoryError, RuntimeError):  # no room for a copy: it will be evaluated again
                prefixes.put(key, tokens, self._memory.save(row.number, before + known, before + len(tokens)))
        if not row.pending:
            self._endings.keep(key, tokens, ending)

    def clear(self) -> None:
        self.prefixes.clear()
        self._endings.clear()

    def _shares(self, row: MemoryRow) -> bool:
        return self._memory.longest is not None and not row.alone and not self.prefixes.off
