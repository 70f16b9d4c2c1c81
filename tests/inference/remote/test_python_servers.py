"""The servers of llama-cpp-python and transformers on the embedded model: what plain OpenAI servers really answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.remote.queues import on_server, open_models, render_cases
from tests.peers.launch import lacks, run_llama_cpp_python, run_transformers_serve
from workbench import paths
from workbench.errors import WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import Completion, GenerateRequest, LoglikelihoodRequest, Sampling
from workbench.models.reference import Model

pytestmark = pytest.mark.model
CASES = 20


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with open_models() as pool:
        yield pool


@pytest.fixture(scope="module")
def llama_cpp_python() -> Iterator[Model]:
    if reason := lacks("llama_cpp.server"):
        pytest.skip(reason)
    with run_llama_cpp_python(paths.find_shipped("assets/desk-f16.gguf")) as port:
        yield on_server(port, "openai")


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    if reason := lacks("transformers serve"):
        pytest.skip(reason)
    folder = paths.find_shipped("assets/desk").absolute()
    with run_transformers_serve(folder, tmp_path_factory.mktemp("hub")) as port:
        yield on_server(port, "openai", str(folder))


def answer(pool: Pool, model: Model, sampling: Sampling, count: int = CASES) -> list[Completion]:
    """One after the other: these servers have no batches."""

    async def ask() -> list[Completion]:
        client = pool.client(model)
        return [await client.complete(GenerateRequest(0, turns, sampling)) for turns in render_cases()[:count]]

    return asyncio.run(ask())


def here(path: str, kind: str = "gguf") -> Model:
    return Model("here", Path(paths.find_shipped(path)), kind)  # type: ignore[arg-type]


def test_answers_of_llama_cpp_python_are_ours_and_their_tokens_unknown(pool: Pool, llama_cpp_python: Model) -> None:
    theirs = answer(pool, llama_cpp_python, Sampling(max_tokens=12))
    ours = answer(pool, here("assets/desk-f16.gguf"), Sampling(max_tokens=12))
    assert [one.text for one in theirs] == [one.text for one in ours]
    for one in theirs:
        assert one.server
        assert one.server.counted == (one.prompt_tokens > 0)


def test_answers_of_transformers_serve_are_ours_with_their_tokens(pool: Pool, transformers_serve: Model) -> None:
    """It ends a stream without [DONE], and the counts stand in the last event with a choice."""
    theirs = answer(pool, transformers_serve, Sampling(max_tokens=12))
    ours = answer(pool, here("assets/desk", "hf"), Sampling(max_tokens=12))
    assert [one.text for one in theirs] == [one.text for one in ours]
    assert [one.prompt_tokens for one in theirs] == [one.prompt_tokens for one in ours]
    assert {one.server.counted for one in theirs if one.server} == {True}


@pytest.mark.parametrize("server", ["llama_cpp_python", "transformers_serve"])
def test_what_a_plain_server_cannot_be_told_is_refused_by_name(
    pool: Pool, server: str, request: pytest.FixtureRequest
) -> None:
    model: Model = request.getfixturevalue(server)
    with pytest.raises(WorkbenchError, match=r"top_k is set.*min_p is set"):
        answer(pool, model, Sampling(temperature=1.0, top_k=5, min_p=0.1), 1)


@pytest.mark.parametrize("server", ["llama_cpp_python", "transformers_serve"])
def test_likelihoods_are_refused(pool: Pool, server: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(server)
    asked = LoglikelihoodRequest(0, render_cases()[0], ("Lantern", "Abacus"))
    with pytest.raises(WorkbenchError, match="log-likelihoods"):
        asyncio.run(pool.client(model).loglikelihood(asked))


def test_a_schema_that_the_server_takes_and_does_not_follow_is_refused(pool: Pool, transformers_serve: Model) -> None:
    wanted = Sampling(json_schema={"type": "object"}, max_tokens=4)
    with pytest.raises(WorkbenchError, match="json_schema ignored"):
        answer(pool, transformers_serve, wanted, 1)
