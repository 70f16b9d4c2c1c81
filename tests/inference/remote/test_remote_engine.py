"""A remote model from end to end over a transport in memory: connecting, answers, retries, fleets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from workbench.endpoint import Endpoint
from workbench.errors import BudgetError, EngineError, ModelError, WorkbenchError
from workbench.inference.model_client import ModelClient
from workbench.inference.pool import Pool
from workbench.inference.remote.clock import RequestClock
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import Admitted, Chunk, Completion, Event, GenerateRequest, Progress, Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.context_fit import RenderedPrompt
from workbench.prompting.prompt import Message

PROMPT = RenderedPrompt((Message("user", "long " * 70),))
FIRST, SECOND = "http://one.test:1", "http://two.test:2"


@dataclass
class LlamaDouble:
    """llama-server's published answers, in memory. slots, template, adapters: as it tells them.

    fail: says, of each request for an answer, what happens instead of one. bodies: what it was asked.
    """

    name: str = "tiny.gguf"
    slots: int = 4
    template: str = "{{ messages }}"
    adapters: tuple[str, ...] = ()
    loading: int = 0
    fail: Callable[[int], httpx2.Response | Exception | None] = lambda _: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    text: str = "Lantern"

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        match request.url.path:
            case "/v1/models":
                if self.loading:
                    self.loading -= 1
                    return httpx2.Response(503, json={"error": {"message": "Loading model", "code": 503}})
                entry = {"id": self.name, "owned_by": "llamacpp", "meta": {"n_vocab": 32, "n_params": 7}}
                return httpx2.Response(200, json={"data": [entry]})
            case "/props":
                settings = {"n_ctx": 512}
                told = {"default_generation_settings": settings, "total_slots": self.slots, "build_info": "b1"}
                return httpx2.Response(200, json={**told, "chat_template": self.template, "model_path": "/m/tiny.gguf"})
            case "/lora-adapters":
                listed = [{"id": at, "path": f"/a/{name}.gguf"} for at, name in enumerate(self.adapters)]
                return httpx2.Response(200, json=listed)
            case "/apply-template":
                turns = json.loads(request.content)["messages"]
                return httpx2.Response(200, json={"prompt": "".join(f"<{turn['content']}>" for turn in turns)})
            case "/tokenize":
                content = json.loads(request.content)["content"]
                return httpx2.Response(200, json={"tokens": [{"id": ord(c), "piece": c} for c in content]})
        if request.url.path != "/v1/chat/completions":
            return httpx2.Response(404, json={"error": {"message": "File Not Found", "code": 404}})
        self.bodies.append(json.loads(request.content))
        await asyncio.sleep(0)
        failed = self.fail(len(self.bodies))
        if isinstance(failed, Exception):
            raise failed
        return failed or self.answer()

    def answer(self, cut: bool = False) -> httpx2.Response:
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
        events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in (self.text[:3], self.text[3:])]
        end = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
        shown = events if cut else [*events, *end]
        lines = "".join(f"data: {json.dumps(event)}\n\n" for event in shown)
        return httpx2.Response(200, content=lines.encode(), headers={"content-type": "text/event-stream"})


class DoubleTransport(httpx2.AsyncBaseTransport):
    """Brings a double's answers as a network would: not read yet."""

    def __init__(self, double: LlamaDouble) -> None:
        self._double = double

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        made = await self._double(request)
        return httpx2.Response(made.status_code, headers=made.headers, stream=httpx2.ByteStream(made.content))


@dataclass
class Seen:
    """client: of the model. pauses: that were made, in seconds."""

    client: ModelClient
    pauses: list[float]


@contextmanager
def connect(servers: dict[str, LlamaDouble], **endpoint: Any) -> Iterator[Seen]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    clock = RequestClock(sleep, lambda: sum(pauses), lambda: sum(pauses), lambda: 1.0)

    def transport(url: str) -> httpx2.AsyncBaseTransport:
        return DoubleTransport(servers[url])

    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, clock, transport, probe=False))
    try:
        remote = Endpoint(tuple(servers), **endpoint)
        yield Seen(pool.client(Model("gpu", format="remote", remote=remote)), pauses)
    finally:
        pool.close()


def make_question(text: str = "Where is it?", priority: int = 1, **fields: Any) -> GenerateRequest:
    return GenerateRequest(0, (Message("user", text),), Sampling(max_tokens=8), priority=priority, **fields)


def complete(client: ModelClient, *requests: GenerateRequest) -> list[Completion | WorkbenchError]:
    async def one(request: GenerateRequest) -> Completion | WorkbenchError:
        try:
            return await client.complete(request)
        except WorkbenchError as error:
            return error

    async def gather() -> list[Completion | WorkbenchError]:
        return await asyncio.gather(*map(one, requests))

    return asyncio.run(gather())


