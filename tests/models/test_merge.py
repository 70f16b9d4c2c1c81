"""A merged model must compute what its base did with the adapter."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import peft  # noqa: TID253 - the yardstick
import pytest
import torch  # noqa: TID253 - the yardstick
from hf_fixture import LINEAR, write_adapter, write_hf
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
