"""The probe of a server that a pane asks: after its answer, and never in its way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from msgspec.structs import replace

from workbench.endpoint import make_endpoint
from workbench.errors import EngineError
from workbench.inference.client import gather_now
from workbench.inference.pool import Pool
from workbench.inference.remote.clock import CLOCK
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import GenerateRequest, LoglikelihoodRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

HELLO = GenerateRequest(0, (Message("user", "hello"),), Sampling(max_tokens=9))


class DeafServer:
    """An OpenAI-compatible server that answers everything with the same words; the messages it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/models":
            return _reply(200, {"data": [{"id": "deaf"}]})
        if request.url.path != "/v1/chat/completions":
            return _reply(404, {})
        self.asked.append(json.loads(request.content)["messages"][-1]["content"])
        choice = {"index": 0, "message": {"role": "assistant", "content": "one two three"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3}
        return _reply(200, {"model": "deaf", "choices": [choice], "usage": usage})


def _reply(status: int, value: object) -> httpx2.Response:
    async def stream() -> AsyncIterator[bytes]:
        yield json.dumps(value).encode()

    return httpx2.Response(status, headers={"content-type": "application/json"}, content=stream())


@pytest.fixture
def server() -> DeafServer:
    return DeafServer()


@pytest.fixture
def pool(server):
    transport = httpx2.MockTransport(server)
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda address: transport))
    yield pool
    pool.close()


MODEL = Model("gpu", format="remote", remote=make_endpoint("http://gpu.example", "openai"))


def _ask(pool: Pool, request: GenerateRequest):
    (answer,) = gather_now([pool.client(MODEL).complete(request)])
    return answer


def test_a_pane_is_answered_before_the_probe(pool, server):
    assert _ask(pool, HELLO).text == "one two three"
    assert server.asked[0] == "hello"
    card = pool.prove(MODEL).result()
    assert "stop" in card.ignored
    assert pool.card(MODEL) == card


def test_a_batch_waits_for_the_card(pool, server):
    _ask(pool, replace(HELLO, priority=1))
    assert server.asked[-1] == "hello"
    assert len(server.asked) > 10


def test_a_field_that_was_seen_not_to_act_is_refused(pool):
    pool.prove(MODEL).result()
    with pytest.raises(EngineError, match=r"does not act on what the request sets: stop ignored \(the answer goes on"):
        _ask(pool, replace(HELLO, sampling=Sampling(stop=("two",))))


def test_the_servers_own_can_be_accepted(server):
    transport = httpx2.MockTransport(server)
    own = Model("gpu", format="remote", remote=make_endpoint("http://gpu.example", "openai", server_defaults=["stop"]))
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda address: transport))
    try:
        pool.prove(own).result()
        request = replace(HELLO, sampling=Sampling(stop=("two",)))
        assert gather_now([pool.client(own).complete(request)])[0].text == "one two three"
    finally:
        pool.close()


def test_a_likelihood_that_cannot_be_told_is_refused(pool):
    asked = LoglikelihoodRequest(0, HELLO.messages, ("one",))
    with pytest.raises(EngineError, match="cannot tell log-likelihoods"):
        gather_now([pool.client(MODEL).loglikelihood(asked)])


def test_the_probe_is_made_once_unless_it_is_renewed(pool, server):
    first = pool.prove(MODEL).result()
    count = len(server.asked)
    assert pool.prove(MODEL).result() == first
    assert len(server.asked) == count
    pool.prove(MODEL, renew=True).result()
    assert len(server.asked) == 2 * count


class ShakyServer(DeafServer):
    """One that drops every other connection to its list of adapters and its tokenizer."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/v1/models":
            return _reply(200, {"data": [{"id": "deaf", "owned_by": "llamacpp"}]})
        if request.url.path == "/props":
            return _reply(200, {"default_generation_settings": {"n_ctx": 4096}})
        if request.url.path in ("/apply-template", "/tokenize") and self.dropped % 2 == 0:
            self.dropped += 1
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")
        self.dropped += 1
        if request.url.path == "/apply-template":
            return _reply(200, {"prompt": "hello"})
        if request.url.path == "/tokenize":
            return _reply(200, {"tokens": [1, 2, 3, 4, 5, 6, 7, 8, 9]})
        return super().__call__(request)


def test_a_connection_that_is_closed_when_it_is_used_again_loses_no_count():
    transport = httpx2.MockTransport(ShakyServer())
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda address: transport))
    model = Model("gpu", format="remote", remote=make_endpoint("http://gpu.example", "llama-server"))
    try:
        future = pool.prove(model)
        assert future is not None
        count = future.result().count
    finally:
        pool.close()
    assert (count.counted, count.source) == (9, "the server's own tokenizer")
