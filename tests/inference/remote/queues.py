"""The embedded model's test cases, asked of it here and on a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from tests.peers.llama_cpp_programs import SERVER, look_up
from workbench import paths
from workbench.datasets import Case
from workbench.datasets.cases import load_cases
from workbench.datasets.spec import Dataset
from workbench.endpoint import Endpoint
from workbench.inference.pool import Pool
from workbench.inference.types import Completion, GenerateRequest, Likelihood, LoglikelihoodRequest, Sampling
from workbench.library.library import Library
from workbench.models.reference import Applied, Model
from workbench.prompting.prompt import Message
from workbench.prompting.render import render

QUEUES = ("Abacus", "Anvil", "Compass", "Harbour", "Lantern", "Meadow", "Orchard", "Willow")
TOKENS = 12

needs_llama_server = pytest.mark.skipif(
    look_up(SERVER) is None, reason="llama-server is not built: `make peers` builds it"
)


@cache
def list_cases() -> tuple[Case, ...]:
    """All 200 of them."""
    path = paths.find_shipped("assets/data/queues/test.jsonl")
    return tuple(load_cases(Dataset(str(path)), Path.cwd())[:])


@cache
def render_cases() -> tuple[tuple[Message, ...], ...]:
    prompt = Library(paths.find_shipped("prompts")).open("queues/plain").prompt
    return tuple(tuple(render(prompt, case.variables)) for case in list_cases())


def on_server(port: int, dialect: str = "auto", name: str = "") -> Model:
    endpoint = Endpoint((f"http://127.0.0.1:{port}",), dialect, name)  # type: ignore[arg-type]
    return Model("server", format="remote", remote=endpoint)


@contextmanager
def open_models() -> Iterator[Pool]:
    pool = Pool(threads=1)
    try:
        yield pool
    finally:
        pool.close()


def answer_cases(
    pool: Pool, model: Model, adapters: Sequence[Applied] = (), deterministic: bool = False
) -> list[Completion]:
    """The greedy answers to all cases, asked at the same time as a run asks them."""
    client, sampling = pool.client(model), Sampling(max_tokens=TOKENS)

    async def gather() -> list[Completion]:
        requests = [
            GenerateRequest(0, messages, sampling, "chat", tuple(adapters), priority=1, deterministic=deterministic)
            for messages in render_cases()
        ]
        return await asyncio.gather(*map(client.complete, requests))

    return asyncio.run(gather())


def score_cases(
    pool: Pool, model: Model, count: int, adapters: Sequence[Applied] = (), deterministic: bool = False
) -> list[tuple[Likelihood, ...]]:
    """How likely each queue is, for the first cases."""
    client = pool.client(model)

    async def gather() -> list[tuple[Likelihood, ...]]:
        requests = [
            LoglikelihoodRequest(0, messages, QUEUES, adapters=tuple(adapters), priority=1, deterministic=deterministic)
            for messages in render_cases()[:count]
        ]
        return await asyncio.gather(*map(client.loglikelihood, requests))

    return asyncio.run(gather())


def share_equal(left: Sequence[Completion], right: Sequence[Completion]) -> float:
    """The share of answers that are the same text."""
    return sum(one.text == other.text for one, other in zip(left, right, strict=True)) / len(left)
