from __future__ import annotations

import json

import pytest

from workbench.errors import ModelError
from workbench.models.reference import (
    Adapter,
    Applied,
    Model,
    adapter_at,
    model_at,
    resolve_adapters,
    resolve_model,
    with_template_kwargs,
)
from workbench.runs.bench import AdapterChoice, ModelChoice


@pytest.fixture
def known(tmp_path):
    (tmp_path / "desk-q8_0.gguf").touch()
    return (Model("desk-q8_0", tmp_path / "desk-q8_0.gguf"), Model("desk-f16", tmp_path / "desk-f16.gguf"))


def test_a_model_that_was_found_goes_by_its_name(tmp_path, known):
    assert resolve_model("desk-q8_0", {}, tmp_path, known) is known[0]


def test_a_choice_of_the_bench_comes_before_a_model_of_that_name(tmp_path, known):
    (tmp_path / "own.gguf").touch()
    choice = ModelChoice("own.gguf", chat_template="{{ x }}", context_tokens=512)
    assert resolve_model("desk-q8_0", {"desk-q8_0": choice}, tmp_path, known) == Model(
        "desk-q8_0", tmp_path / "own.gguf", "gguf", "{{ x }}", 512
    )


def test_a_choice_may_name_a_model_that_was_found(tmp_path, known):
    model = resolve_model("short", {"short": ModelChoice("desk-f16", context_tokens=64)}, tmp_path, known)
    assert (model.name, model.path, model.context_tokens) == ("short", known[1].path, 64)


def test_a_choice_may_name_a_precision_for_a_folder_alone(tmp_path, known):
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").touch()
    choices = {
        "packed": ModelChoice("hf", dtype="bfloat16", quantization="4bit"),
        "file": ModelChoice("desk-q8_0.gguf", dtype="float16"),
    }
    model = resolve_model("packed", choices, tmp_path, known)
    assert (model.dtype, model.quantization) == ("bfloat16", "4bit")
    with pytest.raises(ModelError, match="file cannot be opened with float16"):
        resolve_model("file", choices, tmp_path, known)


@pytest.mark.parametrize("given", ["sub/own.gguf", "{folder}/sub/own.gguf"])
def test_a_path_is_a_model_too(tmp_path, given):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.gguf").touch()
    model = resolve_model(given.format(folder=tmp_path), {}, tmp_path, ())
    assert (model.name, model.path, model.format) == ("own", tmp_path / "sub" / "own.gguf", "gguf")


def test_the_form_of_a_model_shows_in_its_name(tmp_path):
    (tmp_path / "a.script.json").touch()
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").touch()
    assert model_at(tmp_path / "a.script.json").format == "scripted"
    assert model_at(tmp_path / "hf").format == "hf"
    assert model_at(tmp_path / "hf").name == "hf"


def test_an_unknown_name_brings_the_nearest_ones(tmp_path, known):
    with pytest.raises(ModelError, match="desk-q80") as caught:
        resolve_model("desk-q80", {}, tmp_path, known)
    assert "Did you mean desk-q8_0" in caught.value.hint


def test_an_unknown_name_among_no_models_says_so(tmp_path):
    with pytest.raises(ModelError) as caught:
        resolve_model("desk", {}, tmp_path, ())
    assert "No model was found" in caught.value.hint


@pytest.mark.parametrize("name", ["notes.txt", "empty"])
def test_what_is_no_model_is_refused(tmp_path, name):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="No model at"):
        resolve_model(name, {}, tmp_path, ())


def test_a_choice_whose_file_is_gone_says_where_it_was(tmp_path):
    with pytest.raises(ModelError, match="nothing is there") as caught:
        resolve_model("own", {"own": ModelChoice("gone.gguf")}, tmp_path, ())
    assert "gone.gguf" in caught.value.message


def test_adapters_go_by_name_or_path_and_those_that_are_off_are_left_out(tmp_path):
    (tmp_path / "calm").mkdir()
    (tmp_path / "calm" / "adapter_config.json").touch()
    (tmp_path / "terse.gguf").touch()
    known = (Adapter("bright", tmp_path / "bright"),)
    choices = [
        AdapterChoice("bright", 0.5),
        AdapterChoice("calm"),
        AdapterChoice("terse.gguf", 2.0),
        AdapterChoice("gone", on=False),
        AdapterChoice("gone too", 0.0),
    ]
    assert resolve_adapters(choices, tmp_path, known) == (
        Applied(known[0], 0.5),
        Applied(Adapter("calm", tmp_path / "calm", "peft"), 1.0),
        Applied(Adapter("terse", tmp_path / "terse.gguf", "gguf"), 2.0),
    )


def test_every_adapter_that_is_not_there_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ModelError) as caught:
        resolve_adapters(
            [AdapterChoice("brihgt"), AdapterChoice("notes.txt")], tmp_path, (Adapter("bright", tmp_path),)
        )
    assert "'brihgt'" in caught.value.message
    assert "notes.txt" in caught.value.message
    assert "Did you mean bright" in caught.value.hint


def test_a_file_inside_a_peft_folder_leads_to_the_folder(tmp_path):
    (tmp_path / "adapter_config.json").touch()
    (tmp_path / "adapter_model.safetensors").touch()
    with pytest.raises(ModelError) as caught:
        adapter_at(tmp_path / "adapter_model.safetensors")
    assert str(tmp_path) in caught.value.hint


def test_template_variables_of_a_variant_go_before_those_of_its_model(tmp_path, known):
    choice = ModelChoice("desk-f16", chat_template_kwargs={"enable_thinking": True, "date": "2026-11-30"})
    model = resolve_model("own", {"own": choice}, tmp_path, known)
    assert json.loads(model.chat_template_kwargs) == {"enable_thinking": True, "date": "2026-11-30"}
    varied = with_template_kwargs(model, {"enable_thinking": False})
    assert json.loads(varied.chat_template_kwargs) == {"enable_thinking": False, "date": "2026-11-30"}
    assert with_template_kwargs(varied, {}) is varied
    assert hash(varied) != hash(model)  # a model is a key


def test_template_variables_that_are_no_json_are_refused(known):
    with pytest.raises(ModelError, match="chat_template_kwargs of desk-f16"):
        with_template_kwargs(known[1], {"tools": object()})
