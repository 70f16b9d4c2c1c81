"""The scheduler under any order of submits, cancels and steps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.types import Chunk, Event, GenerateRequest, Progress, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 300), st.integers(1, 200)),
        st.tuples(st.just("cancel"), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 5), st.just(0)),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def engine(tiny_gguf: Callable[..., Path]) -> Iterator[LlamaEngine]:
    """With a cache that holds four whole contexts, so that requests wait for cells as well as for sequences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.models.memory_estimate.kv_cache_tokens", lambda *_: 2048)
        made = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    yield made
    made.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_every_request_ends_once_and_gives_its_room_back(
    engine: LlamaEngine, operations: list[tuple[str, int, int]]
) -> None:
    ids, events = itertools.count(1), list[Event]()
    submitted: list[int] = []
    for name, first, second in operations:
        if name == "submit":
            submitted.append(next(ids))
            message = Message("user", "a" * first)
            engine.submit(GenerateRequest(submitted[-1], (message,), Sampling(max_tokens=second, temperature=1.0)))
        elif name == "cancel":
            engine.cancel(first)
        else:
            for _ in range(first):
                events += engine.step()
    while engine.busy:
        events += engine.step()
    ends = Counter(event.request for event in events if isinstance(event, Chunk) and event.stop_reason)
    assert ends == Counter(submitted)
    check_room(engine)


def check_room(engine: LlamaEngine) -> None:
    """All sixteen sequences are free again: sixteen small requests start in one step."""
    for number in range(16):
        engine.submit(GenerateRequest(number, (Message("user", "x"),), Sampling(max_tokens=2)))
    started = [event for event in engine.step() if isinstance(event, Progress)]
    assert len(started) == 16
    while engine.busy:
        engine.step()
