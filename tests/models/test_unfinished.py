"""Downloads that have not finished are listed as what they are, and refused in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ModelError
from workbench.models.adapter_info import inspect_adapter
from workbench.models.discovery import discover_models
from workbench.models.model_info import inspect_model
from workbench.models.reference import Adapter, adapter_at, model_at
from workbench.models.untrusted_files import finished_name

NAMES = [
    *("tiny.gguf.part", "tiny.gguf.partial", "tiny.gguf.incomplete", "tiny.gguf.crdownload", "tiny.gguf.download"),
    *("downloading_tiny.gguf.part", "downloading_tiny.gguf", "tiny.gguf.downloadInProgress", "Tiny.GGUF.!qB"),
    *("tiny.gguf-partial", "tiny.gguf.part.1", "Unconfirmed tiny.gguf.crdownload", "tiny.gguf.filepart"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_under_the_name_of_a_download_is_listed_and_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"GGUF and some more")
    (found,) = discover_models([tmp_path])
    assert found.path.name == name
    with pytest.raises(ModelError, match="download that has not finished"):
        inspect_model(found)
    assert finished_name(name) == "tiny.gguf"


def test_a_path_to_one_is_refused_as_what_it_is(tmp_path):
    (tmp_path / "tiny.gguf.part").touch()
    for look in (model_at, adapter_at):
        with pytest.raises(ModelError, match="download that has not finished"):
            look(tmp_path / "tiny.gguf.part")


@pytest.mark.parametrize("control", ["tiny.gguf.aria2", "tiny.gguf.st"])
def test_a_file_with_a_control_file_beside_it_is_not_whole(control, tmp_path, tiny_gguf):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_gguf().read_bytes())
    (found,) = discover_models([tmp_path])
    assert inspect_model(found).architecture == "llama"
    (tmp_path / control).touch()
    with pytest.raises(ModelError, match=rf"not finished \({control} says so\)"):
        inspect_model(found)
    (tmp_path / control).unlink()
    assert inspect_model(found).architecture == "llama"


def test_a_file_inside_the_bundle_of_a_browser_is_not_whole(tmp_path):
    (tmp_path / "tiny.gguf.download").mkdir()
    (tmp_path / "tiny.gguf.download" / "tiny.gguf").write_bytes(b"GGUF and some more")
    (found,) = discover_models([tmp_path])
    with pytest.raises(ModelError, match="download says so"):
        inspect_model(found)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("model.safetensors.incomplete", "model.safetensors.incomplete"),
        ("model-00001-of-00002.safetensors.part", "there are no weights"),
    ],
)
def test_a_folder_whose_weights_are_on_their_way_is_listed_and_says_so(weights, said, tmp_path):
    (tmp_path / "new").mkdir()
    for name, text in (("config.json", '{"model_type": "llama"}'), ("tokenizer.json", "{}"), (weights, "x")):
        (tmp_path / "new" / name).write_text(text)
    (found,) = discover_models([tmp_path])
    with pytest.raises(ModelError, match=said):
        inspect_model(found)


def test_a_cached_repository_whose_weights_are_on_their_way_says_so(tmp_path):
    snapshot = tmp_path / "models--ada--tiny" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "models--ada--tiny" / "blobs").mkdir()
    assert discover_models([tmp_path]) == ()
    (tmp_path / "models--ada--tiny" / "blobs" / "0a1b.incomplete").touch()
    (found,) = discover_models([tmp_path])
    assert found.name == "ada/tiny"
    with pytest.raises(ModelError, match=r"a download has not finished \(0a1b.incomplete\)"):
        inspect_model(found)


def test_an_adapter_whose_weights_are_on_their_way_says_so(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors.crdownload").touch()
    with pytest.raises(ModelError, match=r"adapter_model.safetensors.crdownload is a download that has not finished"):
        inspect_adapter(Adapter("mine", tmp_path))


@given(st.text("abcdeglmnoprtu.-_123", min_size=1, max_size=12))
def test_a_name_is_only_cut_where_a_mark_stands(name):
    found = finished_name(f"{name}.gguf")
    assert found is None or f"{name}.gguf".startswith("downloading_")
    assert finished_name(f"{name}.gguf.crdownload") == f"{name}.gguf"
