"""Grammars and schemas: an answer follows them, and a bad one is a message, never the end of the process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.engines.engine import Chunk, Completion, Request, Sampling, fold
from workbench.engines.llamacpp.engine import LlamaEngine
from workbench.errors import EngineError
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "orders"]}, "urgent": {"type": "boolean"}},
    "required": ["queue", "urgent"],
}


@pytest.fixture(scope="module")
def engine(tiny_gguf: Callable[..., Path]) -> Iterator[LlamaEngine]:
    made = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    yield made
    made.close()


def answer(engine: LlamaEngine, number: int = 1, **sampling: Any) -> Completion:
    engine.submit(Request(number, (Message("user", "Where?"),), Sampling(**{"max_tokens": 300, **sampling})))
    events = []
    while engine.busy:
        events += engine.step()
    return fold([event for event in events if isinstance(event, Chunk)])


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 4}, {"temperature": 1.0, "top_k": 3}])
def test_an_answer_follows_its_grammar_and_then_ends(engine: LlamaEngine, sampling: dict[str, Any]) -> None:
    completion = answer(engine, grammar='root ::= "the " ("in" | "an") [0-9]{3}', **sampling)
    assert re.fullmatch("the (in|an)[0-9]{3}", completion.text)
    assert completion.stop_reason == "eos"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_answer_follows_its_schema(engine: LlamaEngine, seed: int) -> None:
    found = json.loads(answer(engine, json_schema=SCHEMA, temperature=1.5, seed=seed).text)
    assert found["queue"] in ("billing", "orders")
    assert isinstance(found["urgent"], bool)


def test_a_grammar_is_its_own_requests_alone(engine: LlamaEngine) -> None:
    free = answer(engine, max_tokens=12).text
    engine.submit(Request(1, (Message("user", "Where?"),), Sampling(grammar='root ::= "yes"')))
    engine.submit(Request(2, (Message("user", "Where?"),), Sampling(max_tokens=12)))
    events = []
    while engine.busy:
        events += engine.step()
    chunks = [event for event in events if isinstance(event, Chunk)]
    texts = [fold([chunk for chunk in chunks if chunk.request == number]).text for number in (1, 2)]
    assert texts == ["yes", free]


def test_letters_of_several_bytes_follow_a_grammar_too(engine: LlamaEngine) -> None:
    assert answer(engine, grammar='root ::= [äöü😀]{4} "€"').text[-1] == "€"


@pytest.mark.parametrize(
    "grammar",
    [
        "root ::= (",
        "root ::= other",
        "nothing at all",
        'answer ::= "yes"',
        "root ::= root root",
        'root ::= "a" | root "b"',
        "\x00",
        "root ::= [",
        'root ::= "\\x"',
        'root ::= a b\na ::= "x"?\nb ::= a root "y"',
        'root ::= "a"{3,1}',
    ],
)
def test_a_bad_grammar_is_refused_at_once_and_the_engine_goes_on(engine: LlamaEngine, grammar: str) -> None:
    with pytest.raises(EngineError, match="grammar cannot be used"):
        answer(engine, grammar=grammar)
    assert not engine.busy
    assert answer(engine, max_tokens=2).output_tokens


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/definitions/gone"},
        {"$ref": "https://example.com/schema.json"},
        {"type": "strange"},
        {"type": 7},
        {"type": "string", "pattern": "a"},
        {"properties": []},
    ],
)
def test_a_bad_schema_is_refused_at_once(engine: LlamaEngine, schema: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="schema"):
        answer(engine, json_schema=schema)
    assert not engine.busy


def test_a_grammar_and_a_schema_together_are_refused(engine: LlamaEngine) -> None:
    with pytest.raises(EngineError, match="both a grammar and a json_schema"):
        answer(engine, grammar='root ::= "a"', json_schema=SCHEMA)
