"""Measures, at load and for a few hundred milliseconds, how a device takes steps of different sizes.

How many prompt tokens and how many rows a step should have differs by a factor of fifty between a processor behind RPC
and a large card, and so does what it costs to move a KV cache to RAM. Each choice is the smallest that comes close to
the best: shorter steps answer a cancel sooner. Nothing here decides what is computed, only how much of it at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

from workbench.models.step_plan import CACHED_TOKENS, PROMPT_TOKENS, ROWS, StepPlan

PIECES = (64, 128, 256, 512, 1024, 2048)
"""Prompt tokens of a step that are tried."""

ROW_COUNTS = (8, 16, 32, 64, 128)
"""Sequences of a decode step that are tried."""

BUDGET_SECONDS = 0.6
"""What the measurement may take by expectation, after a first token, for which a device prepares its kernels."""

SLOW_SECONDS = 0.1
"""A device that takes longer for one token is not measured: a handful of steps would take seconds."""

_NOISY_SECONDS = 0.02
"""Below this a step is measured twice, and the faster time counts."""

_CLOSE = 0.9
"""Part of the best throughput that is as good."""

_SLOWER = 0.05
"""Part of a decode step that prefixes which stay on the device may cost."""

_GAIN = 0.97
"""Below this part of a step's time the device picks tokens."""

_PIECES_UNTIL, _ROWS_UNTIL = 0.5, 0.8
"""Parts of the budget after which these end."""

_MOST_CACHED = 2**17
"""Where they cost nothing that could be measured."""

_SAVED = PIECES[0]
"""Tokens of a prefix that is saved and loaded once; a longer one may take seconds over a network."""


class StepTarget(Protocol):
    """A context to measure, with slots from 0 on. Each call returns once the device is done."""

    def prefill(self, tokens: int) -> None:
        """Evaluate so many tokens in slot 0, which is emptied before."""
        ...

    @property
    def picks(self) -> bool:
        """Whether the device picks tokens."""
        ...

    def take_logits(self) -> None:
        """From now on tokens are picked from logits that are copied."""
        ...

    def decode(self, rows: int) -> None:
        """A further token for each of so many slots after slot 0, and pick the likeliest next ones."""
        ...

    def free_rows(self) -> None:
        """Empty all slots after slot 0."""
        ...

    def free_prompt(self) -> None:
        """Empty slot 0."""
        ...

    def save_and_load(self) -> None:
        """Copy slot 0 to host memory, and from there into another slot, which is emptied again."""
        ...


