"""A request that is called off leaves native code in the middle of a step, and nothing of it stays; cells make way for
what someone looks on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from workbench.inference.llamacpp.context import Context
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.scheduling.backend import TokenRun
from workbench.inference.types import Chunk, GenerateRequest, LoglikelihoodRequest, Outcome, Sampling, fold
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

LONG = "where is the thing in the house " * 150
ENDLESS = {"id:1": -1000.0}


@pytest.fixture
def engine(tiny_gguf: Callable[..., Path]) -> Iterator[LlamaEngine]:
    path = tiny_gguf("roomy", context_tokens=8192)
    opened = LlamaEngine.open(Model("roomy", path), 1, 8192, lambda _: True)
    yield opened
    opened.close()


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What native code says of each batch."""
    said: list[int] = []
    own = Context.evaluate

    def evaluate(context: Context, runs: Sequence[TokenRun]) -> int:
        said.append(own(context, runs))
        return said[-1]

    monkeypatch.setattr(Context, "evaluate", evaluate)
    return said


def ask(number: int, text: str = LONG, tokens: int = 12, **more: object) -> GenerateRequest:
    sampling = Sampling(max_tokens=tokens, logit_bias=ENDLESS)
    return GenerateRequest(number, (Message("user", text),), sampling, **more)


def drain(engine: LlamaEngine) -> list[Outcome]:
    events: list[Outcome] = []
    while engine.busy:
        events += engine.step()
    return events


def end(events: Sequence[Outcome], number: int) -> tuple[str, str | None]:
    """The text of a request, and how it ended."""
    found = fold([event for event in events if isinstance(event, Chunk) and event.request == number])
    return found.text, found.stop_reason


def call_in_a_batch(engine: LlamaEngine, call: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Step until a batch is under way, and call while native code is at work on that.

    The call comes from another thread, as from the process's reader; here when the batch is filled, so that no clock
    decides.
    """
    own = Context.use_threads
    called: list[bool] = []

    def use_threads(context: Context, threads: int) -> None:
        if not called:
            called.append(True)
            reader = threading.Thread(target=call)
            reader.start()
            reader.join()
        own(context, threads)

    events: list[Outcome] = []
    with monkeypatch.context() as patch:
        patch.setattr(Context, "use_threads", use_threads)
        while not called:
            events += engine.step()
    return events


def call_off_in_a_batch(engine: LlamaEngine, number: int, monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Step until the request's prompt is in a batch, and call it off."""
    events = call_in_a_batch(engine, lambda: engine.abort(number), monkeypatch)
    engine.cancel(number)
    return events


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_step_ends_before_its_batch_is_evaluated(engine, codes, monkeypatch, deterministic: bool) -> None:
    engine.submit(ask(1, deterministic=deterministic))
    events = call_off_in_a_batch(engine, 1, monkeypatch)
    assert codes[-1] == 2
    before = len(codes)
    events += drain(engine)
    assert end(events, 1) == ("", "cancelled")
    assert len(codes) == before


def test_what_was_read_in_a_step_that_was_left_is_read_again(engine, codes, monkeypatch) -> None:
    engine.submit(ask(1))
    expected = end(drain(engine), 1)
    other = LlamaEngine.open(Model("again", engine._adapters._model.path), 1, 8192, lambda _: True)
    other.submit(ask(1))
    events = call_off_in_a_batch(other, 1, monkeypatch)
    assert codes[-1] == 2
    other.submit(ask(2))
    events += drain(other)
    assert end(events, 1)[1] == "cancelled"
    assert end(events, 2) == expected
    other.close()


def test_the_rows_beside_it_go_on_as_they_would_have(engine, codes, monkeypatch) -> None:
    engine.submit(ask(8, "x", 40))
    engine.submit(ask(9, LONG + "y"))
    events = drain(engine)
    expected = [end(events, number) for number in (8, 9)]
    engine.submit(ask(1, "x", 40))
    events = list(engine.step())
    engine.submit(ask(2, "something else " + LONG))
    engine.submit(ask(3, LONG + "y"))
    events += call_off_in_a_batch(engine, 2, monkeypatch)
    assert 2 in codes
    events += drain(engine)
    assert [end(events, number) for number in (1, 3)] == expected
    assert end(events, 2) == ("", "cancelled")


def test_a_weighing_is_left_in_the_middle_as_well(engine, codes, monkeypatch) -> None:
    engine.loglikelihood(LoglikelihoodRequest(1, (Message("user", LONG),), ("in the house", "a" * 400)))
    events = call_off_in_a_batch(engine, 1, monkeypatch)
    assert codes[-1] == 2
    assert [event.stop_reason for event in [*events, *drain(engine)] if isinstance(event, Chunk)] == ["cancelled"]
    assert not engine.busy


def test_a_call_for_one_that_is_not_at_work_stops_nobody(engine, codes, monkeypatch) -> None:
    engine.submit(ask(1, "x"))
    expected = end(drain(engine), 1)
    engine.submit(ask(2, "x"))
    engine.abort(77)
    events = list(engine.step())
    engine.cancel(77)
    assert end([*events, *drain(engine)], 2) == expected
    assert set(codes) == {0}


def test_cells_make_way_in_the_middle_of_a_step_and_lose_nothing(engine, codes, monkeypatch) -> None:
    engine.submit(ask(8, LONG + "y", priority=1))
    expected = end(drain(engine), 8)
    other = LlamaEngine.open(Model("again", engine._adapters._model.path), 1, 8192, lambda _: True)
    other.submit(ask(1, LONG + "y", priority=1))
    events = call_in_a_batch(other, lambda: other.preempt(2), monkeypatch)
    assert codes[-1] == 2
    before = len(codes)
    events += other.step()
    assert len(codes) == before, "nothing is computed until the one that goes first is there"
    other.resume(2)
    other.submit(ask(2, "x"))
    events += drain(other)
    ends = [event.request for event in events if isinstance(event, Chunk) and event.stop_reason]
    assert ends == [2, 1]
    assert end(events, 1) == expected
    other.close()


def test_what_someone_looks_on_makes_no_way(engine, codes, monkeypatch) -> None:
    engine.submit(ask(1))
    call_in_a_batch(engine, lambda: engine.preempt(2), monkeypatch)
    assert set(codes) == {0}
    engine.submit(ask(2, "x"))
    drain(engine)
    assert set(codes) == {0}


def test_what_ended_is_told_before_anything_else_is_computed(engine, codes) -> None:
    engine.submit(ask(1, "x", 40))
    engine.submit(ask(2, "y", 40))
    while not codes:
        engine.step()
    before = len(codes)
    engine.cancel(2)
    assert end(engine.step(), 2)[1] == "cancelled"
    assert len(codes) == before
    assert end(drain(engine), 1)[1] == "length"


def test_what_ended_is_told_before_it_is_put_aside(engine, monkeypatch) -> None:
    saved: list[int] = []
    own = Context.save
    monkeypatch.setattr(Context, "save", lambda context, sequence: saved.append(sequence) or own(context, sequence))
    for number in (1, 2, 3):
        engine.submit(ask(number, f"{number} " + LONG))
    while engine.busy:
        before, events = len(saved), engine.step()
        ended = any(isinstance(event, Chunk) and event.stop_reason for event in events)
        assert not ended or len(saved) == before
    assert saved
