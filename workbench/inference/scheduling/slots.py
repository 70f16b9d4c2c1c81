"""Which sequence gets a slot next, and which prefix is evicted for it.

A sequence that has ended stays in its slot as a cached prefix as long as nothing else needs the room, since the next
request may begin as it did.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.inference.scheduling.backend import Backend
from workbench.inference.scheduling.prefix_cache import PrefixCache
from workbench.inference.scheduling.sequences import SequenceState

LEAST_CACHED = 8
"""Tokens of its own below which a prefix is not worth its slot."""

PATIENCE = 64
"""Requests that may go before one that came earlier because they share more with what is cached."""

_LOOKED_AT = 256
"""Waiting requests among which the best is chosen."""


class _Cached(NamedTuple):
    """A prefix of an ended sequence. interactive: somebody may come back to it. offset: positions in front of it."""

    interactive: bool
    offset: int


class SlotAllocator:
    """The slots and the KV cache of one backend."""

    def __init__(self, backend: Backend, prefixes: PrefixCache) -> None:
        self.limits = backend.limits
        self._backend = backend
        self._prefixes = prefixes
        self._free = list(range(self.limits.slots))[::-1]
        self._running: list[SequenceState] = []
        self._cached: OrderedDict[int, _Cached] = OrderedDict()
        self._passed = 0
        self.needs_eviction = False
        """whether more may be cached than is to be"""

    @property
    def cached(self) -> tuple[int, ...]:
        """The slots of ended sequences, the least recently used first."""
        return tuple(self._cached)

    @property
    def free_tokens(self) -> int:
        """KV cache that no slot has, and no running sequence may come to need."""
        reserved = sum(sequence.reserved for sequence in self._running)
        return self.limits.kv_tokens - self._prefixes.tree.size - reserved

    def choose(self, waiting: Sequence[SequenceState]) -> SequenceState | None:
        """The sequence whose turn it is: an interactive one, one that was swapped out, or the one that shares most.

        None where all slots are taken, before the prompts of those that wait are looked at.
        """
        if not waiting:
            return None
        first = min(waiting, key=lambda one: (one.priority, one.swapped is None, one.order))
        if self._full(first) and not (first.interactive and self.limits.swaps):
            return None
        if first.interactive or first.swapped or not self.limits.prefix_cache or self._passed >= PATIENCE:
            return first
        best = (waiting[index] for index in range(min(len(waiting), _LOOKED_AT)))
        return max(best, key=lambda one: (self._prefixes.cached(one), -one.order))

    def allocate(self, sequence: SequenceState, oldest: int) -> bool:
        """Give a sequence a slot; False while there is none. oldest: the order of who waits longest."""
        limits, prompt = self.limits, sequence.prompt
        if self._full(sequence):
            return False
        sequence.reserved = min(len(prompt) + sequence.wanted, limits.context_tokens, limits.kv_tokens) - len(prompt)
        self._touch(sequence)
        if not self._make_room(lambda: bool(self._free) and self._missing(sequence) <= self.free_tokens):
            return False
        sequence.slot = self._free.pop()
        self._running.append(sequence)
        self._passed = 0 if sequence.order == oldest else self._passed + 1
        return True

    def release(self, sequence: SequenceState, keep: bool, spoiled: bool = False) -> None:
        """Take a sequence's slot back. keep: what it has seen may be of use to others."""
        self._running.remove(sequence)
        slot, tree = sequence.slot, self._prefixes.tree
        sequence.slot = -1
        if slot not in tree:  # it failed before it began
            self._reuse(slot, spoiled)
            return
        seen = tree.seen(slot)
        if not keep or not seen:
            self._remove(slot, spoiled)
            return
        tree.cut(slot, seen)
        useless = seen < LEAST_CACHED and tree.own([slot]) == seen  # whoever waits for it would share some
        if useless or tree.has_twin(slot):
            self._remove(slot)
            return
        self._cached[slot] = _Cached(sequence.interactive, sequence.offset)
        self.needs_eviction = True

    def evict(self) -> None:
        """Evict prefixes beyond what is to be cached: not when a sequence ends, since somebody waits for its last
        chunk."""
        most, tree = self.limits.cached_tokens, self._prefixes.tree
        if self.needs_eviction:
            self._make_room(lambda: (most > 0 and len(self._cached) < 2) or tree.own(self._cached) <= most)
        self.needs_eviction = False

    def borrow(self) -> int | None:
        """A slot for a continuation; None while there is none."""
        return self._free.pop() if self._make_room(lambda: bool(self._free)) else None

    def give_back(self, slot: int) -> None:
        """A continuation has ended."""
        self._reuse(slot)

    def _full(self, sequence: SequenceState) -> bool:
        """Whether as many run as may run beside this one."""
        return len(self._running) >= self.limits.running + (self.limits.extra if sequence.interactive else 0)

    def _missing(self, sequence: SequenceState) -> int:
        """KV cache that a sequence needs and does not share; a batch request leaves some to interactive ones."""
        limits = self.limits
        left = min(limits.context_tokens, limits.kv_tokens // 4) if not sequence.interactive and self._running else 0
        return len(sequence.prompt) - self._prefixes.known(sequence) + sequence.reserved + left

    def _touch(self, sequence: SequenceState) -> None:
        """What a request begins with is evicted last."""
        _, holders = self._prefixes.tree.match(sequence.key, sequence.prompt)
        for slot in [slot for slot in self._cached if slot in holders]:
            self._cached.move_to_end(slot)

    def _make_room(self, enough: Callable[[], bool]) -> bool:
        """Evict prefixes until there is enough; False where even that is not."""
        while not enough():
            if not self._cached:
                return False
            self._prefixes.share_before_eviction(self._running)
            slot, cached = self._cached.popitem(last=False)
            offloads = self.limits.offloads
            if offloads == "all" or (cached.interactive and offloads == "interactive"):
                self._prefixes.offload(slot, cached.offset)
            self._remove(slot)
        return True

    def _remove(self, slot: int, spoiled: bool = False) -> None:
        self._prefixes.tree.remove(slot)
        self._reuse(slot, spoiled)

    def _reuse(self, slot: int, spoiled: bool = False) -> None:
        self._backend.free(slot, spoiled)
        self._free.append(slot)
