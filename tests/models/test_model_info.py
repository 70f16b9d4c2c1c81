from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import ModelError
from workbench.models.model_info import check_fits, inspect_gguf, inspect_model
from workbench.models.reference import Model, ModelInfo

BIG = ModelInfo("llama", "Q8_0", 1, 4 * 2**30, 8192, 32000, True, kv_bytes_per_token=2**17)


def test_a_model_is_described_from_its_header(tiny_gguf: Callable[..., Path]) -> None:
    info = inspect_gguf(tiny_gguf("tiny"))
    assert (info.architecture, info.quantization, info.context_trained_tokens) == ("llama", "F32", 512)
    assert info.vocabulary > 256
    assert info.parameters > 20_000
    assert info.has_chat_template
    assert info.context_tokens == 0


def test_the_cache_of_a_token_counts_keys_and_values_of_each_layer(tiny_gguf: Callable[..., Path]) -> None:
    info = inspect_gguf(tiny_gguf("tiny"))
    layers, groups, head_width, halves = 2, 2, 8, 2
    assert info.kv_bytes_per_token == layers * groups * (head_width + head_width) * halves
    assert info.memory_bytes == info.file_bytes + 512 * info.kv_bytes_per_token


def test_a_template_of_the_persons_own_counts_as_a_template(tiny_gguf: Callable[..., Path]) -> None:
    path = tiny_gguf("untold", chat_template=None)
    assert not inspect_model(Model("untold", path)).has_chat_template
    assert inspect_model(Model("untold", path, chat_template="{{ messages }}")).has_chat_template


def test_a_model_that_does_not_fit_is_refused_with_the_numbers() -> None:
    check_fits(BIG, 8192, free_bytes=5 * 2**30)
    with pytest.raises(ModelError, match=r"4\.0 GiB for its weights and 1\.0 GiB.*8,192 tokens, and 4\.5 GiB"):
        check_fits(BIG, 8192, free_bytes=9 * 2**29)
    check_fits(BIG, 1024, free_bytes=9 * 2**29)


def test_an_adapter_is_not_taken_for_a_model(tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "adapter.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match="is an adapter of the type"):
        inspect_gguf(path)


def test_a_missing_part_of_a_split_model_is_named(tmp_path: Path) -> None:
    import gguf

    path = tmp_path / "big-00001-of-00003.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (tmp_path / "big-00002-of-00003.gguf").write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match=r"missing: big-00003-of-00003\.gguf"):
        inspect_gguf(path)
    (tmp_path / "big-00003-of-00003.gguf").write_bytes(path.read_bytes())
    assert inspect_gguf(path).file_bytes == 3 * path.stat().st_size


def test_a_script_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no header"):
        inspect_model(Model("script", tmp_path / "a.json", "scripted"))


@pytest.mark.model
def test_the_embedded_model_is_described(desk_gguf: Path) -> None:
    info = inspect_gguf(desk_gguf)
    assert (info.architecture, info.quantization, info.has_chat_template) == ("llama", "Q8_0", True)
    assert info.context_trained_tokens == 1024
