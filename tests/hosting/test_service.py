"""The loop around an engine, without a process: which commands reach it while a step is under way."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

from workbench.engines.engine import Request, Weighing
from workbench.hosting.service import Service
from workbench.hosting.wire import Cancel, Command, Count, Open, Submit, Weigh
from workbench.models.reference import Model


class Idle:
    """An engine that notes what it is told, and has nothing to do. at_work: called when a cancel is obeyed."""

    info = status = None
    busy = False

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.at_work: Any = None

    def interrupt(self, request: int) -> None:
        self.told.append(("interrupt", request))

    def make_way(self, request: int) -> None:
        self.told.append(("make way", request))

    def cancel(self, request: int) -> None:
        self.at_work()

    def close(self) -> None:
        pass


def test_what_cannot_wait_reaches_the_engine_in_the_middle_of_its_work() -> None:
    engine, inbox = Idle(), SimpleQueue[Command | None]()
    service = Service(lambda command, advance: engine, inbox, lambda reply: None)  # type: ignore[arg-type,return-value]

    def arrive() -> None:
        """Commands come in, as the process's reader has them."""
        for command in (
            Submit(Request(1, (), priority=1)),
            Submit(Request(2, ())),
            Weigh(Weighing(3, (), (), "chat", priority=2)),
            Weigh(Weighing(4, (), (), "chat")),
            Cancel(1),
            Count(1, ()),
        ):
            service.interrupt(command)

    engine.at_work = arrive
    service.interrupt(Submit(Request(9, ())))  # no engine yet: it comes to one that has nothing to leave
    for command in (Open(Model("any", Path(__file__))), Cancel(7), None):
        inbox.put(command)
    service.run()
    assert engine.told == [("make way", 2), ("make way", 4), ("interrupt", 1)]
