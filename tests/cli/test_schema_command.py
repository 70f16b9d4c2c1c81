from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from workbench.runs.bench import Bench
from workbench.runs.file_schema import make_schema, split_docstring
from workbench.scoring.registry import scorer_kinds
from workbench.settings import Settings
from workbench.training.recipe import Recipe
from workbench.yaml_tree import parse_yaml, to_plain

KINDS = {"bench": Bench, "recipe": Recipe, "settings": Settings}
CHECKOUT = Path(__file__).parents[2]
BENCH = {"variants": [{"name": "a", "prompt": "p", "model": "m"}]}


def accepts(kind, value):
    return Draft202012Validator(make_schema(kind)).is_valid(value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(call, kind):
    code, out, err = call("schema", kind)
    schema = json.loads(out)
    assert (code, err) == (0, "")
    Draft202012Validator.check_schema(schema)
    parts = {kind: schema, **schema["$defs"]}
    assert set(schema["properties"]) == set(KINDS[kind].__struct_fields__)
    fields = [(name, *field) for name, part in parts.items() for field in part.get("properties", {}).items()]
    bare = [(name, key) for name, key, field in fields if not field.get("description")]
    assert bare == []


def test_an_unknown_kind_is_refused(call):
    code, _, err = call("schema", "poem")
    assert (code, "bench, recipe, settings" in err) == (2, True)


def test_the_shipped_bench_is_valid():
    assert accepts(Bench, to_plain(parse_yaml((CHECKOUT / "prompts/demo.bench.yaml").read_text())))


def test_a_wrong_key_and_a_wrong_type_are_not():
    assert accepts(Bench, BENCH)
    assert not accepts(Bench, {**BENCH, "varaints": []})
    assert not accepts(Bench, {**BENCH, "case": "first"})
    assert not accepts(Bench, {"variants": 3})
    assert accepts(Recipe, {"base": "m", "method": {"rank": 4}})
    assert not accepts(Recipe, {"base": "m", "method": {"rnak": 4}})
    assert accepts(Settings, {"live": False, "prompt_cache_ram": "1 GiB", "step_seconds": 0.1})
    assert not accepts(Settings, {"live": "yes"})


def test_scorers_are_completed_with_their_options():
    for good in ("exact_match", {"exact_match": {"ignore_case": True, "weight": 2}}, {"json_valid": None}):
        assert accepts(Bench, {**BENCH, "scorers": [good]})
    for bad in ("exact", {"exact_match": {"ignore": True}}, {"exact_match": {}, "json_valid": {}}, {}):
        assert not accepts(Bench, {**BENCH, "scorers": [bad]})
    nested = {"combined": {"parts": ["json_valid", {"token_f1": {"weight": 3}}]}}
    assert accepts(Bench, {**BENCH, "scorers": [nested]})
    assert not accepts(Bench, {**BENCH, "scorers": [{"combined": {"parts": ["json_valit"]}}]})


def test_the_examples_of_the_scorers_help_are_valid():
    for kind in scorer_kinds().values():
        assert accepts(Bench, {**BENCH, "scorers": [to_plain(parse_yaml(f"- {kind.example}"))[0]]}), kind.name


def test_a_docstring_is_split_by_fields():
    summary, texts = split_docstring(Bench)
    assert summary == "Variants, cases and scorers."
    assert texts["repeats"].startswith("how often each variant")
