"""Which requests run side by side on a server that keeps the last prompt of each slot: those that begin alike one after
another, so that their beginning is evaluated once.

The slots are counted, not named in the requests: llama-server finds the one with the longest common beginning itself,
and loses what it has put aside of a slot that a request names. A group takes a second slot once its waiting requests
are worth more time than evaluating their beginning again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

ANY = -1


@dataclass(slots=True)
class _GroupTimes:
    """Seconds of a group's requests: of one on a slot that was another's, and of one on a slot that was its own."""

    cold: float | None = None
    warm: float | None = None

    def is_worth_a_slot(self, waiting: int) -> bool:
        return self.cold is not None and self.warm is not None and waiting * self.warm > self.cold


@dataclass(slots=True)
class SlotAssignment:
    """See the module. slots: how many there are. Requests of no group go to any slot that no other one wants."""

    slots: int
    _last: dict[int, Hashable] = field(default_factory=dict)
    _busy: dict[int, Hashable] = field(default_factory=dict)
    _used: list[int] = field(default_factory=list)
    _times: dict[Hashable, _GroupTimes] = field(default_factory=dict)
    _cold: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._used = list(range(self.slots))

    @property
    def groups(self) -> int:
        return len(set(self._last.values()) - {None})

    def knows(self, group: Hashable) -> bool:
        """Whether a slot has a group's beginning."""
        return group in self._last.values()

    def choose(self, group: Hashable | None, waiting: Sequence[Hashable | None], urgent: bool) -> int | None:
        """The slot for a request of a group, or None while it does better to wait. waiting: the groups of all requests
        that wait, its own too. urgent: it waits for nothing but a free slot."""
        free = [slot for slot in self._used if slot not in self._busy]
        own = next((slot for slot in free if group is not None and self._last.get(slot) == group), None)
        if own is not None or not free:
            return own
        wanted = set(waiting) - {None, group}
        unwanted = [slot for slot in free if self._last.get(slot) not in wanted]
        if urgent:
            return (unwanted or free)[0]
        running = group is not None and group in self._busy.values()
        if running and not self._times.setdefault(group, _GroupTimes()).is_worth_a_slot(waiting.count(group)):
            return None
        return unwanted[0] if unwanted else None

    def start(self, slot: int, group: Hashable | None) -> None:
        """A request begins on a slot."""
        self._busy[slot] = group
        if group is None or self._last.get(slot) != group:
            self._cold.add(slot)
        self._last[slot] = group
        self._used.remove(slot)
        self._used.append(slot)

    def end(self, slot: int, seconds: float | None) -> None:
        """A request on a slot is over. seconds: it took; None where it failed, so that nobody knows what is there."""
        group, cold = self._busy.pop(slot), slot in self._cold
        self._cold.discard(slot)
        if seconds is None:
            self._last.pop(slot, None)
        elif group is not None:
            times = self._times.setdefault(group, _GroupTimes())
            if cold:
                times.cold = seconds
            else:
                times.warm = seconds if times.warm is None else (times.warm + seconds) / 2
