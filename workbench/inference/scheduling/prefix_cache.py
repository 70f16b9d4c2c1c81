"""The prefix cache of one backend: what a sequence need not prefill, since another one has seen it.

Three layers, nearest first: slots that are running or were evicted last (the radix tree), offloaded prefixes in host
memory, and the last-position logits of whole prompts, with which not even the last token is evaluated again.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.inference.logprobs import Logits
from workbench.inference.scheduling.backend import Backend
from workbench.inference.scheduling.host_cache import HostCache
from workbench.inference.scheduling.logits_cache import LogitsCache
from workbench.inference.scheduling.prefix_tree import PrefixTree
from workbench.inference.scheduling.sequences import SequenceState
from workbench.inference.scheduling.stats import EngineStats

_WORTH = 4
"""Tokens that must be gained for an offloaded prefix to be restored."""


class PrefixCache:
    """tree: the prompts of a backend's slots. host: shared by all backends of a model."""

    def __init__(self, backend: Backend, host: HostCache, stats: EngineStats) -> None:
        self.tree = PrefixTree(backend.limits.prefix_cache)
        self.host = host
        self._backend = backend
        self._logits = LogitsCache()
        self._stats = stats

    def shares(self, sequence: SequenceState) -> bool:
        """Whether a sequence may begin with what others have seen, and leave to others what it has."""
        return self._backend.limits.prefix_cache and not sequence.deterministic

    def known(self, sequence: SequenceState) -> int:
        """How many of a prompt's tokens are in a slot already."""
        return self.tree.match(_owner(sequence), sequence.prompt)[0]

    def cached(self, sequence: SequenceState) -> int:
        """How many of a prompt's tokens are in a slot, or in host memory."""
        if not self.shares(sequence):
            return 0
        return max(self.known(sequence), self.host.match(sequence.key, sequence.prompt))

    def insert(self, sequence: SequenceState) -> None:
        """A sequence has a slot, in which nothing is yet."""
        self.tree.insert(sequence.slot, _owner(sequence), sequence.prompt)

    def restore(self, sequence: SequenceState, shared: int, free: int) -> None:
        """Load what is offloaded of a prompt into its slot, where that is more than other slots have; then share what
        those have seen, before it is evicted.

        shared: tokens that they have, or will have. free: KV cache that nobody needs.
        """
        if self.shares(sequence):
            self._load(sequence, shared, free)
            self._share(sequence, len(sequence.prompt) - 1)

    def _load(self, sequence: SequenceState, shared: int, free: int) -> None:
        partial, prompt = self._backend.limits.partial_states, sequence.prompt
        length = self.host.match(sequence.key, prompt)
        if length < shared + _WORTH:
            return
        if partial:
            self._share(sequence, length)
        for piece in self.host.find(sequence.key, prompt, sequence.seen):
            if not partial and piece.segment.end > free + len(prompt) - shared:
                return
            state, position = piece.segment.state, sequence.offset + piece.start
            if not self._backend.load(sequence.slot, position, state, piece.skip, piece.count):
                return
            self._skip(sequence, self._readable(sequence, piece.start + piece.count))
            if not partial:
                self._merge(sequence)

    def share_before_eviction(self, sequences: Iterable[SequenceState]) -> None:
        """Let sequences that are in prefill have what others have seen by now: those may lose their slots."""
        for sequence in sequences:
            if not sequence.started and sequence.slot in self.tree and self.shares(sequence):
                self._share(sequence, len(sequence.prompt) - 1)

    def extend(self, sequence: SequenceState) -> Logits | None:
        """Let a sequence begin with what others have seen by now; the logits behind its prompt, where that is all."""
        if not self.shares(sequence):
            return None
        prompt = sequence.prompt
        self._share(sequence, len(prompt) - 1)
        if sequence.seen < len(prompt) - 1:
            return None
        logits = self._logits.find(sequence.key, prompt)
        if logits is not None:
            self._share(sequence, len(prompt))
            return logits if not sequence.pending else None
        if not sequence.pending:  # it was restored whole, and its logits were evicted meanwhile
            self._backend.cut(sequence.slot, sequence.position - 1)
            self.tree.advance(sequence.slot, len(prompt) - 1)
            sequence.step_back()
        return None

    def record(self, sequence: SequenceState, logits: Logits) -> None:
        """The logits behind a whole prompt."""
        if self.shares(sequence):
            self._logits.put(sequence.key, sequence.prompt, logits)

    def offload(self, slot: int, offset: int) -> None:
        """Save what a slot has seen, where that is not in host memory already. offset: positions in front of it."""
        if self.host.off:
            return
        owner, tokens = self.tree.owner(slot), self.tree.tokens(slot)
        start = self.host.match(owner, tokens)
        if start >= len(tokens):
            return
        start = start if self._backend.limits.partial_states else 0
        state = self._backend.save(slot, offset + start, offset + len(tokens))
        if state is not None:
            self.host.put(owner, tokens, start, state)

    def clear(self) -> None:
        self._logits.clear()

    def _readable(self, sequence: SequenceState, length: int) -> int:
        """As far as a restored prompt counts as seen: its last token is evaluated again where its logits are gone."""
        whole = length == len(sequence.prompt)
        if not whole or self._logits.find(sequence.key, sequence.prompt) is not None:
            return length
        self._backend.cut(sequence.slot, sequence.offset + length - 1)
        return length - 1

    def _merge(self, sequence: SequenceState) -> None:
        """What other slots have already need not be here twice."""
        end = sequence.seen
        self.tree.advance(sequence.slot, 0)
        for share in self.tree.shares(sequence.slot, end):
            start, stop = sequence.offset + share.start, sequence.offset + share.end
            self._backend.cut(sequence.slot, start, stop)
            self._backend.copy(share.source, sequence.slot, start, stop)
        self.tree.advance(sequence.slot, end)

    def _share(self, sequence: SequenceState, limit: int) -> None:
        for share in self.tree.shares(sequence.slot, limit):
            start, end = sequence.offset + share.start, sequence.offset + share.end
            self._backend.copy(share.source, sequence.slot, start, end)
            self._skip(sequence, share.end)

    def _skip(self, sequence: SequenceState, seen: int) -> None:
        """A prompt need not be evaluated up to here."""
        count = seen - sequence.seen
        sequence.advance(count)
        sequence.chunks.cached_tokens += count
        self._stats.cached_tokens += count
        self.tree.advance(sequence.slot, seen)


def _owner(sequence: SequenceState) -> object:
    """Whose tokens a sequence's are in the tree: a deterministic one shares with nobody."""
    return (sequence.key, sequence.slot) if sequence.deterministic else sequence.key