class StepProbe:
    """One measurement. most_tokens, most_rows: that the target can take."""

    def __init__(
        self,
        target: StepTarget,
        most_tokens: int,
        most_rows: int,
        clock: Callable[[], float],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """check: called between two steps; what it raises ends the measurement."""
        self._target = target
        self._pieces = [count for count in PIECES if count <= most_tokens]
        self._rows = [count for count in ROW_COUNTS if count <= most_rows]
        self._clock = clock
        self._check = check
        self._began = 0.0
        self._left_out: list[str] = []

    def measure(self) -> StepPlan:
        """The plan; what there was no time for is as usual, and noted."""
        self._target.decode(1)
        seconds = self._time(lambda: self._target.decode(1))
        self._target.free_rows()
        if seconds > SLOW_SECONDS:
            return StepPlan(note=f"one token takes {seconds:.2f} s")
        self._began = self._clock()
        pieces = self._measure_pieces(seconds)
        clutter = max(pieces, default=0)
        beside = self._time_rows(self._rows[0], _ROWS_UNTIL, seconds) if clutter else None
        saves = self._measure_saving(pieces)
        self._target.free_prompt()
        rows = self._measure_rows(seconds)
        chosen = _choose(rows, ROWS, cut=len(rows) < len(self._rows))
        sampled = self._measure_sampling(rows)
        return StepPlan(
            prompt_tokens=_choose(pieces, PROMPT_TOKENS, cut=len(pieces) < len(self._pieces)),
            rows=chosen,
            cached_tokens=_keep(clutter, beside, rows.get(self._rows[0])),
            saves_prefixes=saves,
            device_sampling=sampled,
            source="measured",
            note=f"no time for {', '.join(dict.fromkeys(self._left_out))}" if self._left_out else "",
        )

    def _measure_pieces(self, token: float) -> dict[int, float]:
        """Seconds by prompt tokens."""
        found: dict[int, float] = {}
        expected = token
        for count in self._pieces:
            if not self._allows(expected, _PIECES_UNTIL, f"pieces of {count} and more"):
                break
            found[count] = self._best(functools.partial(self._target.prefill, count))
            expected = _expect(found)
        return found

    def _measure_rows(self, token: float) -> dict[int, float]:
        """Seconds of a decode step by rows."""
        found: dict[int, float] = {}
        expected = token
        for count in self._rows:
            seconds = self._time_rows(count, _ROWS_UNTIL, expected)
            if seconds is None:
                break
            found[count] = seconds
            expected = _expect(found)
        return found

    def _time_rows(self, count: int, until: float, expected: float) -> float | None:
        if not self._allows(2 * expected, until, f"{count} rows and more"):
            return None
        seconds = self._time_step(count)
        self._target.free_rows()
        return seconds

    def _measure_saving(self, pieces: Mapping[int, float]) -> bool:
        """Whether a prefix is copied to RAM and back faster than it is prefilled."""
        prefill = pieces.get(_SAVED)
        if prefill is None or not self._allows(2 * prefill, 1.0, "saved prefixes"):
            return True
        self._target.prefill(_SAVED)
        return self._time(self._target.save_and_load) < prefill

    def _measure_sampling(self, rows: Mapping[int, float]) -> bool:
        """Whether the device picks tokens faster than their logits are copied and looked at."""
        if not self._target.picks or not rows:
            return False
        count = max(rows)
        if not self._allows(2 * rows[count], 1.0, "tokens picked on the device"):
            return False
        self._target.take_logits()
        copied = self._time_step(count)
        self._target.free_rows()
        return rows[count] < _GAIN * copied

    def _allows(self, expected: float, until: float, what: str) -> bool:
        if self._clock() - self._began + expected <= until * BUDGET_SECONDS:
            return True
        self._left_out.append(what)
        return False

    def _time_step(self, rows: int) -> float:
        self._check()
        self._target.decode(rows)  # the first one of a size lays out its graph
        return self._best(functools.partial(self._target.decode, rows))

    def _best(self, call: Callable[[], None]) -> float:
        seconds = self._time(call)
        return min(seconds, self._time(call)) if seconds < _NOISY_SECONDS else seconds

    def _time(self, call: Callable[[], None]) -> float:
        self._check()
        started = self._clock()
        call()
        return self._clock() - started


def _expect(seconds: Mapping[int, float]) -> float:
    """What twice as much will take, if it grows as it did last: not at all while a step is bound by the weights."""
    *before, last = seconds.values()
    growth = last / max(before[-1], 1e-9) if before else 1.0
    return last * min(2.0, max(1.0, growth))


def _choose(seconds: Mapping[int, float], usual: int, cut: bool) -> int:
    """The smallest count whose throughput is close to the best. cut: larger ones were not tried, so that the largest
    that was tried is no choice below the usual one."""
    if not seconds:
        return usual
    speeds = {count: count / max(time, 1e-9) for count, time in seconds.items()}
    best = max(speeds.values())
    found = min(count for count, speed in speeds.items() if speed >= _CLOSE * best)
    return max(found, usual) if cut and found == max(speeds) else found


def _keep(clutter: int, beside: float | None, cleared: float | None) -> int:
    """Tokens of ended prompts that may stay in the KV cache, over which each decode step has to go."""
    if not clutter or beside is None or cleared is None:
        return CACHED_TOKENS
    per_token = max(0.0, beside - cleared) / clutter
    allowed = _SLOWER * cleared / per_token if per_token else _MOST_CACHED
    return int(max(CACHED_TOKENS, min(_MOST_CACHED, allowed)))
