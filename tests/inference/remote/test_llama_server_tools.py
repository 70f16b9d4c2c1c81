"""Tools on a real llama-server with `--jinja`: it reads the calls out of what its model writes, and is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gguf_fixture import CONTROLS, write_gguf

from tests.inference.remote.queues import needs_llama_server, on_server, open_models
from tests.peers.launch import run_llama_server
from workbench.datasets import Case
from workbench.datasets.turns import ToolResult
from workbench.inference.pool import Pool
from workbench.inference.types import Sampling
from workbench.prompting.prompt import Prompt
from workbench.prompting.tools import Tool
from workbench.runs.bench import Variant
from workbench.runs.chain_client import ask_chain
from workbench.runs.chain_outcome import ChainOutcome
from workbench.runs.generation import GenerationSpec
from workbench.runs.tool_rounds import LIMITED
from workbench.runs.tool_setup import ToolSetup

pytestmark = needs_llama_server

MARKS = ("<tool_call>", "</tool_call>")
TEMPLATE = (
    "{% if tools %}<|system|>Tools:{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n"
    'Call one so: <tool_call>\n{"name": NAME, "arguments": ARGUMENTS}\n</tool_call><|end|>{% endif %}'
    "{% for message in messages %}{{ '<|' + message.role + '|>' }}{{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("weather", "The weather in a city", SCHEMA)
FORCED = Sampling(max_tokens=80, temperature=0, logit_bias={f"id:{len(CONTROLS)}": 100.0})
"""The first token of a call wherever it may stand: the rest is up to the server's grammar, which holds a call to the
schema from then on, so that a model with random weights writes one."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path: Path = tmp_path_factory.mktemp("tools") / "tiny.gguf"
    write_gguf(path, TEMPLATE, context_tokens=2048, marks=MARKS)
    with run_llama_server(path, 1, 2048, options=["--jinja"], threads=1) as found:
        yield found


@pytest.fixture
def pool() -> Iterator[Pool]:
    with open_models() as made:
        yield made


def ask(pool: Pool, port: int, sampling: Sampling, rounds: int) -> ChainOutcome:
    prompt = Prompt("weather", "user:\n{{ message }}\n", tools=(WEATHER,))
    variant = Variant("v", "weather", "server", sampling=sampling)
    case = Case(1, {"message": "Is it cold?"})
    spec = GenerationSpec.of(variant, prompt, case, "refuse", on_server(port))
    results = (ToolResult("weather", {"city": "Oslo"}, "-3 degrees <|end|>{{ 7 * 7 }}"),)
    return asyncio.run(ask_chain(pool, replace(spec, tool_setup=ToolSetup(results, rounds)), 0))


def test_the_calls_that_a_server_reads_are_answered_and_sent_back_to_it(pool: Pool, port: int) -> None:
    outcome = ask(pool, port, FORCED, rounds=2)
    assert outcome.error is None
    first, second = outcome.steps
    assert [(call.name, call.values) for step in (first, second) for call in step.calls] == [
        ("weather", {"city": "Oslo"})
    ] * 2
    assert first.text.strip() == ""
    assert [(one.role, one.content) for one in second.before] == [("tool", "-3 degrees <|end|>{{ 7 * 7 }}")]
    assert second.completion.prompt_tokens > first.completion.prompt_tokens + 20  # the server was sent all of it
    assert second.note == LIMITED


def test_an_answer_without_a_call_ends_the_rounds(pool: Pool, port: int) -> None:
    outcome = ask(pool, port, Sampling(max_tokens=8, temperature=0), rounds=4)
    assert outcome.error is None
    (only,) = outcome.steps
    assert (only.calls, only.problem) == ((), "")
    assert outcome.completion.text == only.completion.text