def test_an_answer_with_its_counts_and_what_the_server_said() -> None:
    with connect({FIRST: LlamaDouble()}) as seen:
        (done,) = complete(seen.client, make_question())
        info, stats = seen.client.info, seen.client.stats
    assert isinstance(done, Completion)
    assert (done.text, done.stop_reason, done.deterministic) == ("Lantern", "eos", False)
    assert (done.prompt_tokens, done.cached_tokens, done.output_tokens) == (9, 4, 2)
    assert done.server is not None
    assert (done.server.address, done.server.retries, done.server.counted) == (FIRST, 0, True)
    assert info is not None
    assert (info.context_tokens, info.vocabulary, info.engine) == (512, 32, "llama-server b1")
    assert "regex" in info.unsupported_sampling
    assert stats is not None
    assert (stats.prefill_tokens, stats.cached_tokens, stats.completion_tokens, stats.running) == (5, 4, 2, 0)


def test_events_come_in_their_order() -> None:
    async def collect(client: ModelClient) -> list[Event]:
        return [event async for event in client.generate(make_question(priority=0))]

    with connect({FIRST: LlamaDouble()}) as seen:
        events = asyncio.run(collect(seen.client))
    kinds = [type(event) for event in events]
    assert kinds == [Progress, Admitted, Chunk, Chunk, Chunk]
    admitted = events[1]
    assert isinstance(admitted, Admitted)
    assert admitted.budget.limit == 512
    assert admitted.budget.system == len("<Where is it?>")


def test_a_server_that_loads_its_model_is_waited_for() -> None:
    with connect({FIRST: LlamaDouble(loading=3)}) as seen:
        (done,) = complete(seen.client, make_question())
        assert isinstance(done, Completion)
        assert len(seen.pauses) == 3
    assert done.server is not None
    assert done.server.retries == 0


def test_a_batch_request_that_breaks_off_is_asked_again_without_a_word_twice() -> None:
    server = LlamaDouble()
    server.fail = lambda number: server.answer(cut=True) if number == 1 else None
    with connect({FIRST: server}) as seen:
        (done,) = complete(seen.client, make_question())
    assert isinstance(done, Completion)
    assert done.text == "Lantern"
    assert done.server is not None
    assert done.server.retries == 1


def test_text_that_someone_has_seen_is_not_asked_for_again() -> None:
    server = LlamaDouble()
    server.fail = lambda _: server.answer(cut=True)
    with connect({FIRST: server}) as seen:
        (error,) = complete(seen.client, make_question(priority=0))
    assert isinstance(error, EngineError)
    assert "without saying why" in error.message
    assert len(server.bodies) == 1


def test_what_is_wrong_with_a_request_is_told_before_it_is_sent() -> None:
    server = LlamaDouble()
    applied = (Applied(Adapter("gone", format="remote")),)
    wrong = GenerateRequest(0, (Message("user", "x"),), Sampling(regex="a+"), adapters=applied)
    with connect({FIRST: server}) as seen:
        (error,) = complete(seen.client, wrong)
    assert isinstance(error, EngineError)
    assert "regex is set" in error.message
    assert "'gone' is not on the server" in error.message
    assert server.bodies == []


def test_a_prompt_that_does_not_fit_is_refused_by_the_servers_own_count() -> None:
    server = LlamaDouble()
    long = RenderedPrompt((Message("user", "long " * 110),))
    with connect({FIRST: server}) as seen:
        (error,) = complete(seen.client, make_question(prompt=long))
    assert isinstance(error, BudgetError) or "does not fit" in str(error)
    assert server.bodies == []


def test_a_person_says_how_large_the_context_is() -> None:
    server = LlamaDouble()
    model = Model("gpu", format="remote", context_tokens=64, remote=Endpoint((FIRST,)))
    pool = Pool(
        connect=lambda model, loop: RemoteEngine(model, loop, transport=lambda _: DoubleTransport(server), probe=False)
    )
    try:
        info = asyncio.run(pool.client(model).load())
    finally:
        pool.close()
    assert info.context_tokens == 64


def test_no_more_requests_are_under_way_than_the_server_has_slots() -> None:
    running = most = 0

    class CountingDouble(LlamaDouble):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            nonlocal running, most
            answers = request.url.path == "/v1/chat/completions"
            running += answers
            most = max(most, running)
            try:
                for _ in range(5):
                    await asyncio.sleep(0)
                return await super().__call__(request)
            finally:
                running -= answers

    with connect({FIRST: CountingDouble(slots=3)}) as seen:
        done = complete(seen.client, *(make_question(f"Where is {number}?") for number in range(20)))
    assert all(isinstance(one, Completion) for one in done)
    assert most == 3


