"""Models on a server: 32 cells through the workbench's client against sending them all at once, on a llama-server that
has just started, with 4 slots; and what a request costs beyond a bare loop over httpx2, with 32 in flight.

Both sides are given the same requests in the order of a bench, case by case. They start with connections that are open.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import statistics
import string
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.benchmarks.contest import (
    INPUTS,
    NEW,
    PROMPT,
    ROUNDS,
    SYSTEM,
    TEMPLATE,
    TEMPLATES,
    THREADS,
    Row,
    count_tree,
    models,
)
from tests.benchmarks.shapes import write_shape
from tests.peers.launch import run_llama_server
from tests.peers.llama_cpp_programs import Missing
from workbench import paths
from workbench.endpoint import Endpoint
from workbench.inference.model_client import ModelClient
from workbench.inference.pool import Pool
from workbench.inference.remote.engine import RemoteEngine
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

SLOTS, IN_FLIGHT, REQUESTS = 4, 32, 256
LETTERS = string.ascii_uppercase
"""Each is a token of its own in the shapes' vocabulary."""


class Answered(NamedTuple):
    """A request's tokens by the server: those of its prompt that it evaluated, and those that it wrote."""

    evaluated: int
    written: int


class Ran(NamedTuple):
    """All requests: how long they took, the prompt tokens that the server evaluated, and this process's processor
    time."""

    seconds: float
    evaluated: int
    busy: float


Ask = Callable[[str], Coroutine[Any, Any, Answered]]


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    try:
        rows = [_measure_matrix(write_shape(shape, kind), name) for shape, kind, name in models()]
        return [*rows, _measure_overhead(paths.find_shipped("assets/desk-q8_0.gguf"))]
    except Missing as reason:
        return [("remote / llama-server", f"not run: {reason}", "at most 0.65")]


def _measure_matrix(path: Path, name: str) -> Row:
    own: list[Ran] = []
    bare: list[Ran] = []
    for turn in range(ROUNDS):
        prompts = _make_matrix(turn)
        for runs, run in ((own, _run_own), (bare, _run_bare)):
            with run_llama_server(path, SLOTS, 12288, threads=THREADS) as port:
                runs.append(run(port, prompts, len(prompts)))
    ours, theirs = (statistics.median(run.seconds for run in runs) for runs in (own, bare))
    read = " / ".join(f"{statistics.median(run.evaluated for run in runs):,.0f}" for runs in (own, bare))
    tree = count_tree([[ord(letter) for letter in prompt] for prompt in prompts])
    figure = f"{ours / theirs:.2f}  ({ours:.2f} s / {theirs:.2f} s; prompt tokens {read}, in the tree {tree:,})"
    return f"{name}: 32 cells, 4 slots, cold / all at once in bench order", figure, "at most 0.65"


def _measure_overhead(path: Path) -> Row:
    """Short prompts without a common beginning, so that nothing but the client differs."""
    prompts = ["".join(random.Random(number).choices(LETTERS, k=40)) for number in range(REQUESTS)]
    own: list[Ran] = []
    bare: list[Ran] = []
    with run_llama_server(path, IN_FLIGHT, 8192, threads=1) as port:
        for _ in range(ROUNDS):
            own.append(_run_own(port, prompts, IN_FLIGHT))
            bare.append(_run_bare(port, prompts, IN_FLIGHT))
    ours, theirs = (statistics.median(run.seconds for run in runs) / REQUESTS * 1000 for runs in (own, bare))
    busy = " / ".join(f"{statistics.median(run.busy for run in runs) / REQUESTS * 1000:.2f}" for runs in (own, bare))
    figure = f"{ours / theirs:.2f}  ({ours:.2f} ms / {theirs:.2f} ms; the client's processor time {busy} ms)"
    return "desk q8_0: a request of 24 tokens, 32 in flight / bare httpx2 loop", figure, "at most 1.10"


def _make_matrix(turn: int) -> list[str]:
    """Case by case, each with every template behind one system text."""
    draw = random.Random(turn)

    def write(count: int) -> str:
        return "".join(draw.choices(LETTERS, k=count))

    system, templates = write(SYSTEM), [write(TEMPLATE) for _ in range(TEMPLATES)]
    inputs = [write(PROMPT - SYSTEM - TEMPLATE) for _ in range(INPUTS)]
    return [f"{system}{template}{text}" for text, template in itertools.product(inputs, templates)]


def _run_own(port: int, prompts: Sequence[str], in_flight: int) -> Ran:
    """Seconds through the client of a pool. The probe is left out: it is once for a run."""
    pool = Pool(connect=lambda model, loop: RemoteEngine(model, loop, probe=False))
    try:
        endpoint = Endpoint((f"http://127.0.0.1:{port}",), "llama-server")
        client = pool.client(Model("server", format="remote", remote=endpoint))
        return asyncio.run(_time(lambda prompt: _ask_client(client, prompt), prompts, in_flight))
    finally:
        pool.close()


async def _ask_client(client: ModelClient, prompt: str) -> Answered:
    sampling = Sampling(max_tokens=NEW, ignore_eos=True)
    done = await client.complete(GenerateRequest(0, (Message("user", prompt),), sampling, "completion", priority=1))
    return Answered(done.prompt_tokens - done.cached_tokens, done.output_tokens)


def _run_bare(port: int, prompts: Sequence[str], in_flight: int) -> Ran:
    """Seconds of a loop that sends, and reads what is streamed."""

    async def run() -> Ran:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=256)
        async with httpx2.AsyncClient(timeout=600, limits=limits, trust_env=False) as client:
            return await _time(lambda prompt: _ask_bare(client, port, prompt), prompts, in_flight)

    return asyncio.run(run())


async def _ask_bare(client: httpx2.AsyncClient, port: int, prompt: str) -> Answered:
    body = {"prompt": prompt, "n_predict": NEW, "ignore_eos": True, "temperature": 0.0, "stream": True}
    last: dict[str, Any] = {}
    try:
        async with client.stream("POST", f"http://127.0.0.1:{port}/completion", json=body) as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    last = json.loads(line[6:])
    except httpx2.RemoteProtocolError:  # it closed a connection that was kept open, as the request was sent
        return await _ask_bare(client, port, prompt)
    return Answered(last["timings"]["prompt_n"], last["tokens_predicted"])


async def _time(ask: Ask, prompts: Sequence[str], in_flight: int) -> Ran:
    """All prompts in their order, so many at a time. One goes ahead, which connects."""
    await ask("HELLO")
    free = asyncio.Semaphore(in_flight)

    async def one(prompt: str) -> Answered:
        async with free:
            return await ask(prompt)

    began, busy = time.perf_counter(), time.process_time()
    answered = await asyncio.gather(*map(one, prompts))
    seconds = time.perf_counter() - began
    assert {one.written for one in answered} == {NEW}, answered
    return Ran(seconds, sum(one.evaluated for one in answered), time.process_time() - busy)
