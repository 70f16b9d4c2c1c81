from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import ModelError
from workbench.models.gguf_header import read_header

QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def raw(tiny_gguf: Callable[..., Path]) -> bytes:
    return tiny_gguf("tiny").read_bytes()


def test_a_header_is_read_as_it_was_written(tiny_gguf: Callable[..., Path]) -> None:
    header = read_header(tiny_gguf("tiny"))
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.context_length"] == 512
    assert header.metadata["tokenizer.ggml.add_bos_token"] is False
    assert header.metadata["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert header.lengths["tokenizer.ggml.tokens"] == header.tensors[0].shape[1]
    assert {tensor.name for tensor in header.tensors} >= {"token_embd.weight", "blk.1.ffn_down.weight"}


def test_tensor_sizes_follow_the_published_block_sizes() -> None:
    import gguf

    from workbench.models.gguf_header import _BLOCKS

    assert {int(kind): size for kind, size in gguf.GGML_QUANT_SIZES.items() if int(kind) in _BLOCKS} == _BLOCKS


@QUICK
@given(data=st.data())
def test_a_damaged_header_is_an_error_or_a_header_but_never_a_crash(
    raw: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    for _ in range(data.draw(st.integers(1, 4))):
        if damaged:
            at = data.draw(st.integers(0, min(len(damaged), 4000) - 1))
            damaged[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    tracemalloc.start()
    try:
        read_header(path)
    except ModelError as error:
        assert str(path) in error.message
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20_000_000


@QUICK
@given(noise=st.binary(max_size=300))
def test_noise_behind_the_magic_is_refused(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 5, 5) + noise)
    with pytest.raises(ModelError):
        read_header(path)


@pytest.mark.parametrize("count", [2**63, 2**40])
def test_absurd_counts_are_refused_without_believing_them(tmp_path: Path, count: int) -> None:
    path = tmp_path / "absurd.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, count, count) + bytes(100))
    with pytest.raises(ModelError, match="truncated or damaged"):
        read_header(path)


@pytest.mark.parametrize("kept", [30, 1000, 5000, 60_000])
def test_a_truncated_file_says_so(tmp_path: Path, raw: bytes, kept: int) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(raw[:kept])
    with pytest.raises(ModelError, match="truncated"):
        read_header(path)


def test_a_file_that_is_something_else_says_what_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "picture.gguf"
    path.write_bytes(b"\x89PNG" + bytes(100))
    with pytest.raises(ModelError, match=r"not a GGUF file.*PNG"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"GG", b"GGUF"])
def test_a_tiny_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a GGUF file"):
        read_header(path)


@pytest.mark.parametrize("version", [1, 4, 0x03000000])
def test_another_version_is_refused(tmp_path: Path, raw: bytes, version: int) -> None:
    path = tmp_path / "version.gguf"
    path.write_bytes(raw[:4] + struct.pack("<I", version) + raw[8:])
    with pytest.raises(ModelError, match=f"version {version}; expected version 2 or 3"):
        read_header(path)


def test_a_missing_file_and_a_folder_each_have_their_message(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such model file"):
        read_header(tmp_path / "gone.gguf")
    with pytest.raises(ModelError, match="is a folder"):
        read_header(tmp_path)
