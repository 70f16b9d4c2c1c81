"""What is read of an adapter, and everything that can be wrong with one, before any weight is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peft  # noqa: TID253
import pytest
from gguf_fixture import write_gguf_adapter
from hf_fixture import LINEAR, write_adapter, write_hf
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from workbench.errors import ModelError
from workbench.models.adapter_info import check_values, inspect_adapter
from workbench.models.compatibility import check_compatible
from workbench.models.reference import Adapter, Model

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def trained(hf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = peft.LoraConfig(r=4, lora_alpha=6, target_modules=LINEAR, rank_pattern={"q_proj": 2})
    return write_adapter(hf, tmp_path_factory.mktemp("adapters") / "mine", config)


@pytest.fixture
def adapter(trained: Path, tmp_path: Path) -> Adapter:
    return Adapter("mine", Path(shutil.copytree(trained, tmp_path / "mine")))


def edit_config(adapter: Adapter, **changes: object) -> None:
    path = adapter.path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(adapter: Adapter, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    tensors = load_file(adapter.path / WEIGHTS)
    change(tensors)
    save_file(tensors, adapter.path / WEIGHTS)


def test_rank_scale_and_targets_come_from_the_headers(adapter: Adapter, hf: Path) -> None:
    info = inspect_adapter(adapter)
    assert (info.kind, info.format, info.base) == ("LORA", "peft", str(hf))
    assert (info.ranks, info.alpha, info.scales) == ((2, 4), 6, (1.5, 3.0))
    assert set(info.targets) == set(LINEAR)
    assert info.parameters == sum(array.size for array in load_file(adapter.path / WEIGHTS).values())
    assert info.file_bytes == (adapter.path / WEIGHTS).stat().st_size
    assert info.has_scale
    assert info.notes == ()


def test_a_gguf_adapter_tells_the_same(tiny_gguf: Callable[..., Path], tmp_path: Path) -> None:
    path = write_gguf_adapter(tmp_path / "a.gguf", tiny_gguf(), rank=4, alpha=6)
    info = inspect_adapter(Adapter("a", path, "gguf"))
    assert (info.kind, info.architecture, info.ranks, info.scales) == ("LORA", "llama", (4,), (1.5,))
    assert "attn_q" in info.targets


def test_root_scaled_ranks_count_as_they_do_in_peft(adapter: Adapter) -> None:
    edit_config(adapter, use_rslora=True, alpha_pattern={"mlp.down_proj": 8})
    assert inspect_adapter(adapter).scales == (3.0, 4.0, round(6 / 2**0.5, 6))


def test_keys_of_a_newer_peft_are_left_aside_with_a_note(adapter: Adapter, hf: Path) -> None:
    edit_config(adapter, use_future=True, unused_future=None)
    assert inspect_adapter(adapter).notes == (
        "Its configuration has keys of a newer PEFT, which are left aside: use_future",
    )
    assert check_compatible(adapter, Model("tiny", hf, "hf")) == ()


def test_an_adapter_fits_its_own_base_in_both_forms(adapter: Adapter, hf: Path, tmp_path: Path) -> None:
    from workbench.models.hf_to_gguf import convert_hf_to_gguf

    convert_hf_to_gguf(hf, tmp_path / "tiny.gguf", "f16")
    assert check_compatible(adapter, Model("tiny", hf, "hf")) == ()
    assert check_compatible(adapter, Model("tiny", tmp_path / "tiny.gguf")) == ()


def test_every_problem_with_another_base_is_listed_at_once(adapter: Adapter, tmp_path: Path) -> None:
    other = write_hf(tmp_path / "other", hidden_size=48, num_hidden_layers=1, intermediate_size=64)
    problems = check_compatible(adapter, Model("other", other, "hf"))
    assert problems[:2] == (
        "it was trained on 2 layers or more, and the base has 1",
        "it was trained on a hidden size of 32, and the base has 48",
    )
    assert any("mlp.down_proj" in problem and "from 64 to 32" in problem for problem in problems)


def test_a_trained_head_of_another_vocabulary_does_not_fit(hf: Path, tmp_path: Path) -> None:
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
    adapter = Adapter("head", write_adapter(hf, tmp_path / "head", config))
    assert check_compatible(adapter, Model("tiny", hf, "hf")) == ()
    assert not inspect_adapter(adapter).has_scale
    edit_weights(adapter, lambda tensors: tensors.update({"base_model.model.lm_head.weight": np.ones((9, 32), "f4")}))
    problems = check_compatible(adapter, Model("tiny", hf, "hf"))
    assert "its tokenizer has 9 tokens" in problems[0]


def test_a_base_that_is_not_on_this_machine_is_one_clear_problem(adapter: Adapter, tmp_path: Path) -> None:
    assert "gone" in check_compatible(adapter, Model("gone", tmp_path / "gone.gguf"))[0]
    assert "gone" in check_compatible(adapter, Model("gone", tmp_path / "gone", "hf"))[0]


def test_half_a_pair_is_named(adapter: Adapter, hf: Path) -> None:
    name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"
    edit_weights(adapter, lambda tensors: tensors.pop(name))
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.up_proj lacks its lora_B"):
        inspect_adapter(adapter)
    assert len(check_compatible(adapter, Model("tiny", hf, "hf"))) == 1


def test_weights_that_are_not_numbers_are_found(adapter: Adapter) -> None:
    check_values(adapter)
    name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"
    edit_weights(adapter, lambda tensors: tensors[name].__setitem__((0, 0), np.inf))
    with pytest.raises(ModelError, match=r"not numbers.*up_proj"):
        check_values(adapter)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_cut_off_file_is_told_as_one(adapter: Adapter, kept: int) -> None:
    path = adapter.path / WEIGHTS
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="cut off"):
        inspect_adapter(adapter)


def test_pickled_weights_are_refused_with_the_way_to_convert_them(adapter: Adapter) -> None:
    (adapter.path / WEIGHTS).rename(adapter.path / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled") as caught:
        inspect_adapter(adapter)
    assert "--allow-pickle" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"), [("{", "describes no adapter"), ("{}", "peft_type"), ('{"peft_type": "LORA", "r": "x"}', "r")]
)
def test_a_broken_configuration_names_what_is_wrong(adapter: Adapter, text: str, expected: str) -> None:
    (adapter.path / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match=expected):
        inspect_adapter(adapter)


@given(data=st.data())
def test_whatever_bytes_a_weights_file_has_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copy(trained / "adapter_config.json", folder)
    good = (trained / WEIGHTS).read_bytes()
    place = data.draw(st.integers(0, 3000))
    change = data.draw(st.binary(min_size=1, max_size=12))
    (folder / WEIGHTS).write_bytes(good[:place] + change + good[place + len(change) :])
    adapter = Adapter("damaged", folder)
    try:
        inspect_adapter(adapter)
        check_values(adapter)
    except ModelError as error:
        assert error.message