def test_a_service_may_have_its_api_under_another_path_than_v1() -> None:
    asked: list[str] = []

    class ServiceDouble(LlamaDouble):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            asked.append(request.url.path)
            if request.url.path == "/v1beta/openai/models":
                return httpx2.Response(200, json={"data": [{"id": "big"}, {"id": "small"}]})
            if request.url.path == "/v1beta/openai/chat/completions":
                return self.answer()
            return httpx2.Response(404, json={"error": {"message": "not found"}})

    with connect({"https://service.test/v1beta/openai": ServiceDouble()}, model="small") as seen:
        (done,) = complete(seen.client, make_question())
    assert isinstance(done, Completion), done
    assert asked[:2] == ["/v1beta/openai/v1/models", "/v1beta/openai/models"]
    assert asked[-1] == "/v1beta/openai/chat/completions"


def test_a_fleet_shares_the_work_and_a_dead_address_leaves_it_to_the_others() -> None:
    one, two = LlamaDouble(), LlamaDouble()
    with connect({FIRST: one, SECOND: two}) as seen:
        complete(seen.client, *(make_question(f"Question {number}") for number in range(12)))
        assert len(one.bodies) == len(two.bodies) == 6
        two.fail = lambda _: httpx2.ConnectError("refused")
        done = complete(seen.client, *(make_question(f"Other {number}") for number in range(12)))
    assert all(isinstance(answer, Completion) and answer.server for answer in done)
    assert {answer.server.address for answer in done if isinstance(answer, Completion) and answer.server} == {FIRST}
    assert isinstance(done[-1], Completion)
    assert any(note.startswith(f"{SECOND} is left out") for note in done[-1].notes)


def test_an_address_that_dies_while_it_counts_leaves_that_to_the_others_too() -> None:
    one, two = LlamaDouble(), LlamaDouble()

    class CountlessDouble(LlamaDouble):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/apply-template":
                raise httpx2.ConnectError("refused")
            return await super().__call__(request)

    for servers in ({FIRST: CountlessDouble(), SECOND: two}, {FIRST: one, SECOND: CountlessDouble()}):
        with connect(servers) as seen:
            done = complete(seen.client, *(make_question("long " * 70, prompt=PROMPT) for _ in range(6)))
        assert all(isinstance(answer, Completion) for answer in done)


def test_files_of_the_same_name_in_other_folders_are_the_same_model() -> None:
    with connect({FIRST: LlamaDouble(name="/a/tiny.gguf"), SECOND: LlamaDouble(name="/b/tiny.gguf")}) as seen:
        (done,) = complete(seen.client, make_question())
        assert isinstance(done, Completion)
    with connect({FIRST: LlamaDouble(name="/a/tiny.gguf"), SECOND: LlamaDouble(name="/a/other.gguf")}) as seen:
        (error,) = complete(seen.client, make_question())
    assert "do not serve the same: model" in str(error)


def test_requests_that_begin_alike_go_to_the_same_address() -> None:
    one, two = LlamaDouble(), LlamaDouble()
    rules = {name: f"{name}: answer with one word. " * 20 for name in ("first", "second")}
    with connect({FIRST: one, SECOND: two}) as seen:
        for number in range(4):
            complete(seen.client, *(make_question(f"{text} {number}") for text in rules.values()))
    for server in (one, two):
        starts = {body["messages"][0]["content"].split(":")[0] for body in server.bodies}
        assert len(starts) == 1


@pytest.mark.parametrize("other", [LlamaDouble(template="another"), LlamaDouble(adapters=("calm",))])
def test_addresses_that_do_not_serve_the_same_are_refused(other: LlamaDouble) -> None:
    with connect({FIRST: LlamaDouble(), SECOND: other}) as seen:
        (error,) = complete(seen.client, make_question())
    assert isinstance(error, EngineError)
    assert "do not serve the same" in error.message
    assert FIRST in error.message
    assert SECOND in error.message
    with connect({FIRST: LlamaDouble(), SECOND: other}) as seen, pytest.raises(ModelError, match="do not serve"):
        asyncio.run(seen.client.load())


def test_a_cancelled_request_frees_its_place() -> None:
    class HeldDouble(LlamaDouble):
        async def __call__(self, request: httpx2.Request) -> httpx2.Response:
            if b"never answered" in request.content:
                loop.call_soon_threadsafe(held.set)
                await asyncio.Event().wait()
            return await super().__call__(request)

    async def cancel_one(client: ModelClient) -> Completion:
        nonlocal loop
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(client.complete(make_question("never answered")))
        await held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await client.complete(make_question("answered"))

    held = asyncio.Event()
    loop: asyncio.AbstractEventLoop
    with connect({FIRST: HeldDouble(slots=1)}) as seen:
        assert asyncio.run(cancel_one(seen.client)).text == "Lantern"
