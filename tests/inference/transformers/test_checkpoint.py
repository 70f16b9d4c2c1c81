"""Loading a folder: the right precision, and one clear message for each way in which it fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch  # noqa: TID253 - precisions
from answers import ask, complete, open_engine
from hf_fixture import write_hf
from safetensors.torch import load_file, save_file

from workbench.errors import ModelError
from workbench.inference.transformers.checkpoint import choose_dtype
from workbench.inference.transformers.engine import TransformersEngine
from workbench.models.reference import Model

CPU, CARD = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def folder(tiny_hf: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_hf, tmp_path / "model"))


def _configure(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return change


def _drop(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _run_code(folder: Path) -> None:
    _configure(model_type="own", auto_map={"AutoConfig": "code.Own", "AutoModelForCausalLM": "code.Model"})(folder)
    (folder / "code.py").write_text(f"open({str(folder / 'was run')!r}, 'w').close()")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_configure(model_type="newest"), "architecture that transformers"),
        (_configure(model_type="t5", architectures=["T5ForConditionalGeneration"]), "as a language model"),
        (_configure(hidden_size="wide"), "could not be loaded"),
        (_configure(intermediate_size=48), "do not match its config.json"),
        (_configure(num_hidden_layers=3), "tensors are missing"),
        (_drop, r"1 tensor is missing \(model.layers.1.mlp.up_proj.weight\)"),
        (_run_code, "code of its own"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer"),
    ],
)
def test_a_folder_that_cannot_be_loaded_says_why_in_one_sentence(
    folder: Path, damage: Callable[[Path], object], words: str
) -> None:
    damage(folder)
    with pytest.raises(ModelError, match=words) as raised:
        open_engine(folder)
    assert "\n" not in raised.value.message
    assert str(folder) in raised.value.message
    assert raised.value.hint
    assert not (folder / "was run").exists()


def test_a_model_too_big_for_the_memory_is_refused_with_the_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(ModelError, match=r"too big for the free memory.*200 tokens"):
        open_engine(folder)


def test_a_load_can_be_given_up(folder: Path) -> None:
    with pytest.raises(ModelError, match="given up"):
        TransformersEngine.open(Model("tiny", folder, "hf"), 1, 8192, lambda _: False)


def test_precision_is_the_checkpoints_own_where_the_device_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for computes in (True, False):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda answer=computes: answer)
        assert choose_dtype("BF16", CPU) == (torch.bfloat16 if computes else torch.float32)
        assert choose_dtype("F16", CPU) == choose_dtype("F32", CPU) == torch.float32
    assert choose_dtype("BF16", CARD) == torch.bfloat16
    assert choose_dtype("F16", CARD) == torch.float16


def test_a_checkpoint_in_half_precision_answers(tmp_path: Path) -> None:
    folder = write_hf(tmp_path / "half", dtype=torch.bfloat16)
    engine = open_engine(folder)
    first, again = complete(engine, ask(1), ask(2))
    assert first.text == again.text != ""
    assert engine.info.dtype == str(choose_dtype("BF16", CPU)).removeprefix("torch.")
