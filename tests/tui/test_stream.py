"""The way from an engine's thread to a pane: nothing lost, nothing stale, nothing after the end."""

from __future__ import annotations

import threading

from workbench.engines.engine import Chunk, Failure, Progress
from workbench.tui.stream import PaneStream


class Job:
    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


def start(stream: PaneStream):
    """Start a run; its job and its sink."""
    job, sinks = Job(), []

    def begin(sink):
        sinks.append(sink)
        return job

    stream.start(begin)
    return job, sinks[0]


def test_events_come_out_in_the_order_they_went_in_from_another_thread():
    stream = PaneStream()
    _, sink = start(stream)
    sent = [Chunk(1, str(number)) for number in range(5000)]
    thread = threading.Thread(target=lambda: [sink(chunk) for chunk in sent])
    thread.start()
    got = []
    while len(got) < len(sent):
        got += stream.drain()
    thread.join()
    assert got == sent


def test_the_last_event_ends_the_run():
    stream = PaneStream()
    _, sink = start(stream)
    assert stream.active
    sink(Progress(1, "running"))
    sink(Chunk(1, "all", stop_reason="eos"))
    assert [type(event) for event in stream.drain()] == [Progress, Chunk]
    assert not stream.active


def test_a_failure_ends_the_run():
    stream = PaneStream()
    _, sink = start(stream)
    sink(Failure(1, "no"))
    stream.drain()
    assert not stream.active


def test_a_run_that_was_replaced_is_cancelled_and_never_heard_again():
    stream = PaneStream()
    old, old_sink = start(stream)
    old_sink(Chunk(1, "old"))
    _, sink = start(stream)
    old_sink(Chunk(1, "older", stop_reason="cancelled"))
    sink(Chunk(2, "new"))
    assert old.cancelled == 1
    assert [event.text for event in stream.drain()] == ["new"]
    assert stream.active


def test_an_abandoned_run_says_nothing_more():
    stream = PaneStream()
    job, sink = start(stream)
    stream.abandon()
    sink(Chunk(1, "late"))
    assert job.cancelled == 1
    assert stream.drain() == []
    assert not stream.active
