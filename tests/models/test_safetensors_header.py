"""Headers of safetensors files: whatever a file holds, it is read or refused, never believed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from workbench.errors import ModelError
from workbench.models.safetensors_header import read_tensors

NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).filter(
    lambda name: name != "__metadata__"
)
SHAPES = st.lists(st.integers(0, 4), max_size=3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tensors") / "model.safetensors"


@given(st.dictionaries(NAMES, SHAPES, max_size=5), st.dictionaries(st.text("abc"), st.text("abc"), max_size=2))
def test_names_and_shapes_are_those_that_were_saved(
    place: Path, shapes: dict[str, list[int]], metadata: dict[str, str]
) -> None:
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, place, metadata or None)
    found = read_tensors(place)
    assert {name: list(tensor.shape) for name, tensor in found.tensors.items()} == shapes
    assert found.file_bytes == place.stat().st_size


@given(st.integers(0, 1000))
def test_a_file_that_is_cut_off_anywhere_is_refused(place: Path, length: int) -> None:
    whole = save({"a": np.ones((5, 5), np.float32), "b": np.ones(3, np.float16)})
    place.write_bytes(whole[: length % len(whole)])
    with pytest.raises(ModelError, match=r"cut off|damaged"):
        read_tensors(place)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_any_bytes_are_refused_without_taking_memory_for_them(place: Path, content: bytes, length: int) -> None:
    place.write_bytes(length.to_bytes(8, "little") + content)
    with pytest.raises(ModelError):
        read_tensors(place)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1]},
        {"dtype": 7, "shape": [1], "data_offsets": [0, 4]},
        [],
    ],
)
def test_sizes_that_do_not_add_up_are_refused(tmp_path: Path, entry: object) -> None:
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(ModelError, match="damaged"):
        read_tensors(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        read_tensors(tmp_path / "model.safetensors")
