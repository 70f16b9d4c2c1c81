"""Which projector belongs to a GGUF model: named, found beside it, or refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mmproj_fixture import write_mmproj

from workbench.errors import ModelError
from workbench.models.projector import check_projector, find_projector
from workbench.models.reference import Model
from workbench.models.vision import check_sees


@pytest.fixture
def folder(tmp_path: Path, tiny_gguf: Callable[..., Path]) -> Path:
    shutil.copy(tiny_gguf(), tmp_path / "gemma-3-4b-it-Q4_K_M.gguf")
    return tmp_path


def model(folder: Path, name: str = "gemma-3-4b-it-Q4_K_M.gguf", mmproj: Path | None = None) -> Model:
    return Model("gemma", folder / name, mmproj=mmproj)


@pytest.mark.parametrize("name", ["mmproj-gemma-3-4b-it-f16.gguf", "gemma-3-4b-it-mmproj-F32.gguf", "mmproj-F16.gguf"])
def test_the_only_projector_of_the_models_name_is_taken(folder: Path, name: str) -> None:
    write_mmproj(folder / name)
    assert check_projector(model(folder)) == folder / name


def test_another_models_projector_beside_it_is_left_alone(folder: Path) -> None:
    own, other = folder / "mmproj-gemma-3-4b-it-f16.gguf", folder / "mmproj-qwen2-vl-2b-f16.gguf"
    write_mmproj(own)
    write_mmproj(other)
    assert find_projector(model(folder)) == own


@pytest.mark.parametrize(
    "names",
    [
        ("mmproj-F16.gguf", "mmproj-F32.gguf"),
        ("mmproj-gemma-3-4b-it-f16.gguf", "mmproj-gemma-3-4b-it-f32.gguf"),
    ],
)
def test_of_several_none_is_guessed(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_mmproj(folder / name)
    with pytest.raises(ModelError, match="which projector is meant") as caught:
        find_projector(model(folder))
    assert all(name in caught.value.message for name in names)


def test_an_unnamed_projector_among_several_models_is_not_guessed(folder: Path, tiny_gguf: Callable[..., Path]) -> None:
    shutil.copy(tiny_gguf(), folder / "llama-Q8_0.gguf")
    write_mmproj(folder / "mmproj-F16.gguf")
    with pytest.raises(ModelError, match="which projector is meant"):
        find_projector(model(folder))


def test_a_projector_of_another_width_is_refused_with_both_widths(folder: Path) -> None:
    write_mmproj(folder / "mmproj-F16.gguf", width=48)
    with pytest.raises(ModelError, match="does not belong to gemma: it makes embeddings of width 48") as caught:
        check_sees(model(folder))
    assert "takes 32" in caught.value.message


def test_a_file_that_is_no_projector_is_refused(folder: Path, tiny_gguf: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match="is a model, not a projector"):
        check_projector(model(folder, mmproj=tiny_gguf()))
    with pytest.raises(ModelError, match="no such file is there"):
        check_projector(model(folder, mmproj=folder / "gone.gguf"))


def test_models_that_cannot_see_say_why(folder: Path, tiny_hf: Path) -> None:
    with pytest.raises(ModelError, match=r"gemma cannot be shown pictures: no projector \(mmproj\) is beside"):
        check_sees(model(folder))
    with pytest.raises(ModelError, match=r"tiny cannot be shown pictures: its config\.json has no vision_config"):
        check_sees(Model("tiny", tiny_hf, "hf"))
    with pytest.raises(ModelError, match="a script reads text alone"):
        check_sees(Model("desk", Path("x"), "scripted"))
