"""The way from a client's task to a pane: nothing lost, nothing stale, nothing after the end."""

from __future__ import annotations

import asyncio

from workbench.errors import EngineError
from workbench.inference.types import Chunk, Failure, Progress
from workbench.tui.stream import PaneStream


class Answer:
    """A client's answer whose events the test gives; None ends it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue = asyncio.Queue()
        self.closed = False

    async def events(self):
        try:
            while event := await self.queue.get():
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = True

    async def give(self, *events) -> None:
        for event in events:
            self.queue.put_nowait(event)
        await settle()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def start(stream: PaneStream) -> Answer:
    answer = Answer()
    stream.start(answer.events())
    return answer


async def test_events_come_out_in_the_order_they_went_in():
    stream = PaneStream()
    answer = start(stream)
    sent = [Chunk(1, str(number)) for number in range(5000)]
    got = []
    for at in range(0, 5000, 100):
        await answer.give(*sent[at : at + 100])
        got += stream.drain()
    while len(got) < len(sent):
        await settle()
        got += stream.drain()
    assert got == sent


async def test_the_last_event_ends_the_run():
    stream = PaneStream()
    answer = start(stream)
    assert stream.active
    await answer.give(Progress(1, "running"), Chunk(1, "all", stop_reason="eos"), None)
    assert stream.active  # not yet drained
    assert [type(event) for event in stream.drain()] == [Progress, Chunk]
    assert not stream.active


async def test_a_failure_ends_the_run_behind_what_came():
    stream = PaneStream()
    await start(stream).give(Chunk(1, "a"), EngineError("no", "try again", "words"))
    assert stream.drain() == [Chunk(1, "a"), Failure(0, "no", "try again", "words")]
    assert not stream.active


async def test_a_defect_is_shown_in_the_pane():
    stream = PaneStream()
    await start(stream).give(KeyError("a"))
    (failure,) = stream.drain()
    assert "KeyError" in failure.message


async def test_a_run_that_was_replaced_is_cancelled_and_never_heard_again():
    stream = PaneStream()
    old = start(stream)
    await old.give(Chunk(1, "old"))
    new = start(stream)
    await settle()
    await old.give(Chunk(1, "older", stop_reason="cancelled"))
    await new.give(Chunk(2, "new"))
    assert old.closed
    assert [event.text for event in stream.drain()] == ["new"]
    assert stream.active


async def test_a_cancelled_run_keeps_what_came_and_its_counts():
    stream = PaneStream()
    answer = start(stream)
    await answer.give(Chunk(1, "some", output_tokens=3))
    stream.cancel()
    await settle()
    assert answer.closed
    assert stream.drain() == [
        Chunk(1, "some", output_tokens=3),
        Chunk(1, output_tokens=3, stop_reason="cancelled"),
    ]
    assert not stream.active


async def test_a_run_cancelled_before_its_first_step_ends_too():
    stream = PaneStream()
    start(stream)
    stream.cancel()
    await settle()
    assert stream.drain() == [Chunk(0, stop_reason="cancelled")]
    assert not stream.active


async def test_an_abandoned_run_says_nothing_more():
    stream = PaneStream()
    answer = start(stream)
    await answer.give(Chunk(1, "early"))
    stream.abandon()
    await answer.give(Chunk(1, "late"))
    assert answer.closed
    assert stream.drain() == []
    assert not stream.active
