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
    assert "adapters 0.4 MiB" in out
    assert "✓ goes with it" in out


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
        (("--about", "desk", "--quantization", "2bit"), "none of 8bit, 4bit"),
        (("--about", "dask"), "Did you mean desk"),
        (("--load",), "--about"),
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
