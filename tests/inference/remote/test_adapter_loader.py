"""An adapter of this machine on vLLM: a double of its published API, for what it does differently from others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from workbench.endpoint import make_endpoint
from workbench.errors import EngineError
from workbench.inference.client import gather_now
from workbench.inference.pool import Pool
from workbench.inference.remote.clock import CLOCK
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import GenerateRequest
from workbench.models.reference import Adapter, Applied, Model
from workbench.paths import find_shipped
from workbench.prompting.prompt import Message


class VllmDouble:
    """Adapters are models with a parent; they come and go by /v1/load_lora_adapter and /v1/unload_lora_adapter."""

    def __init__(self) -> None:
        self.loaded: dict[str, str] = {}
        self.asked: list[str] = []
        self.paths: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content) if request.content else {}
        path = request.url.path
        self.paths.append(path)
        if path == "/v1/models":
            base = {"id": "base", "owned_by": "vllm", "root": "base", "parent": None, "max_model_len": 512}
            return _reply({"data": [base, *({"id": name, "parent": "base"} for name in self.loaded)]})
        if path == "/v1/load_lora_adapter":
            self.loaded[body["lora_name"]] = body["lora_path"]
            return _reply("Success")
        if path == "/v1/unload_lora_adapter":
            del self.loaded[body["lora_name"]]
            return _reply("Success")
        if path == "/v1/chat/completions":
            self.asked.append(body["model"])
            choice = {"index": 0, "message": {"role": "assistant", "content": body["model"]}, "finish_reason": "stop"}
            return _reply({"model": body["model"], "choices": [choice]})
        if path == "/tokenize":
            return _reply({"tokens": [1, 2], "token_strs": ["he", "llo"]})
        return httpx2.Response(404, content=_stream("{}"))


def _reply(value: object) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "application/json"}, content=_stream(json.dumps(value)))


async def _stream(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


@pytest.fixture
def double() -> VllmDouble:
    return VllmDouble()


def _ask(double: VllmDouble, address: str, adapter: Adapter) -> str:
    transport = httpx2.MockTransport(double)
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, CLOCK, lambda _: transport, probe=False))
    model = Model("gpu", format="remote", remote=make_endpoint(address, "vllm"))
    request = GenerateRequest(0, (Message("user", "hello"),), adapters=(Applied(adapter),))
    try:
        answers = gather_now([pool.client(model).complete(request), pool.client(model).complete(request)])
        return answers[0].text
    finally:
        pool.close()


def test_it_is_loaded_once_named_by_its_digest_and_taken_out_at_the_end(double):
    local = Adapter("queues-lora", find_shipped("assets/queues-lora"))
    text = _ask(double, "http://127.0.0.1:8000", local)
    assert text.startswith("queues-lora-")
    assert double.asked == [text, text]
    assert double.paths.count("/v1/load_lora_adapter") == 1
    assert double.loaded == {}, "it was unloaded"


def test_a_name_that_the_server_has_is_used_as_it_is(double):
    double.loaded["queues"] = "/there/queues"
    assert _ask(double, "http://127.0.0.1:8000", Adapter("queues", format="remote")) == "queues"
    assert double.loaded == {"queues": "/there/queues"}


def test_a_server_elsewhere_cannot_read_this_machines_files(double):
    local = Adapter("queues-lora", find_shipped("assets/queues-lora"))
    with pytest.raises(EngineError, match="The adapter queues-lora is on this machine") as caught:
        _ask(double, "http://gpu.example:8000", local)
    assert "--lora-modules" in caught.value.hint
    assert double.asked == []
