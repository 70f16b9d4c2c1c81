"""`workbench models --about`: one model in detail, before it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.inference.device_inventory import DeviceInventory, FoundDevices
from workbench.models.device_share import Device

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


@pytest.fixture
def cards(monkeypatch):
    """One card with room for the embedded model, and one with none."""
    found = (Device("CUDA0", "A card", "CUDA", 2**30, 2**31), Device("CUDA1", "Full", "CUDA", 2**20, 2**30))
    monkeypatch.setattr(DeviceInventory, "find", lambda self, offload: FoundDevices(found, ("A server is away.",)))


def test_what_each_device_will_have_is_told_before_a_model_is_loaded(call, cards):
    code, out, _ = call("models", "--about", "desk-q8_0")
    assert code == 0
    assert "0 layers on the CPU" in out
    assert "CUDA0: 5 layers, weights 1.9 MiB, KV cache 15.0 MiB, buffers" in out
    assert "of 1.0 GiB free: fits" in out
    assert "A server is away." in out
    code, out, _ = call("models", "--about", "desk-q8_0", "--main-gpu", "1", "--gpu-layers", "all", "--json")
    memory = json.loads(out)["memory"]
    assert (code, memory["fits"]) == (2, False)
    assert [(share["device"], share["layers"], share["fits"]) for share in memory["shares"]] == [
        ("CUDA0", 0, True),
        ("CUDA1", 5, False),
    ]


def test_the_list_and_the_plan_of_a_run_say_what_goes_on_devices(call, cards, tmp_path):
    code, out, _ = call("models", ASSETS, "--json")
    rows = {row["name"]: row["memory"] for row in json.loads(out)["models"]}
    assert code == 0
    assert rows["desk-q8_0"]["devices"][0]["layers"] == 5
    assert rows["desk"]["devices"] == []
    assert rows["desk"]["ram_bytes"] > 2**20
    code, out, _ = call("models", ASSETS)
    assert "takes 5 layers on CUDA0" in " ".join(out.split())
    bench = tmp_path / "a.bench.yaml"
    (tmp_path / "cases.jsonl").write_text('{"message": "hi", "expected": "Lantern"}\n')
    bench.write_text(
        "dataset: {path: cases.jsonl, expected: expected}\nscorers: [exact_match]\n"
        f"models: {{m: {{path: {ASSETS / 'desk-q8_0.gguf'}}}}}\n"
        "variants:\n  - {name: a, prompt: queues/plain, model: m}\n"
    )
    code, out, err = call("eval", bench, "--dry-run")
    assert "memory on CUDA0: about " in out + err
