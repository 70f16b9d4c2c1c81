"""Loading in 8 or 4 bits: where bitsandbytes cannot do it, one sentence says why; where it can, it answers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import peft  # noqa: TID253 - to make adapters
import pytest
import torch  # noqa: TID253 - devices
from answers import ask, complete
from hf_fixture import LINEAR, write_adapter

from workbench.errors import ModelError
from workbench.inference.transformers import quantization
from workbench.inference.transformers.engine import TransformersEngine
from workbench.models.reference import Model

CPU = torch.device("cpu")


def pretend(monkeypatch: pytest.MonkeyPatch, devices: set[str], new: bool = True) -> None:
    """A bitsandbytes that runs on these devices."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(quantization, "version", lambda name: "0.9")
    monkeypatch.setattr(quantization, "is_bitsandbytes_available", lambda: new)
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace(supported_torch_devices=devices))


def test_without_bitsandbytes_the_way_to_it_is_named(tiny_hf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="in 4bit needs bitsandbytes, which is not installed") as raised:
        TransformersEngine.open(Model("tiny", tiny_hf, "hf", quantization="4bit"), 1, 200, lambda _: True)
    assert "pip install" in raised.value.hint


def test_an_old_one_and_one_for_other_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"cpu"}, new=False)
    with pytest.raises(ModelError, match="or newer; found 0"):
        quantization.check_bitsandbytes("8bit", CPU)
    pretend(monkeypatch, {"cuda", "xpu"})
    with pytest.raises(ModelError, match="runs on cuda, xpu, and this model would run on cpu"):
        quantization.check_bitsandbytes("8bit", CPU)


def test_where_it_runs_the_weights_are_packed_in_the_chosen_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"cpu"})
    assert quantization.make_quantization_config("", torch.float32, CPU) is None
    assert quantization.make_quantization_config("8bit", torch.float32, CPU).load_in_8bit
    made = quantization.make_quantization_config("4bit", torch.bfloat16, CPU)
    assert (made.load_in_4bit, made.bnb_4bit_compute_dtype) == (True, torch.bfloat16)


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
@pytest.mark.parametrize("kind", ["8bit", "4bit"])
def test_a_packed_model_answers_with_and_without_an_adapter(kind: str, desk_hf: Path, tmp_path: Path) -> None:
    path = write_adapter(desk_hf, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules=LINEAR))
    model = Model("desk", desk_hf, "hf", quantization=kind)  # type: ignore[arg-type]
    engine = TransformersEngine.open(model, 1, 200, lambda _: True)
    assert engine.info.quantization == kind
    bare, laid = complete(engine, ask(1), ask(2, adapters=((path, 1.0),)))
    assert bare.text != laid.text


def test_half_precision_is_what_was_asked_for(tiny_hf: Path) -> None:
    engine = TransformersEngine.open(Model("tiny", tiny_hf, "hf", dtype="bfloat16"), 1, 200, lambda _: True)
    assert engine.info.dtype == "bfloat16"
    assert complete(engine, ask(1))[0].text
