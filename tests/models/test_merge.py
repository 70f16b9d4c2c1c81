"""A merged model must compute what its base did with the adapter."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
from hf_fixture import LINEAR, write_adapter, write_hf
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253 - the yardstick

from workbench.errors import ModelError
from workbench.models.merge import merge
from workbench.models.reference import Adapter, Applied, Model

IDS = torch.tensor([list(range(5, 35))])


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("base") / "tiny")


def test_a_merged_model_needs_neither_base_nor_adapter(hf: Path, tmp_path: Path) -> None:
    path = write_adapter(hf, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules=LINEAR, use_dora=False))
    merge(Model("tiny", hf, "hf"), [Applied(Adapter("a", path), 0.5)], tmp_path / "merged")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        laid = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(hf), path)
        for module in laid.modules():
            if isinstance(module, peft.tuners.lora.LoraLayer):
                module.scale_layer(0.5)
        expected = laid(input_ids=IDS).logits[0].numpy()
        found = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(input_ids=IDS).logits[0].numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    assert not (tmp_path / "merged" / "adapter_config.json").exists()


def test_what_cannot_be_merged_is_refused_and_leaves_nothing(hf: Path, tmp_path: Path) -> None:
    path = write_adapter(hf, tmp_path / "prompt", peft.PromptTuningConfig(num_virtual_tokens=3))
    with pytest.raises(ModelError, match="changes no weights"):
        merge(Model("tiny", hf, "hf"), [Applied(Adapter("prompt", path))], tmp_path / "merged")
    with pytest.raises(ModelError, match="only a PEFT adapter"):
        merge(Model("tiny", hf, "gguf"), [Applied(Adapter("prompt", path))], tmp_path / "merged")
    (tmp_path / "merged").mkdir()
    with pytest.raises(ModelError, match="already there"):
        merge(Model("tiny", hf, "hf"), [Applied(Adapter("prompt", path))], tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged", "prompt"]


pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of peft and transformers
ENDS = [["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head", "q_proj"]]


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    return write_hf(tmp_path_factory.mktemp("tied") / "tiny", tie_word_embeddings=True)


def logits(folder, *adapters):
    """What peft itself computes: each adapter alone over the base, their changes added."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for number, path in enumerate(adapters):
        if number == 0:
            model = peft.PeftModelForCausalLM.from_pretrained(model, str(path), adapter_name="0")
        else:
            model.load_adapter(str(path), str(number))
    if len(adapters) > 1:
        model.base_model.set_adapter([str(number) for number in range(len(adapters))])
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 60)[None]).logits[0]


@pytest.mark.parametrize("targets", ENDS)
def test_what_changes_one_end_of_a_tied_model_leaves_the_other(tied, tmp_path, targets):
    path = write_adapter(tied, tmp_path / "ends", peft.LoraConfig(r=4, target_modules=targets))
    notes = merge(Model("tiny", tied, "hf"), [Applied(Adapter("ends", path))], tmp_path / "merged")
    assert "are two now" in notes[0]
    expected, found = logits(tied, path), logits(tmp_path / "merged")
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert (found - logits(tied)).abs().max() > 0.01


def test_a_trained_copy_of_a_tied_head_is_the_heads_alone(tied, tmp_path):
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=["lm_head"])
    path = write_adapter(tied, tmp_path / "saved", config)
    merge(Model("tiny", tied, "hf"), [Applied(Adapter("saved", path))], tmp_path / "merged")
    expected = logits(tied, path)
    assert (logits(tmp_path / "merged") - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_tied_model_stays_tied_where_neither_end_changes(tied, tmp_path):
    path = write_adapter(tied, tmp_path / "inside", peft.LoraConfig(r=4, target_modules=["q_proj"]))
    assert merge(Model("tiny", tied, "hf"), [Applied(Adapter("inside", path))], tmp_path / "merged") == ()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").config.tie_word_embeddings


def test_several_adapters_are_merged_together_in_any_order(tied, tmp_path):
    one = write_adapter(tied, tmp_path / "one", peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    two = write_adapter(tied, tmp_path / "two", peft.LoraConfig(r=2, target_modules=["q_proj", "lm_head"]), seed=9)
    expected = logits(tied, one, two)
    for number, order in enumerate(((one, two), (two, one))):
        laid = [Applied(Adapter(path.name, path)) for path in order]
        merge(Model("tiny", tied, "hf"), laid, tmp_path / str(number))
        found = logits(tmp_path / str(number))
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_names_as_inside_a_training_are_read_like_those_on_disk(tied, tmp_path, monkeypatch):
    """PEFT itself would find no weights in such a file, and merge nothing without a word."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"])
    path = write_adapter(tied, tmp_path / "plain", config)
    inner = Path(shutil.copytree(path, tmp_path / "inner"))
    tensors = load_file(path / "adapter_model.safetensors")
    renamed = {re.sub(r"(lora_(embedding_)?[AB])", r"\1.default", name): value for name, value in tensors.items()}
    assert renamed.keys() != tensors.keys()
    save_file(renamed, inner / "adapter_model.safetensors")
    merge(Model("tiny", tied, "hf"), [Applied(Adapter("inner", inner))], tmp_path / "merged")
    expected = logits(tied, path)
    assert (logits(tmp_path / "merged") - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_a_dora_is_merged_alone_and_not_among_others(tied, tmp_path):
    dora = write_adapter(tied, tmp_path / "dora", peft.LoraConfig(r=4, target_modules=["q_proj"], use_dora=True))
    laid = [Applied(Adapter("one", dora)), Applied(Adapter("two", dora))]
    with pytest.raises(ModelError, match="only a plain LoRA can be merged, and it is a DoRA"):
        merge(Model("tiny", tied, "hf"), laid, tmp_path / "merged")
    merge(Model("tiny", tied, "hf"), laid[:1], tmp_path / "merged")
    expected = logits(tied, dora)
    assert (logits(tmp_path / "merged") - expected).abs().max() <= 1e-4 * expected.abs().max()
