"""Devices of a model entry, typed as the fields of a form."""

from __future__ import annotations

import pytest

from workbench.device_choice import DeviceChoice
from workbench.errors import ModelError
from workbench.runs.bench_model import ModelChoice
from workbench.runs.device_fields import (
    DEVICE_FIELDS,
    change_device_fields,
    list_device_fields,
    write_device_fields,
)

BIG = ModelChoice("big.gguf", context_tokens=4096, gpu_layers=20)
EMPTY = {field.name: "" for field in list_device_fields("gguf")}


def test_what_is_written_is_read_again_and_the_rest_of_the_entry_stays() -> None:
    assert write_device_fields(BIG) == {"gpu_layers": "20"}
    texts = EMPTY | {
        "gpu_layers": "all",
        "tensor_split": "3.0, 1",
        "kv_type": "q8_0",
        "rpc": "10.0.0.2:50052, gpu-box:1",
        "offload_kv": "false",
        "flash_attention": "on",
    }
    changed = change_device_fields(BIG, texts)
    assert (changed.path, changed.context_tokens) == ("big.gguf", 4096)
    assert (changed.gpu_layers, changed.tensor_split, changed.kv_type) == ("all", (3.0, 1.0), "q8_0")
    assert (changed.rpc, changed.offload_kv) == (("10.0.0.2:50052", "gpu-box:1"), False)
    assert change_device_fields(BIG, EMPTY | write_device_fields(changed)) == changed
    assert change_device_fields(changed, EMPTY) == ModelChoice("big.gguf", context_tokens=4096)


def test_a_value_that_is_the_usual_one_is_kept_where_it_is_said() -> None:
    said = change_device_fields(BIG, EMPTY | {"gpu_layers": "auto", "kv_type": "f16"})
    assert write_device_fields(said) == {"gpu_layers": "auto", "kv_type": "f16"}


def test_a_folder_has_fields_of_its_own() -> None:
    folder = ModelChoice("qwen", dtype="bfloat16")
    texts = {field.name: "" for field in list_device_fields("hf")} | write_device_fields(folder)
    changed = change_device_fields(folder, texts | {"device_map": "cuda:1", "attention": "sdpa"})
    assert (changed.dtype, changed.device_map, changed.attention) == ("bfloat16", "cuda:1", "sdpa")
    assert list_device_fields("remote") == list_device_fields("scripted") == ()


def test_every_field_that_can_be_said_has_one_in_the_form() -> None:
    assert {field.name for field in DEVICE_FIELDS} == set(DeviceChoice.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gpu_layers", "-1", "gpu_layers: expected auto, all, none or a number from 0, found -1"),
        ("gpu_layers", "some", "gpu_layers: expected auto, all, none or a number from 0, found 'some'"),
        ("gpu_layers", "[", "gpu_layers: '[' cannot be read"),
        ("gpu_layers", "1.5", "gpu_layers: "),
        ("main_gpu", "first", "main_gpu: expected a number from 0, found 'first'"),
        ("kv_type", "q9", "kv_type: "),
        ("tensor_split", "3, x", "tensor_split: "),
        ("offload_kv", "maybe", "offload_kv: "),
        ("rpc", "8.8.8.8:1", "8.8.8.8:1 is a public address"),
        ("rpc", "10.0.0.2", "expected host:port"),
        ("kv_type", "\x1b[31m", "kv_type"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str, words: str) -> None:
    with pytest.raises(ModelError) as refused:
        change_device_fields(BIG, EMPTY | {name: text})
    assert words in refused.value.message
    assert "\x1b" not in refused.value.message
