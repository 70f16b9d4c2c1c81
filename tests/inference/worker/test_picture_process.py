"""An engine's process that encodes a picture: a cancel leaves it in the middle, and so does whoever kills it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mmproj_fixture import write_mmproj
from picture_fixture import make_picture

from tests.inference.listener import Listener, submit
from workbench.inference.pool import Pool
from workbench.inference.types import Completion, Failure, Sampling, is_last
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

TEXT = (Message("user", "Hello"),)
SHORT = Sampling(max_tokens=4, temperature=0)
AT_WORK = 0.3
"""Processor seconds that nothing else in the process takes: everything but this encoder is tiny."""


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


@pytest.fixture(scope="module")
def slow(tiny_gguf: Callable[..., Path]) -> Model:
    """A model whose encoder reads 4,096 patches in 150 layers: a minute for one core and more."""
    path = tiny_gguf("slow", context_tokens=6000)
    write_mmproj(path.with_name("mmproj-slow.gguf"), image_size=448, layers=150)
    return Model("slow", path)


def look(pool: Pool, model: Model) -> tuple[Listener, Callable[[], object]]:
    """Ask about a picture, and wait until it is being encoded; with how to cancel it."""
    pid = pool.loaded_models()[0].pid
    assert pid
    process, listener = psutil.Process(pid), Listener()
    before = process.cpu_times().user
    shown = Message("user", "an  er", pictures=(make_picture(1, 3),))
    handle = submit(pool, model, (shown,), SHORT, "chat", listener)
    while process.cpu_times().user - before < AT_WORK:
        assert listener.silent or not is_last(listener.next()), listener.events
        threading.Event().wait(0.01)
    return listener, handle.cancel


def ask(pool: Pool, model: Model) -> Listener:
    listener = Listener()
    submit(pool, model, TEXT, SHORT, "chat", listener)
    return listener


def test_the_encoding_of_a_picture_is_left_by_a_cancel_and_by_a_killed_process(pool: Pool, slow: Model) -> None:
    assert isinstance(ask(pool, slow).wait(), Completion)
    listener, cancel = look(pool, slow)
    beside = ask(pool, slow)  # waits for the picture
    cancel()
    done = listener.wait()
    assert isinstance(done, Completion)
    assert (done.stop_reason, done.text) == ("cancelled", "")
    assert isinstance(beside.wait(), Completion)

    listener, _ = look(pool, slow)
    beside = ask(pool, slow)
    pid = pool.loaded_models()[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    for one in (listener, beside):
        failure = one.wait()
        assert isinstance(failure, Failure)
        assert "slow was killed (SIGKILL) while it worked" in failure.message
        assert one.silent
        assert sum(map(is_last, one.events)) == 1
    assert isinstance(ask(pool, slow).wait(), Completion)
    assert pool.loaded_models()[0].pid not in (pid, None)
