"""How soon an engine obeys, in a process of its own as the screen has it: from a cancel in the middle of reading a
prompt of 512 tokens to the last chunk, which says `cancelled`; and from a request that someone looks on, in the middle
of a matrix, to its first token."""

from __future__ import annotations

import random
import statistics
import string
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.contest import Row, models, ratio
from tests.benchmarks.shapes import write_shape
from tests.inference.listener import Handle
from tests.inference.listener import submit as submit_request
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Event, Progress, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

TIMES, TOKENS, LIVE, CELLS = 20, 512, 24, 8
_PATIENCE = 60.0


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(write_shape(shape, kind), name)]


def _measure(path: Path, name: str) -> list[Row]:
    pool = Pool(max_context_tokens=4096)
    model = Model("shape", path, context_tokens=4096)
    try:
        pool.load(model).result(_PATIENCE)
        desk = _Desk(pool, model)
        return [_cancel(desk, name), _come(desk, name)]
    finally:
        pool.close()


def _cancel(desk: _Desk, name: str) -> Row:
    whole = desk.ask(TOKENS, 1).wait()
    times = []
    for _ in range(TIMES):
        asked = desk.ask(TOKENS, 64)
        time.sleep(whole * desk.chance.uniform(0.1, 0.8))
        called = time.perf_counter()
        asked.handle.cancel()
        asked.wait()
        assert asked.stop == "cancelled", asked.stop
        times.append(1000 * (asked.ended - called))
    figure = f"{statistics.median(times):.1f} ms  (worst of {TIMES}: {max(times):.1f} ms; all of it {whole:.2f} s)"
    return f"{name}: cancel in a prompt of {TOKENS}, to the last chunk", figure, "at most 10 ms"


def _come(desk: _Desk, name: str) -> Row:
    """With the cells and without them, in turns."""
    beside, alone = [], []
    for _ in range(TIMES):
        alone.append(desk.ask(LIVE, 1).wait())
        cells = [desk.ask(TOKENS, 64, priority=1) for _ in range(CELLS)]
        time.sleep(desk.chance.uniform(0.1, 0.5))
        beside.append(desk.ask(LIVE, 1).wait())
        for cell in cells:
            cell.handle.cancel()
            cell.wait()
    what = f"{name}: to the first token of {LIVE} beside {CELLS} cells / alone"
    return ratio(what, statistics.median(beside), statistics.median(alone), "less is better", "ms")


class _Desk:
    """Asks one model what no one has asked before."""

    def __init__(self, pool: Pool, model: Model) -> None:
        self.chance = random.Random(1)
        self._pool, self._model = pool, model

    def ask(self, letters: int, new: int, priority: int = 0) -> _Asked:
        """letters: of the prompt, a token each. Begun when this returns, if someone looks on."""
        text = "".join(self.chance.choices(string.ascii_letters, k=letters))
        sampling = Sampling(max_tokens=new, temperature=0)

        def submit(take: Callable[[Event], None]) -> Handle:
            return submit_request(
                self._pool, self._model, [Message("user", text)], sampling, "completion", take, priority=priority
            )

        asked = _Asked(submit)
        if not priority:
            assert asked.begun.wait(_PATIENCE)
        return asked


class _Asked:
    """A request under way."""

    def __init__(self, submit: Callable[[Callable[[Event], None]], Handle]) -> None:
        self.begun, self._done = threading.Event(), threading.Event()
        self.stop: str | None = None
        self._asked, self.ended = time.perf_counter(), 0.0
        self.handle = submit(self._take)

    def wait(self) -> float:
        """Seconds to its end."""
        assert self._done.wait(_PATIENCE)
        return self.ended - self._asked

    def _take(self, event: Event) -> None:
        if isinstance(event, Progress):
            if event.state == "running":
                self.begun.set()
        elif not isinstance(event, Chunk) or event.stop_reason is not None:
            self.ended = time.perf_counter()
            self.stop = event.stop_reason if isinstance(event, Chunk) else "failed"
            self._done.set()
