"""A real llama-server on the embedded model gives what the engine here gives: answers, likelihoods, adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.inference.remote.queues import (
    QUEUES,
    answer_cases,
    list_cases,
    needs_llama_server,
    on_server,
    open_models,
    render_cases,
    score_cases,
    share_equal,
)
from tests.peers.launch import run_llama_server
from workbench import paths
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

pytestmark = [needs_llama_server, pytest.mark.model]

SCORED = 40
"""Cases whose likelihoods are asked for: each takes a request for every token of every queue."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """16 bits, so that the size of a batch does not turn a choice between tokens that are about as likely."""
    gguf, lora = paths.find_shipped("assets/desk-f16.gguf"), paths.find_shipped("assets/queues-lora.gguf")
    with run_llama_server(gguf, 4, 4096, [lora]) as port:
        yield port


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with open_models() as pool:
        yield pool


@pytest.fixture(scope="module")
def here() -> Model:
    return Model("here", paths.find_shipped("assets/desk-f16.gguf"))


def apply_here(scale: float) -> tuple[Applied, ...]:
    return (Applied(Adapter("queues-lora", paths.find_shipped("assets/queues-lora.gguf"), "gguf"), scale),)


def apply_there(scale: float) -> tuple[Applied, ...]:
    return (Applied(Adapter("queues-lora", format="remote"), scale),)


def test_greedy_answers_of_the_base_and_of_each_scale_are_ours_in_turns(pool: Pool, port: int, here: Model) -> None:
    """The base between the scales: a server that keeps what it computed with another adapter answers wrongly here."""
    there = on_server(port)
    base = answer_cases(pool, here)
    assert share_equal(base, answer_cases(pool, there)) >= 0.99
    for scale in (0.5, 1.0):
        adapted = answer_cases(pool, here, apply_here(scale))
        assert share_equal(base, adapted) < 0.9, "an adapter without effect proves nothing"
        assert share_equal(adapted, answer_cases(pool, there, apply_there(scale))) >= 0.99
        assert share_equal(base, answer_cases(pool, there)) >= 0.99


def test_greedy_answers_of_a_quantized_model_are_ours(pool: Pool) -> None:
    """One at a time on both sides: 8 bits round with the size of a batch."""
    gguf = paths.find_shipped("assets/desk-q8_0.gguf")
    with run_llama_server(gguf, 1, 1024) as port:
        theirs = answer_cases(pool, on_server(port))
    assert share_equal(answer_cases(pool, Model("here", gguf), deterministic=True), theirs) >= 0.99


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_forced_likelihoods_and_the_choices_they_make_are_ours(
    pool: Pool, port: int, here: Model, scale: float
) -> None:
    ours = score_cases(pool, here, SCORED, apply_here(scale) if scale else (), deterministic=True)
    theirs = score_cases(pool, on_server(port), SCORED, apply_there(scale) if scale else ())
    right: dict[str, int] = {"ours": 0, "theirs": 0}
    for case, own, other in zip(list_cases(), ours, theirs, strict=False):
        for one, answer in zip(own, other, strict=True):
            assert (one.tokens, one.bytes) == (answer.tokens, answer.bytes)
            if answer.is_bound:
                assert one.logprob <= answer.logprob
            else:
                assert answer.per_token == pytest.approx(one.per_token, abs=0.01)
        for name, found in (("ours", own), ("theirs", other)):
            best = max(range(len(QUEUES)), key=lambda index: found[index].per_token)
            right[name] += QUEUES[best] == case.expected
    assert right["ours"] == right["theirs"]


def test_prompt_tokens_and_their_pieces_are_ours(pool: Pool, port: int, here: Model) -> None:
    request = GenerateRequest(0, render_cases()[0])

    async def read(model: Model) -> tuple[tuple[int, ...], str, int]:
        client = pool.client(model)
        read = await client.tokenize(request)
        return read.ids, read.text, (await client.complete(request)).prompt_tokens

    ours, theirs = asyncio.run(read(here)), asyncio.run(read(on_server(port)))
    assert ours == theirs


def test_a_continued_answer_goes_on_where_it_was_left(pool: Pool, port: int, here: Model) -> None:
    messages = (*render_cases()[0], Message("assistant", "Lan"))
    request = GenerateRequest(0, messages, Sampling(max_tokens=6))
    ours, theirs = (asyncio.run(pool.client(model).complete(request)) for model in (here, on_server(port)))
    assert (theirs.text, theirs.prompt_tokens) == (ours.text, ours.prompt_tokens)


def test_a_stop_text_and_the_limit_end_an_answer_as_here(pool: Pool, port: int, here: Model) -> None:
    word = asyncio.run(pool.client(here).complete(GenerateRequest(0, render_cases()[0]))).text
    for sampling in (Sampling(stop=(word[2:4],)), Sampling(max_tokens=1), Sampling()):
        request = GenerateRequest(0, render_cases()[0], sampling)
        ours, theirs = (asyncio.run(pool.client(model).complete(request)) for model in (here, on_server(port)))
        assert (theirs.text, theirs.stop_reason) == (ours.text, ours.stop_reason)


def test_a_prompt_longer_than_a_context_is_refused(pool: Pool, port: int) -> None:
    request = GenerateRequest(0, (Message("user", "parcel " * 6000),))
    with pytest.raises(WorkbenchError, match="context"):
        asyncio.run(pool.client(on_server(port)).complete(request))


def test_an_adapter_that_the_server_does_not_have_is_refused_by_name(pool: Pool, port: int) -> None:
    applied = (Applied(Adapter("nowhere", format="remote")),)
    with pytest.raises(WorkbenchError, match="nowhere"):
        asyncio.run(pool.client(on_server(port)).complete(GenerateRequest(0, render_cases()[0], adapters=applied)))
