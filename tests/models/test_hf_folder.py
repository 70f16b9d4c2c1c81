"""What a Hugging Face folder says of its model, and every way in which it can be incomplete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from workbench.errors import ModelError
from workbench.models.hf_folder import INDEX, inspect_folder
from workbench.models.model_info import inspect_model
from workbench.models.reference import Model


@pytest.fixture
def folder(tiny_hf: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_hf, tmp_path / "model"))


def split(folder: Path) -> None:
    """Save the weights in two parts, as large models have them."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(sorted(tensors))}
    for part in set(places.values()):
        save_file({name: tensors[name] for name, place in places.items() if place == part}, folder / part)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def configure(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_folder_is_described_without_loading_it(folder: Path) -> None:
    info = inspect_model(Model("tiny", folder, "hf"))
    tensors = load_file(folder / "model.safetensors")
    assert (info.architecture, info.quantization, info.context_trained_tokens) == ("llama", "F32", 200)
    assert info.parameters == sum(tensor.size for tensor in tensors.values())
    assert info.kv_bytes_per_token == 2 * 2 * 8 * 2 * 4  # layers, groups, width of a head, keys and values, bytes
    assert info.has_chat_template


def test_weights_in_several_parts_are_one_model(folder: Path) -> None:
    whole = inspect_folder(folder)
    split(folder)
    assert inspect_folder(folder).parameters == whole.parameters


def test_a_quantised_checkpoint_is_named_by_its_method(folder: Path) -> None:
    configure(folder, quantization_config={"quant_method": "gptq"})
    assert inspect_folder(folder).quantization == "gptq"


def test_half_precision_is_counted_as_such(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.astype(np.float16) for name, tensor in tensors.items()}, folder / "model.safetensors")
    assert (inspect_folder(folder).quantization, inspect_folder(folder).kv_bytes_per_token) == ("F16", 128)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _lose_part(folder: Path) -> None:
    split(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def _point_outside(folder: Path) -> None:
    split(folder)
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def _lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("damage", "words", "advice"),
    [
        (_lose("config.json"), "no config.json", "config.json"),
        (_write("config.json", "["), "not a JSON object", "again"),
        (_write("config.json", "[" * 100_000), "not a JSON object", "again"),
        (_write("config.json", "{}"), "model_type", "again"),
        (_lose("tokenizer.json"), "tokenizer.json is missing", "again"),
        (_lose("model.safetensors"), "no weights", "again"),
        (_pickle, "pickled", "--allow-pickle"),
        (_cut, "cut off", "again"),
        (_lose_part, "missing: model-00002-of-00002", "again"),
        (_point_outside, "outside the folder", "again"),
        (_write("model.safetensors", "nonsense of some length"), "cut off, or no safetensors", "again"),
    ],
)
def test_an_unusable_folder_says_what_is_wrong_and_what_to_do(
    folder: Path, damage: Callable[[Path], object], words: str, advice: str
) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=words) as raised:
        inspect_folder(folder)
    assert advice in raised.value.hint
    assert str(folder) in raised.value.message


def test_an_index_that_is_no_index_is_named(folder: Path) -> None:
    split(folder)
    for content in ("{", "{}", '{"weight_map": 5}', "7"):
        (folder / INDEX).write_text(content)
        with pytest.raises(ModelError, match="cannot be read"):
            inspect_folder(folder)


def test_everything_that_is_missing_is_named_at_once(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"(?s)no weights.*tokenizer.json is missing"):
        inspect_folder(folder)
