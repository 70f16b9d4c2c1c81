"""`workbench models --about`: one model in detail, before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "assets"


def test_a_model_is_described_with_what_is_laid_over_it(call):
    code, out, _ = call("models", "--about", "desk", "--adapter", "queues-lora", "--dtype", "bfloat16")
    assert code == 0
    assert "computed in    bfloat16" in out
    assert "adapters 400 KiB" in out
    assert "✓ compatible" in out


def test_json_has_the_same(call):
    code, out, _ = call("models", "--about", ASSETS / "desk-q8_0.gguf", "--adapter", "queues-lora", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["memory"]["fits"]
    assert facts["adapters"][0]["problems"] == []


def test_an_adapter_that_does_not_go_with_it_is_told_with_every_reason(call, tmp_path, tiny_gguf):
    from gguf_fixture import write_gguf_adapter

    path = write_gguf_adapter(tmp_path / "other.gguf", tiny_gguf("window", architecture="gemma2"))
    code, out, _ = call("models", "--about", "desk-q8_0", "--adapter", path)
    assert code == 2
    assert "made for the architecture gemma2" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--about", "desk-q8_0", "--dtype", "float16"), "only a Hugging Face folder can"),
        (("--about", "desk", "--quantization", "2bit"), "expected one of 8bit, 4bit"),
        (("--about", "dask"), "Did you mean desk"),
        (("--load",), "--about"),
        (("--gpu-layers", "3"), "Name one with --about"),
        (("--about", "desk-q8_0", "--gpu-layers", "some"), "--gpu-layers: expected auto, all, none or a number"),
        (("--about", "desk-q8_0", "--tensor-split", "a,b"), "--tensor-split a,b: expected numbers"),
        (("--about", "desk-q8_0", "--rpc", "8.8.8.8:1"), "8.8.8.8:1 is a public address"),
        (("--about", "desk", "--kv-type", "q8_0"), "desk cannot be opened with kv_type"),
        (("--about", "desk-q8_0", "--gpu-layers", "all", "--load"), "gpu_layers asks for all layers on a GPU"),
    ],
)
def test_what_cannot_be_told_says_why(call, arguments, said):
    code, out, err = call("models", *arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.model
def test_a_model_that_is_loaded_says_as_what(call):
    code, out, _ = call("models", "--about", "desk-q8_0", "--load")
    assert code == 0
    assert "by llama.cpp on" in out


def test_a_loaded_model_says_what_is_where(call):
    code, out, _ = call("models", "--about", "desk-q8_0", "--kv-type", "q8_0", "--load")
    assert code == 0
    assert "CPU: 5 layers, weights 1.9 MiB, KV cache 8.0 MiB" in out
    code, out, _ = call(
        "models", "--about", "desk-q8_0", "--no-offload-kv", "--flash-attention", "on", "--load", "--json"
    )
    placed = json.loads(out)["loaded"]["placement"]
    assert [(share["device"], share["layers"]) for share in placed] == [("CPU", 5)]
