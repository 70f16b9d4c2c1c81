"""The one channel to a worker process: every way in which a child can answer, end, or not do so."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import psutil
import pytest

from tests.inference.worker.echo_worker import ECHO_REPLIES, EchoReply, EchoRequest
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerExit, WorkerProcess, WorkerSpec
from workbench.inference.worker.spawn import minimal_environment

PATIENCE = 60.0
ECHO = WorkerSpec("tests.inference.worker.echo_worker")
Start = Callable[..., BlockingWorker[EchoReply]]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[BlockingWorker[EchoReply]] = []

    def make(spec: WorkerSpec = ECHO) -> BlockingWorker[EchoReply]:
        made.append(BlockingWorker(spec, ECHO_REPLIES, "echo"))
        return made[-1]

    yield make
    for worker in made:
        worker.end()


def ask(worker: BlockingWorker[EchoReply], what: str, text: str = "") -> EchoReply:
    return worker.ask(EchoRequest(what, text), PATIENCE)


def ending(worker: BlockingWorker[EchoReply], what: str, text: str = "") -> WorkerExit:
    with pytest.raises(WorkerEnded) as caught:
        ask(worker, what, text)
    return caught.value.exit


def is_gone(pid: int) -> bool:
    """Whether a process has ended and was waited for, or is about to be by the one that adopted it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.wait_procs([psutil.Process(pid)], timeout=PATIENCE)
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_replies_come_in_order_and_what_a_library_prints_disturbs_none(start: Start) -> None:
    worker = start()
    assert [ask(worker, "echo", str(number)).text for number in range(5)] == list("01234")
    assert ask(worker, "noise").text == "quiet"
    assert ask(worker, "echo", "ü").text == "ü"


def test_a_crash_is_told_with_the_last_words_and_the_child_is_reaped(start: Start) -> None:
    worker = start()
    pid = ask(worker, "echo").number
    ended = ending(worker, "crash")
    assert (ended.reason, ended.external, ended.code) == ("was killed (SIGABRT)", False, -signal.SIGABRT)
    assert "last words" in ended.last_words
    assert not psutil.pid_exists(pid)
    assert ending(worker, "echo") == ended  # whoever asks again is told so too


def test_an_end_from_outside_is_told_apart_from_one_of_its_own(start: Start) -> None:
    worker = start()
    os.kill(ask(worker, "echo").number, signal.SIGKILL)
    assert ending(worker, "echo")[0::2] == ("was killed (SIGKILL)", True)
    assert ending(start(), "exit", "3")[:1] == ("ended by itself (exit code 3)",)


def test_one_that_hangs_or_is_stopped_is_killed_and_reaped(start: Start) -> None:
    for what in ("hang", "stop"):
        worker = start()
        pid = ask(worker, "echo").number
        worker.send(EchoRequest(what))
        with pytest.raises(TimeoutError):
            worker.receive(0.2)
        assert worker.end().reason == "was stopped"
        assert not psutil.pid_exists(pid)


def test_one_that_closes_its_output_and_goes_on_is_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.inference.worker.process._END_SECONDS", 0.2)
    worker = start()
    pid = ask(worker, "echo").number
    assert ending(worker, "close").reason == "was killed (SIGKILL)"
    assert not psutil.pid_exists(pid)


def test_what_a_child_started_ends_with_it(start: Start) -> None:
    for what in ("exit", "crash"):
        worker = start()
        grandchild = ask(worker, "grandchild").number
        ending(worker, what, "0")
        assert is_gone(grandchild)


def test_what_is_not_a_frame_ends_the_child_and_is_told(start: Start) -> None:
    ended = ending(start(), "garbage")
    assert "not a frame" in ended.last_words
    assert not ended.external


def test_a_message_that_cannot_be_sent_harms_nobody(start: Start) -> None:
    worker = start()
    with pytest.raises(UnicodeEncodeError):
        worker.send(EchoRequest("echo", "\ud800"))
    assert ask(worker, "echo", "still there").text == "still there"


def test_each_stands_in_a_folder_of_its_own_that_goes_with_it(start: Start) -> None:
    spec = WorkerSpec(ECHO.module, ("one", "two"), lambda folder: minimal_environment(GIVEN=str(folder)))
    first, second = start(spec), start(spec)
    found = [ask(worker, "where").text.splitlines() for worker in (first, second)]
    assert [given for _, given, _ in found] == [folder for folder, _, _ in found]
    assert found[0][2] == "['one', 'two']"
    assert found[0][0] != found[1][0]
    assert Path(found[0][0]) != Path.cwd()
    first.end()
    assert not Path(found[0][0]).exists()
    assert Path(found[1][0]).exists()


def test_one_that_is_stopped_before_it_runs_ends(start: Start) -> None:
    worker = WorkerProcess(ECHO, ECHO_REPLIES, "echo")
    found: SimpleQueue[object] = SimpleQueue()
    worker.stop()
    worker.start(found.put, found.put)
    exit = found.get(timeout=PATIENCE)
    assert isinstance(exit, WorkerExit)
    assert exit.reason == "was stopped"


def test_one_that_cannot_be_started_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    worker = BlockingWorker(ECHO, ECHO_REPLIES, "echo")
    with pytest.raises(WorkerEnded) as caught:
        worker.receive(PATIENCE)
    assert caught.value.exit.reason == "could not be started (No such file or directory)"
    assert caught.value.exit.external


@pytest.mark.parametrize("what", ["echo", "hang"])
def test_a_child_ends_with_its_parent_also_in_the_middle_of_something(what: str) -> None:
    code = (
        "from tests.inference.worker.echo_worker import *\n"
        "from workbench.inference.worker.process import BlockingWorker, WorkerSpec\n"
        "worker = BlockingWorker(WorkerSpec('tests.inference.worker.echo_worker'), ECHO_REPLIES, 'echo')\n"
        "print(worker.ask(EchoRequest('echo'), 60).number, flush=True)\n"
        f"worker.send(EchoRequest({what!r}))\n"
        "input()\n"
    )
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    assert is_gone(pid)
