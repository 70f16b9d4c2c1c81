"""An engine that something kills while it loads is started again, and who waits gets an answer all the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inference.listener import PATIENCE, Listener, submit
from workbench.errors import EngineError, ModelError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Failure, GenerateRequest, Sampling
from workbench.inference.worker.engine_run import MAX_LOADS
from workbench.inference.worker.process import WorkerExit
from workbench.inference.worker.protocol import (
    CancelRequest,
    Command,
    CommandFailed,
    EngineEvents,
    FitPrompt,
    LoadModel,
    ModelLoaded,
    PromptFitted,
    SubmitGenerate,
)
from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.context_fit import Budget
from workbench.prompting.prompt import Message

INFO = ModelInfo("llama", "Q8_0", 1, 2, 3, 4, True)
BUDGET = Budget(3, 0, 0, 1, 9)
KILLED = WorkerExit("was killed (SIGKILL)", "", external=True)
ASK = GenerateRequest(7, (Message("user", "Hello"),), Sampling(), "chat")


class FakeLink:
    """A link whose other side the test plays."""

    pid = 1

    def __init__(self) -> None:
        self.sent: list[Command] = []
        self.on_reply: Callable[[Any], None] = lambda _: None
        self.on_end: Callable[[WorkerExit], None] = lambda _: None

    def start(self, on_reply: Any, on_end: Any) -> None:
        self.on_reply, self.on_end = on_reply, on_end

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def stop(self) -> None:
        self.on_end(WorkerExit("was stopped", ""))

    def join(self, seconds: float) -> None: ...


@pytest.fixture
def links() -> list[FakeLink]:
    return []


@pytest.fixture
def host(links: list[FakeLink]) -> EngineSupervisor:
    def connect() -> FakeLink:
        links.append(FakeLink())
        return links[-1]

    return EngineSupervisor(LoadModel(Model("tiny", Path("/tiny.gguf"))), connect)


def test_what_was_asked_is_asked_again_of_the_next_one(host, links):
    events: list[Any] = []
    host.submit(ASK, events.append)
    counting, loading = host.fit(ASK), host.load()
    links[0].on_end(KILLED)
    assert [type(command) for command in links[1].sent] == [LoadModel, SubmitGenerate, FitPrompt]
    assert links[1].sent[1:] == links[0].sent[1:]
    links[1].on_reply(ModelLoaded(INFO))
    links[1].on_reply(PromptFitted(links[1].sent[2].call_id, BUDGET))
    links[1].on_reply(EngineEvents((Chunk(7, "hi", stop_reason="eos"),)))
    assert counting.result(0) == BUDGET
    assert loading.result(0) == INFO
    assert events == [Chunk(7, "hi", stop_reason="eos")]


def test_what_was_cancelled_before_is_not_asked_again(host, links):
    host.submit(ASK, lambda _: None)
    host.cancel(7)
    links[0].on_reply(EngineEvents((Chunk(7, stop_reason="cancelled"),)))
    links[0].on_end(KILLED)
    assert [type(command) for command in links[1].sent] == [LoadModel]
    assert CancelRequest(7) in links[0].sent


def test_it_is_not_started_for_ever(host, links):
    events: list[Any] = []
    host.submit(ASK, events.append)
    loading = host.load()
    for number in range(MAX_LOADS):
        links[number].on_end(KILLED)
    assert len(links) == MAX_LOADS
    assert isinstance(events[0], Failure)
    assert len(events) == 1
    assert f"{MAX_LOADS} times in a row" in events[0].message
    with pytest.raises(EngineError, match="was killed"):
        loading.result(0)
    assert host.state == "failed"


@pytest.mark.parametrize(
    "ending",
    [
        WorkerExit("was killed (SIGABRT)", "GGML_ASSERT"),
        WorkerExit("ended by itself (exit code 1)", ""),
        WorkerExit("was stopped", ""),
    ],
)
def test_one_that_a_file_brings_down_is_not_tried_again(host, links, ending):
    loading = host.load()
    links[0].on_end(ending)
    assert len(links) == 1
    with pytest.raises(EngineError):
        loading.result(0)


def test_one_that_refused_the_model_or_was_loaded_is_not_tried_again(host, links):
    loading = host.load()
    links[0].on_reply(CommandFailed(None, "No such model."))
    links[0].on_end(KILLED)
    assert loading.exception(0).message == "No such model."
    second = host.load()
    links[1].on_reply(ModelLoaded(INFO))
    links[1].on_end(KILLED)
    assert second.result(0) == INFO
    assert len(links) == 2


def test_a_stopped_host_starts_nothing(host, links):
    host.load()
    host.stop()
    links[0].on_end(KILLED)
    assert len(links) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_real_engine_killed_while_it_loads_answers(tiny_gguf, number):
    pool = Pool()
    model = Model("tiny", tiny_gguf("tiny"))
    killed: list[int] = []
    seen = threading.Event()
    listener = Listener()
    try:
        submit(pool, model, (Message("user", "Hello"),), Sampling(max_tokens=3), "chat", listener)
        while not killed:
            pid = pool.loaded_models()[0].pid
            if pid:
                os.kill(pid, number)
                killed.append(pid)
            seen.wait(0.001)
        assert not isinstance(listener.wait(), Failure)
        assert pool.loaded_models()[0].pid not in (None, *killed)
    finally:
        pool.close()


def test_a_model_whose_file_name_is_not_utf8_is_refused_in_words_and_nobody_waits(tiny_gguf, tmp_path):
    path = tmp_path / os.fsdecode(b"mod\xe8le-\xff.gguf")
    try:
        path.symlink_to(tiny_gguf("tiny"))
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    pool = Pool()
    try:
        with pytest.raises(ModelError, match=r"mod\\udce8le-\\udcff\.gguf is not UTF-8") as caught:
            pool.load(Model(path.stem, path)).result(PATIENCE)
        assert caught.value.hint == "Rename it."
    finally:
        pool.close()


def test_one_that_is_missing_under_such_a_name_is_refused_in_words(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.gguf")
    pool = Pool()
    try:
        with pytest.raises(Exception, match=r"\\udcff"):
            pool.load(Model(path.stem, path)).result(PATIENCE)
    finally:
        pool.close()


def test_a_name_with_half_a_character_reaches_the_engine(tiny_gguf):
    pool = Pool()
    try:
        assert pool.load(Model("a\ud800b", tiny_gguf("tiny"))).result(PATIENCE)
        with pytest.raises(Exception, match="cannot be sent"):
            pool.load(Model("a", tiny_gguf("tiny"), chat_template="\ud800")).result(PATIENCE)
    finally:
        pool.close()
