"""Chooses how many threads a step gets, by what steps took with more threads and with fewer.

A hill climb over measured times. What other programs use only says which number is worth a trial, and when: beside one
that takes a third of a core, giving up a whole core costs more than sharing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

_FIRST_WAIT, _LONGEST_WAIT = 0.4, 6.4
"""Seconds between two trials: twice as long after each that changed nothing, so that trials come to cost under 2%."""

_TRIAL_STEPS, _TRIAL_SECONDS, _LONGEST_TRIAL = 3, 0.04, 0.3
"""A trial is over after so many steps with so many seconds' worth of work, or after the longest in any case."""

_GIVE_UP_SECONDS = 5.0
"""A trial ends without a result when nothing that can be compared was recorded for so long, as in an evaluation."""

_NOISE = 0.05
"""More threads are kept only when they are faster by more than this, so that the number does not flap."""

_SHIFT = 0.5
"""Cores by which the usual room must change until what was measured before no longer counts."""

_MISSING, _SPARE = 0.15, 0.6
"""Cores that must be missing for a trial with fewer threads, and be free for one with more."""

_BLIND_WAIT = 25.0
"""Seconds until a trial with more threads although no core seems free: what uses it may have a lower priority."""

_STALL, _SHORTEST_STALL, _KNOWN = 5.0, 0.02, 5
"""A step that takes so many times the mean of so many steps, and so many seconds, has waited for a thread without a
core. That is worth a trial even on machines that do not tell who else computes."""

_MEMORY = 1.5
"""Seconds of steps that a mean remembers: more than a burst of a program that comes and goes."""


@dataclass(slots=True)
class _Mean:
    """Mean seconds of the steps of one kind."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += (seconds - self.seconds) * max(1 / self.count, min(1.0, seconds / _MEMORY))


@dataclass(slots=True)
class _Trial:
    """Steps with another number of threads. expected: seconds that the same steps take with the usual number."""

    threads: int
    began: float
    steps: int = 0
    elapsed: float = 0.0
    seconds: float = 0.0
    expected: float = 0.0


class ThreadTuner:
    """The number of threads of one process. clock: in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._threads = 0
        self._limit = 0
        self._usual = self._known = 0.0
        self._means: dict[Hashable, _Mean] = {}
        self._trial: _Trial | None = None
        self._stalled = False
        self._wait = _FIRST_WAIT
        self._due = self._blind_due = math.inf

    def choose(self, limit: int, room: float, usual: float) -> int:
        """Threads for the next step, from 1 to limit.

        limit: what our other processes leave to this one. room, usual: cores, as a fraction, that other programs leave
        of it now, and in the last seconds.
        """
        self._usual = usual
        if limit != self._limit or abs(usual - self._known) >= _SHIFT:
            self._restart(limit, room)
        now = self._clock()
        if self._trial and now - self._trial.began > _GIVE_UP_SECONDS:
            self._conclude(self._trial)
        if self._trial is None and self._means and now >= self._due:
            threads = self._find_candidate(max(room, usual))
            if threads == self._threads < self._limit and now >= self._blind_due:
                threads += 1
                self._blind_due = now + _BLIND_WAIT
            self._due = now + self._wait
            self._trial = _Trial(threads, now) if threads != self._threads else None
        return self._trial.threads if self._trial else self._threads

    def record(self, kind: Hashable, threads: int, seconds: float) -> None:
        """A step took so long. Steps of one kind do the same work, so that their times can be compared."""
        trial = self._trial
        if trial and threads == trial.threads:
            trial.steps += 1
            trial.elapsed += seconds
            if kind in self._means:
                trial.seconds += seconds
                trial.expected += self._means[kind].seconds
            enough = trial.steps >= _TRIAL_STEPS and trial.expected >= _TRIAL_SECONDS
            if enough or trial.elapsed >= _LONGEST_TRIAL:
                self._conclude(trial)
        elif threads == self._threads:
            mean = self._means.setdefault(kind, _Mean())
            if mean.count >= _KNOWN and seconds > max(_SHORTEST_STALL, _STALL * mean.seconds):
                self._stalled = True
                self._due = min(self._due, self._clock() + self._wait / 4)
            mean.add(seconds)

    def _restart(self, limit: int, room: float) -> None:
        """Forget what was measured in another situation. A process that may use more begins where the load suggests."""
        if limit > self._limit:
            self._threads = max(1, min(limit, math.floor(room + 0.5)))
        self._threads = min(self._threads, limit)
        self._limit, self._known = limit, self._usual
        self._means.clear()
        self._trial, self._stalled = None, False
        self._wait = _FIRST_WAIT
        self._due = self._clock() + _FIRST_WAIT / 4
        self._blind_due = min(self._blind_due, self._clock() + _BLIND_WAIT)

    def _find_candidate(self, room: float) -> int:
        """The number worth a trial: what fits into the room, where cores are missing or free; else the current one."""
        fits = max(1, min(self._limit, math.floor(room + 0.5)))
        if self._threads > room + _MISSING:
            return max(1, min(fits, self._threads - 1))
        if self._stalled:
            return max(1, self._threads // 2)
        if room >= self._threads + _SPARE:
            return min(self._limit, max(fits, self._threads + 1))
        return self._threads

    def _conclude(self, trial: _Trial) -> None:
        ratio = trial.seconds / trial.expected if trial.expected else math.inf
        crowded = self._threads - self._usual >= 0.5  # then fewer may be a little slower: others need the core more
        if ratio <= (1 - _NOISE if trial.threads > self._threads else 1 + _NOISE * crowded):
            self._threads = trial.threads
            self._means.clear()
            self._wait = _FIRST_WAIT
        else:
            self._wait = min(_LONGEST_WAIT, 2 * self._wait)
        self._trial, self._stalled = None, False
        self._due = self._clock() + self._wait
