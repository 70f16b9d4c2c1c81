"""Adapters that are broken or for something else: one clear message before anything is loaded, never an answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

ASSETS = Path(__file__).parents[2] / "assets"
DOWN = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
Change = Callable[[Path], object]


def tensors(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Change:
    def apply(folder: Path) -> None:
        file = folder / "adapter_model.safetensors"
        save_file(change(dict(load_file(file))), file, {"format": "pt"})

    return apply


def config(**values: object) -> Change:
    def apply(folder: Path) -> None:
        file = folder / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return apply


def cut(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def nan(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found[DOWN][0, 3] = np.nan
    return found


@pytest.fixture
def adapter(folder: Path) -> Path:
    return Path(shutil.copytree(ASSETS / "queues-lora", folder / "mine"))


@pytest.mark.parametrize("base", ["desk-q8_0", "desk"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (tensors(lambda found: {name: array for name, array in found.items() if name != DOWN}), "lacks its lora_A"),
        (
            tensors(lambda found: {name: array for name, array in found.items() if "layers.0.mlp.down" not in name}),
            "mlp.down_proj in layer 0 is missing from the adapter",
        ),
        (tensors(lambda found: {**found, DOWN: found[DOWN][:, :96].copy()}), "goes from 96 to 160 values"),
        (tensors(nan), "weights that are not numbers"),
        (
            tensors(lambda found: {name.replace("layers.3", "layers.9"): array for name, array in found.items()}),
            "trained on 10 layers or more, and the base has 4",
        ),
        (config(peft_type="WARPLORA"), "its type is WARPLORA"),
        (config(lora_alpha="lots"), "describes no adapter"),
        (cut, "is cut off"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b""), "is cut off"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "describes no adapter"),
    ],
    ids=["half", "pair", "shape", "nan", "layers", "type", "alpha", "cut", "empty", "config"],
)
def test_a_broken_adapter_is_one_message_before_anything_is_loaded(call, adapter, base, damage, said):
    damage(adapter)
    code, out, err = call("run", "ask.prompty", "--var", "message=hi", "--model", base, "--adapter", "./mine")
    assert (code, out) == (2, "")
    assert said in err


def test_several_adapters_are_judged_together(call, adapter, folder):
    cut(adapter)
    other = Path(shutil.copytree(ASSETS / "queues-lora", folder / "other"))
    config(peft_type="WARPLORA")(other)
    laid = ("--adapter", "./mine", "--adapter", "./other=0.5")
    code, _, err = call("run", "ask.prompty", "--var", "message=hi", "--model", "desk-q8_0", *laid)
    assert code == 2
    assert "is cut off" in err
    assert "its type is WARPLORA" in err


@pytest.mark.model
def test_keys_of_a_newer_peft_and_a_base_that_is_not_here_are_told_and_the_adapter_runs(call, adapter):
    config(use_quantum=True, base_model_name_or_path="somebody/Model-70B")(adapter)
    wanted = ("run", "ask.prompty", "--var", "message=hi", "--max-tokens", "2", "--model", "desk-q8_0")
    code, out, err = call(*wanted, "--adapter", "./mine")
    assert code == 0
    assert out
    assert "trained on somebody/Model-70B, not on desk-q8_0" in err
    code, listed, _ = call("models", adapter.parent)
    assert "use_quantum" in listed
    assert "Base model not found: somebody/Model-70B" in " ".join(listed.split())
