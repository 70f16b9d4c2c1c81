"""Constrained output on both engines: an answer follows its schema or grammar, or they are refused at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from workbench.errors import EngineError
from workbench.inference.types import Chunk, Completion, Engine, GenerateRequest, Sampling, fold
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

SCHEMA = {
    "type": "object",
    "properties": {
        "queue": {"enum": ["billing", "orders"]},
        "urgent": {"type": "boolean"},
        "n": {"type": "integer", "minimum": 1, "maximum": 20},
    },
    "required": ["queue", "urgent", "n"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=["gguf", "hf"])
def engine(request: pytest.FixtureRequest, tiny_gguf: Callable[..., Path], tiny_hf: Path) -> Iterator[Engine]:
    if request.param == "gguf":
        from workbench.inference.llamacpp.engine import LlamaEngine

        made: Engine = LlamaEngine.open(Model("tiny", tiny_gguf("tiny")), 1, 8192, lambda _: True)
    else:
        from workbench.inference.transformers.engine import TransformersEngine

        made = TransformersEngine.open(Model("tiny", tiny_hf, "hf"), 1, 8192, lambda _: True)
    yield made
    made.close()


def ask(number: int, **sampling: Any) -> GenerateRequest:
    return GenerateRequest(number, (Message("user", "Where?"),), Sampling(**{"max_tokens": 150, **sampling}))


def complete(engine: Engine, *requests: GenerateRequest) -> list[Completion]:
    for request in requests:
        engine.submit(request)
    chunks: list[Chunk] = []
    while engine.busy:
        chunks += [event for event in engine.step() if isinstance(event, Chunk)]
    return [fold([chunk for chunk in chunks if chunk.request == request.id]) for request in requests]


@pytest.mark.parametrize("sampling", [{}, {"temperature": 2.0, "seed": 4}, {"temperature": 1.0, "top_k": 3}])
def test_an_answer_follows_its_grammar_and_then_ends(engine: Engine, sampling: dict[str, Any]) -> None:
    (completion,) = complete(engine, ask(1, grammar='root ::= "the " ("in" | "an") [0-9]{3}', **sampling))
    assert re.fullmatch("the (in|an)[0-9]{3}", completion.text)
    assert completion.stop_reason == "eos"


def test_answers_of_many_rows_are_valid_under_their_schema(engine: Engine) -> None:
    requests = [ask(number, json_schema=SCHEMA, temperature=1.5, seed=number) for number in range(6)]
    completions = complete(engine, *requests, ask(9, max_tokens=9))
    for completion in completions[:-1]:
        assert completion.stop_reason == "eos"
        jsonschema.validate(json.loads(completion.text), SCHEMA)
    assert completions[-1].text == complete(engine, ask(9, max_tokens=9))[0].text


def test_an_answer_that_is_cut_says_so(engine: Engine) -> None:
    (completion,) = complete(engine, ask(1, json_schema=SCHEMA, max_tokens=4))
    assert completion.stop_reason == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(completion.text)


def test_a_regular_expression_is_matched_whole(engine: Engine) -> None:
    for completion in complete(
        engine, *(ask(seed, regex="(ab|ünï)[0-9]?", temperature=2.0, seed=seed) for seed in range(4))
    ):
        assert re.fullmatch("(ab|ünï)[0-9]?", completion.text)


@pytest.mark.parametrize(
    ("sampling", "found"),
    [
        ({"json_schema": {"type": "array", "uniqueItems": True}}, "uniqueItems"),
        ({"grammar": "root ::= ("}, "grammar cannot be enforced"),
        ({"regex": "("}, "regular expression cannot be enforced"),
        ({"grammar": 'root ::= "a"', "json_schema": SCHEMA}, "both a grammar and a json_schema"),
    ],
)
def test_what_cannot_be_enforced_is_refused_and_the_engine_goes_on(
    engine: Engine, sampling: dict[str, Any], found: str
) -> None:
    with pytest.raises(EngineError, match=found):
        engine.submit(ask(1, **sampling))
    assert not engine.busy
    assert complete(engine, ask(2, max_tokens=2))[0].output_tokens
