"""What Ollama and vLLM do differently, on doubles of them: cut prompts, idle adapters, defaults of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from tests.inference.remote.asking import SteppedClock, make_request
from tests.inference.remote.ollama_double import OllamaServerDouble
from tests.inference.remote.vllm_double import DEFAULTED, VllmServerDouble
from workbench.endpoint import Endpoint
from workbench.errors import ServerMismatchError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.remote.adapters import check_proof
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import Completion, GenerateRequest
from workbench.models.reference import Adapter, Applied, Model

LONG = "parcel " * 100


def complete(
    double: Callable[[httpx2.Request], httpx2.Response], request: GenerateRequest, name: str = "", **fields: Any
) -> Completion:
    """The answer of a double, found out about as every server is: by its dialect, and with a probe."""
    model = Model("double", format="remote", remote=Endpoint(("http://double.test:1",), model=name), **fields)
    transport = httpx2.MockTransport(lambda request: _stream(double(request)))
    clock = SteppedClock().request_clock
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, clock, lambda _: transport))
    try:
        if proving := pool.prove(model, request.adapters):  # as a run does before its first cell
            card = proving.result()
            for proof in card.adapters:
                check_proof(card.address, proof)
        return asyncio.run(pool.client(model).complete(request))
    finally:
        pool.close()


def _stream(response: httpx2.Response) -> httpx2.Response:
    """A response that is read piece by piece, as from a network."""

    async def read() -> AsyncIterator[bytes]:
        yield response.content

    return httpx2.Response(response.status_code, headers=response.headers, content=read())


def with_adapter(name: str, scale: float = 1.0) -> GenerateRequest:
    plain = make_request()
    applied = (Applied(Adapter(name, format="remote"), scale),)
    return GenerateRequest(0, plain.messages, plain.sampling, adapters=applied, priority=1)


def test_ollama_is_asked_by_its_own_routes_and_its_load_is_no_latency() -> None:
    double = OllamaServerDouble()
    done = complete(double, make_request())
    assert (done.text, done.stop_reason) == ("Lantern", "eos")
    assert done.server
    assert (done.server.load_seconds, done.seconds_to_first_token) == (5, 0)
    assert not [path for path, _ in double.asked if path.startswith("/v1/") and path != "/v1/models"]


def test_ollama_is_told_the_context_that_a_person_wants_and_that_it_may_not_cut() -> None:
    double = OllamaServerDouble()
    assert complete(double, make_request(LONG), context_tokens=256).prompt_tokens == 100
    sent = [body for path, body in double.asked if path == "/api/chat"]
    assert {(one["options"]["num_ctx"], one["truncate"], one["shift"]) for one in sent} == {(256, False, False)}


@pytest.mark.parametrize("refuses", [True, False])
def test_a_prompt_that_ollama_would_cut_is_an_error_whether_or_not_it_says_so(refuses: bool) -> None:
    with pytest.raises(WorkbenchError, match="context" if refuses else "tokens"):
        complete(OllamaServerDouble(refuses_to_cut=refuses), make_request(LONG))


def test_a_model_that_ollama_made_with_an_adapter_has_to_answer_otherwise_than_the_base() -> None:
    double = OllamaServerDouble(created={"calm:latest": "Harbour", "idle:latest": "Lantern"})
    assert complete(double, with_adapter("calm:latest"), "tiny:latest").text == "Harbour"
    with pytest.raises(ServerMismatchError, match="identically to the base"):
        complete(double, with_adapter("idle:latest"), "tiny:latest")


def test_vllm_is_sent_every_field_that_its_generation_config_could_set() -> None:
    double = VllmServerDouble()
    assert complete(double, make_request()).text == "Lantern"
    assert double.generations
    assert [sorted(DEFAULTED - body.keys()) for body in double.generations if DEFAULTED - body.keys()] == []


def test_an_adapter_that_vllm_lists_and_does_not_apply_is_an_error() -> None:
    double = VllmServerDouble(adapters={"calm": "Harbour", "idle": "Lantern"})
    done = complete(double, with_adapter("calm"))
    assert done.text == "Harbour"
    with pytest.raises(ServerMismatchError, match="identically to the base"):
        complete(double, with_adapter("idle"))


def test_a_scale_that_vllm_does_not_know_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(WorkbenchError, match=r"the scale of calm is 0.5"):
        complete(VllmServerDouble(adapters={"calm": "Harbour"}), with_adapter("calm", 0.5))
