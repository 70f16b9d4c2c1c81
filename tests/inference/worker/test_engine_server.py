"""The loop around an engine, without a process: which commands reach it while a step is under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest

from workbench.inference.types import GenerateRequest, LoglikelihoodRequest
from workbench.inference.worker.protocol import (
    CancelRequest,
    Command,
    FitPrompt,
    LoadModel,
    SubmitGenerate,
    SubmitLoglikelihood,
    Tokenize,
)
from workbench.inference.worker.server import EngineServer
from workbench.models.reference import Model

OPEN = LoadModel(Model("any", Path(__file__)))


class Idle:
    """An engine that notes what it is told, and has nothing to do. at_work: called when request 7 is cancelled."""

    info = status = None
    busy = False

    def __init__(self) -> None:
        self.interrupted: list[int] = []
        self.ways: set[int] = set()
        self.at_work: Callable[[], None] = lambda: None

    def abort(self, request: int) -> None:
        self.interrupted.append(request)

    def preempt(self, sign: int) -> None:
        self.ways.add(sign)

    def resume(self, sign: int) -> None:
        self.ways.discard(sign)

    def cancel(self, request: int) -> None:
        if request == 7:
            self.at_work()

    def submit(self, request: GenerateRequest) -> None:
        raise ValueError("a defect")

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("command", "awaited"),
    [
        (SubmitGenerate(GenerateRequest(1, ())), True),
        (SubmitGenerate(GenerateRequest(1, (), priority=1)), False),
        (SubmitLoglikelihood(LoglikelihoodRequest(1, (), (), "chat")), True),
        (SubmitLoglikelihood(LoglikelihoodRequest(1, (), (), "chat", priority=2)), False),
        (FitPrompt(1, GenerateRequest(0, ())), True),
        (FitPrompt(1, GenerateRequest(0, (), priority=1)), False),
        (Tokenize(1, GenerateRequest(1, ())), True),
        (CancelRequest(1), False),
    ],
)
def test_the_engine_makes_way_until_what_someone_waits_for_is_obeyed(command: Command, awaited: bool) -> None:
    engine, inbox = Idle(), SimpleQueue[Command | None]()
    service = EngineServer(lambda *_: engine, inbox, lambda _: None)  # type: ignore[arg-type,return-value]
    found: list[int] = []

    def arrive() -> None:
        """The command comes in while the engine is at work, as the process's reader has it."""
        service.abort(command)
        found.append(len(engine.ways))
        for one in (command, None):
            inbox.put(one)

    engine.at_work = arrive
    service.abort(command)  # no engine yet: there is nothing to leave
    inbox.put(OPEN)
    inbox.put(CancelRequest(7))
    service.run()
    assert found == [int(awaited)]
    assert not engine.ways
    assert engine.interrupted == ([1] if isinstance(command, CancelRequest) else [])
