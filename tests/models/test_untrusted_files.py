"""Files that are none, names that no file can have, and headers that claim too much: each is one short message."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from gguf_fixture import write_gguf
from hf_fixture import write_hf

from workbench.errors import ModelError
from workbench.models.adapter_info import inspect_adapter
from workbench.models.discovery import discover_adapters, discover_models
from workbench.models.gguf_header import read_header
from workbench.models.hf_folder import inspect_folder
from workbench.models.model_info import inspect_gguf, inspect_model
from workbench.models.reference import Adapter, Model, model_at
from workbench.models.untrusted_files import LONGEST_JSON, read_object

LONG = "A" * 300
GGUF = b"GGUF" + struct.pack("<I", 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hf(tmp_path / "model")


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _header(*entries: bytes, tensors: int = 0) -> bytes:
    return GGUF + struct.pack("<QQ", tensors, len(entries)) + b"".join(entries)


def _entry(key: bytes, kind: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", kind) + value


def test_a_pipe_in_a_files_place_makes_nobody_wait(tmp_path: Path, folder: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    for model in discover_models([tmp_path]):
        with pytest.raises(ModelError):
            inspect_model(model)
    assert discover_adapters([tmp_path]) == ()


def test_a_device_in_a_files_place_takes_no_memory(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "zero.gguf").symlink_to("/dev/zero")
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")
    with pytest.raises(ModelError, match="not a regular file"):
        inspect_gguf(tmp_path / "zero.gguf")
    with pytest.raises(ModelError, match="no config"):
        inspect_folder(folder)


def test_a_configuration_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as stream:
        stream.truncate(LONGEST_JSON + 2)
    with pytest.raises(ModelError, match="more than 64 MiB"):
        read_object(path)


@pytest.mark.parametrize("raw", [b"\xff\xfe{}", b'{"model_type": "\xed\xa0\x80"}', b"[" * 9000, b"", b"9" * 400])
def test_damaged_json_is_told_in_words(folder: Path, raw: bytes) -> None:
    for name in ("config.json", "adapter_config.json"):
        (folder / name).write_bytes(raw)
    with pytest.raises(ModelError) as caught:
        inspect_folder(folder)
    assert len(str(caught.value)) < 1000
    with pytest.raises(ModelError, match="describes no adapter"):
        inspect_adapter(Adapter("a", folder))


@pytest.mark.parametrize("name", [LONG, "a\x00b", "~nosuchuser/x", "../" * 90])
def test_an_index_with_impossible_names_is_told_in_words(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match=r"missing|outside") as caught:
        inspect_folder(folder)
    assert len(caught.value.message) < 1000


def test_a_path_that_no_file_can_have_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing is there"):
        model_at(tmp_path / f"{LONG}.gguf")


def test_links_that_lead_to_themselves_are_no_files(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")
    with pytest.raises(ModelError, match="no weights"):
        inspect_folder(folder)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_text_is_a_row_with_its_reason(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/bad\xff.gguf"
    write_gguf(tmp_path / "good.gguf")
    Path(os.fsdecode(odd)).write_bytes((tmp_path / "good.gguf").read_bytes())
    found = {model.name: model for model in discover_models([tmp_path])}
    assert len(found) == 2
    wrong = next(model for name, model in found.items() if name != "good")
    with pytest.raises(ModelError, match=r"bad\\udcff\.gguf is not UTF-8") as caught:
        inspect_model(wrong)
    caught.value.message.encode()


FLOATS = struct.pack("<IQ", 6, 1) + struct.pack("<f", float("inf"))
HUGE = {
    "an infinite number of heads": _header(
        _entry(b"general.architecture", 8, _text(b"llama")),
        _entry(b"llama.attention.head_count_kv", 9, FLOATS),
        _entry(b"llama.block_count", 12, struct.pack("<d", float("inf"))),
        _entry(b"llama.embedding_length", 12, struct.pack("<d", float("nan"))),
    ),
    "more keys than bytes": GGUF + struct.pack("<QQ", 0, 2**63) + bytes(64),
    "a text longer than the file": _header(_entry(b"a", 8, struct.pack("<Q", 2**64 - 1))),
    "a list longer than the file": _header(_entry(b"a", 9, struct.pack("<IQ", 8, 2**40))),
    "a shape beyond all numbers": _header(tensors=1) + _text(b"t") + struct.pack("<I4QIQ", 4, *[2**40] * 4, 77, 0),
    "five dimensions": _header(tensors=1) + _text(b"t") + struct.pack("<I5QIQ", 5, 1, 1, 1, 1, 1, 0, 0),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_header_that_claims_too_much_is_read_or_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "huge.gguf"
    path.write_bytes(HUGE[kind] + bytes(64))
    try:
        info = inspect_gguf(path)
    except ModelError as error:
        assert len(error.message) < 1000
    else:
        assert kind == "an infinite number of heads"
        assert info.kv_bytes_per_token == 0


def test_counts_that_a_sparse_file_could_hold_are_refused_without_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "sparse.gguf"
    for claims, said in (
        (struct.pack("<QQ", 0, 50_000_000), "keys"),
        (struct.pack("<QQ", 0, 1) + _entry(b"a", 9, struct.pack("<IQ", 8, 50_000_000)), "strings in lists"),
        (struct.pack("<QQ", 0, 1) + _entry(b"a", 8, struct.pack("<Q", 900_000_000)), "a text of"),
        (struct.pack("<QQ", 0, 1) + struct.pack("<Q", 900_000_000), "a text of"),
    ):
        path.write_bytes(GGUF + claims)
        with path.open("r+b") as stream:
            stream.truncate(1_000_000_000)
        with pytest.raises(ModelError, match=said):
            read_header(path)


def test_a_long_architecture_is_none(tmp_path: Path) -> None:
    path = tmp_path / "long.gguf"
    path.write_bytes(_header(_entry(b"general.architecture", 8, _text(b"x" * 5_000_000))) + bytes(64))
    with pytest.raises(ModelError, match="does not name its architecture") as caught:
        inspect_model(Model("long", path))
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_an_epsilon_that_would_end_the_engine_is_refused(tmp_path: Path, value: float) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    key = b"llama.attention.layer_norm_rms_epsilon" + struct.pack("<I", 6)
    raw = path.read_bytes()
    at = raw.index(key) + len(key)
    path.write_bytes(raw[:at] + struct.pack("<f", value) + raw[at + 4 :])
    with pytest.raises(ModelError, match="layer_norm_rms_epsilon"):
        inspect_gguf(path)
