"""What a folder's weights and cache take in memory, in the numbers they are computed in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ModelError
from workbench.models import memory_estimate
from workbench.models.memory_estimate import expect_in_memory
from workbench.models.model_info import inspect_model
from workbench.models.reference import Model, with_precision

ASSETS = Path(__file__).parents[2] / "assets"
DESK = Model("desk", ASSETS / "desk", "hf")
FILE = Model("desk-q8_0", ASSETS / "desk-q8_0.gguf")


def test_half_precision_takes_half_the_memory():
    whole, half = expect_in_memory(DESK), expect_in_memory(with_precision(DESK, "bfloat16", ""))
    assert (whole.dtype, half.dtype) == ("float32", "bfloat16")
    assert half.file_bytes == whole.file_bytes // 2
    assert half.kv_bytes_per_token == whole.kv_bytes_per_token // 2
    assert half.memory_bytes == whole.memory_bytes // 2


def test_packed_layers_take_less_and_embeddings_stay_as_they_are():
    sizes = [expect_in_memory(with_precision(DESK, "float32", kind)).file_bytes for kind in ("", "8bit", "4bit")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] > 3072 * 160 * 4  # the embedding alone


def test_a_checkpoint_in_bfloat16_is_computed_in_it_where_the_processor_can(monkeypatch, tmp_path):
    import torch
    from hf_fixture import write_hf

    folder = write_hf(tmp_path / "half", dtype=torch.bfloat16)
    for computes, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(memory_estimate, "computes_bfloat16", lambda answer=computes: answer)
        assert expect_in_memory(Model("half", folder, "hf")).dtype == expected


def test_a_file_keeps_what_it_says():
    assert expect_in_memory(FILE) == inspect_model(FILE)


@given(st.sampled_from(["float32", "float16", "bfloat16"]), st.sampled_from(["", "8bit", "4bit"]))
def test_only_a_folder_takes_a_precision(dtype, quantization):
    assert with_precision(DESK, dtype, quantization).dtype == dtype
    with pytest.raises(ModelError, match="only a Hugging Face folder can"):
        with_precision(FILE, dtype, quantization)
    assert with_precision(FILE, "", "") == FILE


def test_unknown_precisions_are_named_together():
    with pytest.raises(ModelError, match=r"dtype: .*found 'float8' and quantization: expected one of 8bit, 4bit"):
        with_precision(DESK, "float8", "3bit")
