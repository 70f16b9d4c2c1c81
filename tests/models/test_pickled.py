from __future__ import annotations

from pathlib import Path

import peft  # noqa: TID253
import pytest
import torch  # noqa: TID253
from hf_fixture import write_adapter, write_hf
from safetensors.torch import load_file

from workbench.errors import ModelError
from workbench.models.adapter_info import inspect_adapter
from workbench.models.hf_folder import inspect_folder
from workbench.models.pickled import rewrite
from workbench.models.reference import Adapter


class Evil:
    """What a pickled file may do to the one who opens it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("touched"),)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hf(tmp_path_factory.mktemp("base") / "tiny")


def test_a_pickled_adapter_can_be_used_once_it_is_written_anew(hf: Path, tmp_path: Path) -> None:
    folder = write_adapter(hf, tmp_path / "old", peft.LoraConfig(r=2, target_modules=["q_proj"]))
    expected = inspect_adapter(Adapter("a", folder))
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="pickled"):
        inspect_adapter(Adapter("a", folder))
    rewrite(folder, tmp_path / "new")
    assert inspect_adapter(Adapter("a", tmp_path / "new")).parameters == expected.parameters
    assert not list((tmp_path / "new").glob("*.bin"))


def test_a_pickled_model_in_parts_becomes_one_in_parts(hf: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for path in hf.iterdir():
        if path.suffix != ".safetensors":
            (old / path.name).write_bytes(path.read_bytes())
    tensors = list(load_file(hf / "model.safetensors").items())
    torch.save(dict(tensors[:5]), old / "pytorch_model-00001-of-00002.bin")
    torch.save(dict(tensors[5:]), old / "pytorch_model-00002-of-00002.bin")
    rewrite(old, tmp_path / "new")
    assert inspect_folder(tmp_path / "new").parameters == inspect_folder(hf).parameters


def test_what_holds_more_than_numbers_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    torch.save({"a": torch.zeros(2), "b": Evil()}, tmp_path / "old" / "adapter_model.bin")
    with pytest.raises(ModelError, match="more than numbers"):
        rewrite(tmp_path / "old", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


def test_a_folder_without_pickled_weights_stays_as_it_is(hf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no pickled weights"):
        rewrite(hf, tmp_path / "new")
