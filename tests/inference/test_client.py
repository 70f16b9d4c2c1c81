"""A model asked by its async client: over scripted engines in a thread and in a process, and over a fake transport."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import EngineError
from workbench.inference.client import EngineClient
from workbench.inference.pool import Pool
from workbench.inference.types import (
    Admitted,
    Chunk,
    Event,
    GenerateRequest,
    LoglikelihoodRequest,
    Progress,
    Sampling,
    fold,
    is_last,
)
from workbench.inference.worker.protocol import CancelRequest, EngineEvents, LoadModel, ModelLoaded, SubmitGenerate
from workbench.inference.worker.supervisor import EngineSupervisor
from workbench.models.reference import Model, ModelInfo
from workbench.prompting.prompt import Example, Message, Prompt
from workbench.prompting.prompt_parts import render_prompt

RULES = [
    {"contains": "go on", "reply": "and on ", "endless": True, "tokens_per_second": 500},
    {"contains": "crash", "reply": "one two three", "crash_after": 2},
    {"contains": "fail", "reply": "one two three", "fail_after": 1},
    {"reply": "Good day to you, stranger."},
]
INFO = ModelInfo("llama", "Q8_0", 1, 2, 3, 4, True)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Model]:
    def write(**fields: object) -> Model:
        path = tmp_path / "script.json"
        path.write_text(json.dumps({"rules": RULES, **fields}), "utf-8")
        return Model("script", path, "scripted")

    return write


@pytest.fixture(params=["thread", "process"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    made = Pool(isolate=request.param == "process")
    yield made
    made.close()


def ask(text: str, **fields: Any) -> GenerateRequest:
    return GenerateRequest(0, (Message("user", text),), Sampling(max_tokens=fields.pop("max_tokens", 12)), **fields)


async def collect(client: EngineClient, request: GenerateRequest) -> list[Event]:
    return [event async for event in client.generate(request)]


async def test_an_answer_is_admitted_once_then_streams_and_ends_once(pool: Pool, model: Callable[..., Model]) -> None:
    client = pool.client(model())
    events = await collect(client, ask("Hello"))
    (admitted,) = [event for event in events if isinstance(event, Admitted)]
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert isinstance(events[0], Progress)
    assert events.index(admitted) < events.index(chunks[0])
    assert admitted.budget.used == chunks[-1].prompt_tokens + 12
    assert [is_last(event) for event in events] == [False] * (len(events) - 1) + [True]
    assert fold(chunks) == await client.complete(ask("Hello"))
    assert fold(chunks).text == "Good day to you, stranger."


async def test_a_failure_is_raised_and_the_others_go_on(pool: Pool, model: Callable[..., Model]) -> None:
    client = pool.client(model())
    found = await asyncio.gather(
        client.complete(ask("Hello")), client.complete(ask("fail")), client.complete(ask("Hi")), return_exceptions=True
    )
    assert isinstance(found[1], EngineError)
    assert found[1].hint == "Run again."
    assert found[0] == found[2]


async def test_a_crash_ends_what_was_asked_with_its_last_words_and_the_next_starts_anew(model) -> None:
    pool = Pool(isolate=True)
    try:
        client = pool.client(model())
        with pytest.raises(EngineError, match="SIGABRT") as caught:
            await client.complete(ask("crash"))
        assert "Fatal Python error" in caught.value.details
        assert (await client.complete(ask("Hello"))).text == "Good day to you, stranger."
    finally:
        pool.close()


async def test_log_likelihoods_tokens_and_info(pool: Pool, model: Callable[..., Model]) -> None:
    client = pool.client(model())
    info = await client.load()
    assert client.info == info
    messages = (Message("user", "Hello"),)
    likely, other = await client.loglikelihood(LoglikelihoodRequest(0, messages, ("Good day to you, stranger.", "no")))
    assert likely.per_token > other.per_token
    found = await client.tokenize(ask("Hello there"))
    assert "".join(found.pieces) == found.text == "user: Hello there\n"
    assert [found.text[start:] for start in found.starts] == ["Hello there\n"]
    assert [found.text[offset:][: len(piece)] for offset, piece in zip(found.offsets, found.pieces, strict=True)] == [
        *found.pieces
    ]
    with pytest.raises(EngineError, match="empty"):
        await client.loglikelihood(LoglikelihoodRequest(0, (Message("user", ""),), ("x",), "completion"))


EXAMPLES = tuple(Example(f"e{number}", {"m": "a b c d"}, "x") for number in range(4))
PROMPT = Prompt("p", "system:\nSort.\nuser:\n{{ m }}", placement="turns", examples=EXAMPLES)


async def test_a_prompt_is_fitted_where_its_tokenizer_is(pool: Pool, model: Callable[..., Model]) -> None:
    client = pool.client(model(context_tokens=45))
    whole = render_prompt(PROMPT, {"m": "hello"}, EXAMPLES, "drop")
    request = GenerateRequest(0, (), Sampling(max_tokens=10), prompt=whole)
    events = await collect(client, request)
    (budget,) = [event.budget for event in events if isinstance(event, Admitted)]
    last = events[-1]
    assert isinstance(last, Chunk)
    assert budget.dropped
    assert budget.input == 1
    assert not budget.over
    assert budget.system + budget.examples + budget.input == last.prompt_tokens
    assert last.notes == (
        f"{len(budget.dropped)} of 4 examples are left out to fit the context: {', '.join(budget.dropped)}.",
    )
    sent = await client.tokenize(GenerateRequest(0, whole.without(budget.dropped)))
    assert len(sent.ids) == last.prompt_tokens
    assert await client.count(request) == budget


async def test_a_prompt_that_does_not_fit_is_refused_with_its_parts(pool: Pool, model: Callable[..., Model]) -> None:
    client = pool.client(model(context_tokens=45))
    request = GenerateRequest(0, (), Sampling(max_tokens=10), prompt=render_prompt(PROMPT, {"m": "hi"}, EXAMPLES))
    budget = await client.count(request)
    assert budget.over
    with pytest.raises(EngineError, match=f"examples {budget.examples}"):
        await client.complete(request)


class FakeTransport:
    """A worker whose replies the test gives."""

    pid = 1

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def start(self, on_reply: Any, on_end: Any) -> None:
        self.reply = on_reply

    def send(self, command: Any) -> None:
        self.sent.append(command)

    def stop(self) -> None: ...

    def join(self, seconds: float) -> None: ...


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def client(transport: FakeTransport) -> EngineClient:
    named = Model("tiny", Path("/tiny.gguf"), chat_template_kwargs='{"enable_thinking": false}')
    return EngineClient(EngineSupervisor(LoadModel(named), lambda: transport), named, deterministic=True)


async def started(transport: FakeTransport, task: asyncio.Task[Any]) -> GenerateRequest:
    """What the client has submitted."""
    while not transport.sent:
        await asyncio.sleep(0)
        assert not task.done()
    transport.reply(ModelLoaded(INFO))
    command = transport.sent[1]
    assert isinstance(command, SubmitGenerate)
    return command.request


async def test_a_cancelled_task_cancels_its_request(client: EngineClient, transport: FakeTransport) -> None:
    task = asyncio.create_task(client.complete(ask("Hello")))
    request = await started(transport, task)
    transport.reply(EngineEvents((Chunk(request.id, "Good "),)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transport.sent[2:] == [CancelRequest(request.id)]


async def test_a_closed_generator_cancels_its_request_and_a_finished_one_does_not(client, transport) -> None:
    async def first() -> Event | None:
        async with aclosing(client.generate(ask("Hello"))) as events:
            async for event in events:
                if isinstance(event, Chunk):
                    return event
        return None

    for chunk, cancels in ((Chunk(0, "Good "), 1), (Chunk(0, stop_reason="eos"), 0)):
        transport.sent.clear()
        task = asyncio.create_task(first())
        while not transport.sent:
            await asyncio.sleep(0)
        number = transport.sent[-1].request.id
        transport.reply(EngineEvents((Chunk(number, chunk.text, stop_reason=chunk.stop_reason),)))
        assert await task
        assert transport.sent[-1:] == ([CancelRequest(number)] if cancels else transport.sent[-1:])
        assert sum(isinstance(command, CancelRequest) for command in transport.sent) == cancels


async def test_a_request_carries_what_its_model_and_pool_say(client: EngineClient, transport: FakeTransport) -> None:
    task = asyncio.create_task(client.complete(ask("Hello")))
    request = await started(transport, task)
    assert request.id > 0
    assert request.deterministic
    assert request.chat_template_kwargs == '{"enable_thinking": false}'
    transport.reply(EngineEvents((Chunk(request.id, "Hi", stop_reason="eos"),)))
    assert (await task).text == "Hi"
