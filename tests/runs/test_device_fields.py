"""Devices of a model entry, typed as one line."""

from __future__ import annotations

import pytest

from workbench.errors import ModelError
from workbench.runs.bench_model import ModelChoice
from workbench.runs.device_fields import change_device_fields, write_device_fields

BIG = ModelChoice("big.gguf", context_tokens=4096, gpu_layers=20)


def test_what_is_written_is_read_again_and_the_rest_of_the_entry_stays():
    assert write_device_fields(BIG) == "gpu_layers: 20"
    text = "gpu_layers: all, tensor_split: [3.0, 1.0], kv_type: q8_0, rpc: ['10.0.0.2:50052'], offload_kv: false"
    changed = change_device_fields(BIG, text)
    assert (changed.path, changed.context_tokens) == ("big.gguf", 4096)
    assert (changed.gpu_layers, changed.tensor_split, changed.kv_type) == ("all", (3.0, 1.0), "q8_0")
    assert (changed.rpc, changed.offload_kv) == (("10.0.0.2:50052",), False)
    assert change_device_fields(BIG, write_device_fields(changed)) == changed
    assert change_device_fields(changed, "") == ModelChoice("big.gguf", context_tokens=4096)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu_layer: 3", "no field is named 'gpu_layer'"),
        ("path: other.gguf", "no field is named 'path'"),
        ("gpu_layers: -1", "gpu_layers: expected auto, all, none or a number from 0, found -1"),
        ("kv_type: q9", "kv_type"),
        ("rpc: ['8.8.8.8:1']", "8.8.8.8:1 is a public address"),
        ("gpu_layers: [", "cannot be read"),
        ("gpu_layers: 1}, {", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(text, words):
    with pytest.raises(ModelError) as refused:
        change_device_fields(BIG, text)
    assert words in refused.value.message
