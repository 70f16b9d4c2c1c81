"""Models and adapters: GGUF files, Hugging Face folders and PEFT folders, as the lists and pages of the product read
them, without an engine."""

from __future__ import annotations

import sys
from pathlib import Path

from .kinds import kind

sys.path.append(str(Path(__file__).parents[1]))  # where the fixtures that write tiny models lie


def make_gguf(folder: Path) -> list[Path]:
    from gguf_fixture import write_gguf, write_gguf_adapter

    model = write_gguf(folder / "model.gguf")
    return [model, write_gguf(folder / "spm.gguf", vocabulary="spm"), write_gguf_adapter(folder / "lora.gguf", model)]


@kind("gguf", make_gguf)
def read_gguf(path: Path) -> object:
    from workbench.cli.models import _describe, _describe_adapter
    from workbench.models.adapter_info import check_values, inspect_adapter
    from workbench.models.base_shape import read_base_shape
    from workbench.models.discovery import discover_adapters, discover_models
    from workbench.models.placement_estimate import estimate_pane
    from workbench.models.reference import Adapter, Model, model_at

    models = discover_models([path.parent])
    rows = [_describe(model) for model in models]
    rows += [_describe_adapter(adapter, models) for adapter in discover_adapters([path.parent])]
    if path.name == "lora.gguf":
        adapter = Adapter("lora", path, "gguf")
        inspect_adapter(adapter)
        return check_values(adapter), rows
    model = model_at(path)
    assert isinstance(model, Model)
    return read_base_shape(model), estimate_pane(model, (), 4096), rows


def make_hf(folder: Path) -> list[Path]:
    from hf_fixture import write_hf

    whole = write_hf(folder / "whole")
    parts = write_hf(folder / "parts")
    _split(parts)
    return [whole, parts]


def _split(folder: Path) -> None:
    """Write a folder's weights as two files and an index."""
    import json

    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    index = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "model.safetensors").unlink()


@kind("hf-folder", make_hf)
def read_hf(path: Path) -> object:
    from workbench.cli.models import _describe
    from workbench.models.base_shape import read_base_shape
    from workbench.models.discovery import discover_models
    from workbench.models.placement_estimate import estimate_pane
    from workbench.models.reference import model_at

    rows = [_describe(model) for model in discover_models([path.parent])]
    model = model_at(path)
    return read_base_shape(model), estimate_pane(model, (), 4096), rows


def make_peft(folder: Path) -> list[Path]:
    import peft
    from hf_fixture import LINEAR, write_adapter, write_hf

    base = write_hf(folder / "base")
    lora = write_adapter(base, folder / "lora", peft.LoraConfig(r=4, target_modules=LINEAR))
    patterned = peft.LoraConfig(
        r=4, target_modules=["q_proj"], layers_to_transform=[1], rank_pattern={"q_proj": 2}, alpha_pattern={"q_proj": 3}
    )
    return [lora, write_adapter(base, folder / "patterned", patterned)]


@kind("peft-folder", make_peft)
def read_peft(path: Path) -> object:
    from workbench.cli.models import _describe_adapter
    from workbench.models.adapter_info import check_values, inspect_adapter
    from workbench.models.compatibility import check_compatible
    from workbench.models.discovery import discover_adapters, discover_models
    from workbench.models.reference import adapter_at

    models = discover_models([path.parent])
    rows = [_describe_adapter(adapter, models) for adapter in discover_adapters([path.parent])]
    adapter = adapter_at(path)
    inspect_adapter(adapter)
    check_values(adapter)
    bases = discover_models([Path(__file__).parents[2] / "assets"])
    return [check_compatible(adapter, base) for base in bases], rows
