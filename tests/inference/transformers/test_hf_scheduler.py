"""The scheduler under any order of submits, cancels and steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from answers import ask, complete, open_engine, rescheduled, run
from hf_fixture import LINEAR, write_adapter
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig  # noqa: TID253 - what is laid over

from workbench.inference.scheduling.turns import STEPS
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.types import Chunk, Event, GenerateRequest, Progress, Sampling, fold

NEVER = {"<|end|>": -1000.0}
"""keeps an answer from ending by itself"""

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 20)),
        st.tuples(st.just("step"), st.integers(1, 5)),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def engine(tiny_hf: Path) -> Iterator[TransformersEngine]:
    """With three places, so that requests wait."""
    made = open_engine(tiny_hf)
    with rescheduled(made, running=3):
        yield made
    made.close()


@pytest.fixture(scope="module")
def requests(tiny_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> list[GenerateRequest]:
    """Short and long ones, with the base, a LoRA, and a DoRA that cannot share a pass with it."""
    folder = tmp_path_factory.mktemp("adapters")
    laid = [
        [],
        [(write_adapter(tiny_hf, folder / "lora", LoraConfig(r=2, target_modules=LINEAR)), 1.0)],
        [(write_adapter(tiny_hf, folder / "dora", LoraConfig(r=2, target_modules=LINEAR, use_dora=True)), 1.0)],
    ]
    texts = ["Where is my parcel?", "the house and the kettle " * 6]
    return [
        ask(0, text, adapters, max_tokens=3 + 5 * number)
        for number, (text, adapters) in enumerate(itertools.product(texts, laid))
    ]


@pytest.fixture(scope="module")
def alone(engine: TransformersEngine, requests: list[GenerateRequest]) -> list[str]:
    return [complete(engine, request)[0].text for request in requests]


@settings(max_examples=30)
@given(operations=OPERATIONS)
def test_every_request_ends_once_and_answers_as_it_does_alone(
    engine: TransformersEngine, requests: list[GenerateRequest], alone: list[str], operations: list[tuple[str, int]]
) -> None:
    events: list[Event] = []
    kinds: list[int] = []
    with rescheduled(engine, chunk=20):
        for action, value in operations:
            if action == "submit":
                given_request = requests[value]
                engine.submit(
                    GenerateRequest(
                        len(kinds), given_request.messages, given_request.sampling, "chat", given_request.adapters
                    )
                )
                kinds.append(value)
            elif action == "cancel":
                engine.cancel(value)
            else:
                for _ in range(value):
                    events += engine.step()
        for _ in range(400):
            events += engine.step()
        assert not engine.busy
    for number, kind in enumerate(kinds):
        mine = [event for event in events if event.request == number]
        pieces = [event for event in mine if isinstance(event, Chunk)]
        states = [event.state for event in mine if isinstance(event, Progress)]
        assert len(mine) - len(pieces) == len(states)
        assert states == ["running", "queued"] * (len(states) // 2) + ["running"] * (len(states) % 2)
        assert [piece.stop_reason is not None for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        answer = fold(pieces)
        assert alone[kind].startswith(answer.text.rstrip("�"))
        assert answer.stop_reason == "cancelled" or answer.text == alone[kind]


def test_a_row_that_ends_in_a_batch_leaves_the_later_ones_as_they_were(engine: TransformersEngine) -> None:
    long = "the house and the kettle " * 6
    expected = complete(engine, ask(1, long, max_tokens=24))[0].text
    answers = complete(engine, ask(1, max_tokens=24), ask(2, max_tokens=4), ask(3, long, max_tokens=24))
    assert answers[2].text == expected


def test_rows_that_cannot_share_a_pass_take_turns_and_say_that_they_wait(
    engine: TransformersEngine, requests: list[GenerateRequest]
) -> None:
    """Base and LoRA go together; the DoRA beside them is queued until it is its turn."""
    laid = [requests[number].adapters for number in range(3)]
    for number, adapters in enumerate(laid):
        engine.submit(
            GenerateRequest(
                number, requests[0].messages, Sampling(max_tokens=STEPS * 2, logit_bias=NEVER), "chat", adapters
            )
        )
    steps = []
    while engine.busy:
        steps.append(list(engine.step()))
    told = [[(event.request, event.state) for event in events if isinstance(event, Progress)] for events in steps]
    assert told[0] == [(0, "running"), (1, "running")]
    assert told[STEPS + 1] == [(0, "queued"), (1, "queued"), (2, "running")]
    for events, states in itertools.pairwise(steps):
        wrote = {event.request for event in events if isinstance(event, Chunk) and event.text}
        assert wrote <= {0, 1} or wrote <= {2}, states
    assert any((0, "running") in states for states in told[STEPS:])


def test_a_group_alone_is_never_queued(engine: TransformersEngine, requests: list[GenerateRequest]) -> None:
    engine.submit(
        GenerateRequest(
            1, requests[2].messages, Sampling(max_tokens=40, logit_bias=NEVER), "chat", requests[2].adapters
        )
    )
    states = [event.state for event in run(engine) if isinstance(event, Progress)]
    assert states == ["running"]
