"""Four panes, an adapter each, that write at the same time: the engine against switching adapters in one context before
every token. Milliseconds for a token, whichever pane's, once all panes have begun."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.benchmarks import bare
from tests.benchmarks.contest import THREADS, Row, Tokens, draw, models, ratio, take_turns
from tests.benchmarks.own import Own
from tests.benchmarks.shapes import ModelShape, write_adapter, write_shape

PANES, PROMPT, NEW = 4, 64, 32


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    adapters = [write_adapter(shape, number) for number in range(PANES)]
    ours, theirs = Own(path, 1024), _Switching(path, adapters)

    def prompts(turn: int) -> list[Tokens]:
        return [draw(shape, 1000 * turn + pane, PROMPT) for pane in range(PANES)]

    def write(turn: int) -> float:
        pace = ours.write(prompts(turn), NEW, adapters, priority=0).pace / PANES
        ours.settle()
        return pace

    write(99)
    times = take_turns({"ours": write, "theirs": lambda turn: theirs.write(prompts(turn))})
    ours.close()
    theirs.close()
    what = f"{name}: {PANES} panes, {PANES} adapters, a token / switching in one context"
    return [ratio(what, times["ours"], times["theirs"], "at most 0.45", "ms")]


class _Switching:
    """One context, which every pane has its own sequence in."""

    def __init__(self, path: Path, adapters: list[Path]) -> None:
        self._weights = bare.Weights(path)
        self._adapters: list[Any] = [self._weights.load(adapter) for adapter in adapters]
        self._context = bare.BareContext(self._weights, 1024, PANES, THREADS)

    def write(self, prompts: list[Tokens]) -> float:
        """Seconds for a token."""
        last = []
        for pane, prompt in enumerate(prompts):
            self._context.lay(self._adapters[pane])
            last.append(self._context.read(prompt, pane))
        started = time.perf_counter()
        for step in range(NEW - 1):
            for pane in range(PANES):
                self._context.lay(self._adapters[pane])
                (last[pane],) = self._context.step(last[pane : pane + 1], PROMPT + step, [pane])
        return (time.perf_counter() - started) / (PANES * (NEW - 1))

    def close(self) -> None:
        self._context.close()
        self._weights.close()
