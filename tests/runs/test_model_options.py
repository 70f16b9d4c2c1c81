"""`model.options` and `outputs` of a Prompty file are used: they set what a variant leaves at its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.datasets import Case
from workbench.errors import BenchError, PromptError
from workbench.inference.types import Sampling
from workbench.library.formats import prompty
from workbench.models.reference import Model
from workbench.runs.bench import parse_bench
from workbench.runs.generation import GenerationSpec
from workbench.runs.prompt_options import describe_options, with_options

FILE = """---
model:
  id: gpt-4o
  options: {temperature: 0.9, maxOutputTokens: 3, topP: 0.5, stopSequences: [END], allowMultipleToolCalls: true}
outputs:
  - {name: queue, kind: string, enumValues: [a, b], description: which}
  - {name: scores, kind: array, items: {kind: float}, required: false}
  - {name: inner, kind: object, properties: [{name: x, kind: integer}]}
---
system:
x
"""


def load(text: str):
    return prompty.load(text, "p", Path("p.prompty")).prompt


def test_options_of_both_versions_are_sampling_fields():
    found = load(FILE).options
    assert {key: found[key] for key in ("temperature", "max_tokens", "top_p", "stop")} == {
        "temperature": 0.9,
        "max_tokens": 3,
        "top_p": 0.5,
        "stop": ["END"],
    }
    old = "---\nmodel: {api: chat, parameters: {max_tokens: 7, stop: X, temperature: 0}}\n---\nx"
    assert load(old).options == {"max_tokens": 7, "stop": ["X"], "temperature": 0}


def test_outputs_are_a_strict_schema():
    schema = load(FILE).options["json_schema"]
    assert schema == {
        "type": "object",
        "properties": {
            "queue": {"type": "string", "description": "which", "enum": ["a", "b"]},
            "scores": {"type": "array", "items": {"type": "number"}},
            "inner": {
                "type": "object",
                "properties": {"x": {"type": "integer"}},
                "required": ["x"],
                "additionalProperties": False,
            },
        },
        "required": ["queue", "inner"],
        "additionalProperties": False,
    }
    assert load("---\noutputs: {answer: string, n: {kind: integer}}\n---\nx").options["json_schema"]["required"] == [
        "answer",
        "n",
    ]


def test_what_is_used_is_not_called_unused_and_the_rest_is():
    prompt = load(FILE)
    assert "temperature" not in prompt.unsupported and "outputs" not in prompt.unsupported
    assert "model.options.allowMultipleToolCalls" in prompt.unsupported
    odd = load("---\noutputs: [{name: voice, kind: audio}]\n---\nx")
    assert "`outputs`" in odd.unsupported and "json_schema" not in odd.options


def test_a_variant_goes_before_its_prompt():
    prompt = load(FILE)
    assert with_options(Sampling(), prompt).temperature == 0.9
    assert with_options(Sampling(), prompt).stop == ("END",)
    assert with_options(Sampling(temperature=0.2, max_tokens=50), prompt).temperature == 0.2
    assert with_options(Sampling(temperature=0.2, max_tokens=50), prompt).max_tokens == 50
    assert with_options(Sampling(), load("x")) == Sampling()
    assert with_options(Sampling(regex="a+"), prompt).json_schema is None  # at most one constraint
    assert describe_options(Sampling(max_tokens=9), prompt) == "temperature 0.9, top_p 0.5, stop END, json_schema"


def test_a_variant_may_keep_the_default_where_its_prompt_sets_a_field():
    prompt = load(FILE)
    found = with_options(Sampling(), prompt, ("temperature", "json_schema"))
    assert (found.temperature, found.json_schema, found.top_p) == (0.0, None, 0.5)
    assert describe_options(Sampling(max_tokens=9), prompt, ("top_p", "stop", "json_schema")) == "temperature 0.9"
    text = "variants: [{name: a, prompt: p, model: m, default_sampling: [temperature]}]\n"
    bench = parse_bench(text, "x.bench.yaml")
    assert bench.variants[0].default_sampling == ("temperature",)
    spec = GenerationSpec.of(bench.variants[0], prompt, Case(1, {}), "refuse", Model("m", Path("m.gguf"), "gguf"))
    assert (spec.sampling.temperature, spec.sampling.max_tokens) == (0.0, 3)
    with pytest.raises(BenchError, match=r"default_sampling: no sampling field is named 'heat'"):
        parse_bench(text.replace("[temperature]", "[heat]"), "x.bench.yaml")


def test_wrong_values_are_reported_with_their_line():
    with pytest.raises(PromptError, match=r"p.prompty:3: `model.options.temperature` is 'hot'; expected a number"):
        load("---\nmodel:\n  options: {temperature: hot, maxOutputTokens: 1.5}\n---\nx")


def test_saving_keeps_the_options_as_they_are_written():
    loaded = prompty.load(FILE, "p", Path("p.prompty"))
    assert prompty.dump(loaded.prompt, FILE) == FILE
