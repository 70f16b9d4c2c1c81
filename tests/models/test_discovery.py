from __future__ import annotations

import json
import os

import pytest

from workbench import paths
from workbench.models.discovery import default_folders, discover_adapters, discover_models
from workbench.settings import Settings


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not looked at")
    return folder


def names(*folders):
    return [model.name for model in discover_models(folders)]


def test_gguf_files_and_hugging_face_folders_are_found(tmp_path):
    touch(
        tmp_path, "b.gguf", "deep/down/A.GGUF", "hf/config.json", "hf/model.safetensors", "notes.txt", "x/config.json"
    )
    found = discover_models([tmp_path])
    assert [(model.name, model.format) for model in found] == [("A", "gguf"), ("b", "gguf"), ("hf", "hf")]
    assert found[1].path == tmp_path / "b.gguf"


def test_a_name_that_is_there_twice_gets_its_folder(tmp_path):
    touch(tmp_path, "one/desk.gguf", "two/desk.gguf", "other.gguf", "a/same/x.gguf", "b/same/x.gguf")
    assert names(tmp_path) == ["a/same/x", "b/same/x", "one/desk", "other", "two/desk"]


def test_a_file_and_a_folder_of_one_name_can_be_told_apart(tmp_path):
    touch(tmp_path, "desk/config.json", "desk/model.safetensors", "desk.gguf")
    assert names(tmp_path) == ["desk", "desk.gguf"]


def test_the_same_file_is_found_once(tmp_path):
    touch(tmp_path, "models/a.gguf")
    (tmp_path / "link.gguf").symlink_to(tmp_path / "models" / "a.gguf")
    assert len(names(tmp_path, tmp_path / "models", tmp_path)) == 1


def test_folders_that_hold_each_other_end(tmp_path):
    touch(tmp_path, "in/a.gguf")
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == ["a"]


def test_a_cached_hugging_face_model_goes_by_its_repository(tmp_path):
    at = "hub/models--ada--tiny-lm/snapshots/0123abcd"
    touch(tmp_path, f"{at}/config.json", f"{at}/model.safetensors", f"{at}/tiny-q8.gguf")
    assert names(tmp_path / "hub") == ["ada/tiny-lm", "tiny-q8"]


def test_what_cannot_answer_by_itself_is_left_out(tmp_path):
    touch(
        tmp_path,
        "big-00001-of-00003.gguf",
        "big-00002-of-00003.gguf",
        "big-00003-of-00003.gguf",
        "mmproj-big.gguf",
        ".hidden/a.gguf",
    )
    assert names(tmp_path) == ["big-00001-of-00003"]


def test_folders_deeper_than_any_cache_are_not_searched(tmp_path):
    touch(tmp_path, "1/2/3/4/5/near.gguf", "1/2/3/4/5/6/7/8/far.gguf")
    assert names(tmp_path) == ["near"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_passed_over(tmp_path):
    touch(tmp_path, "a.gguf", "closed/b.gguf")
    (tmp_path / "closed").chmod(0)
    try:
        assert names(tmp_path) == ["a"]
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_missing_folder_holds_nothing(tmp_path):
    assert names(tmp_path / "none") == []


def test_thousands_of_files_are_found_without_walking_a_header(tmp_path, monkeypatch):
    for number in range(2000):
        (tmp_path / f"f{number % 50}").mkdir(exist_ok=True)
        (tmp_path / f"f{number % 50}" / f"m{number}.gguf").touch()
    monkeypatch.setattr("mmap.mmap", None)
    assert len(names(tmp_path)) == 2000


def test_the_usual_places_are_looked_in_when_they_exist(tmp_path, monkeypatch):
    for name in ["own", "bench/models", "work/models", "hub", "llama"]:
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = Settings(model_folders=(str(tmp_path / "own"), str(tmp_path / "none")))
    assert default_folders(settings, tmp_path / "bench") == (
        tmp_path / "own",
        tmp_path / "bench" / "models",
        tmp_path / "work" / "models",
        paths.find_shipped("assets").resolve(),
        tmp_path / "hub",
        tmp_path / "llama",
    )


def write_manifest(store, name, *layers):
    path = store / "manifests" / "registry.ollama.ai" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest} for kind, digest in layers]
    path.write_text(json.dumps({"schemaVersion": 2, "layers": listed}))


def test_what_ollama_has_fetched_goes_by_the_name_one_types(tmp_path):
    store, first, second = tmp_path / "models", "sha256:" + "a" * 64, "sha256:" + "b" * 64
    write_manifest(store, "library/llama3.2/1b", ("model", first), ("template", "sha256:" + "c" * 64))
    write_manifest(store, "me/own/latest", ("model", first), ("adapter", second))
    write_manifest(store, "library/odd/latest", ("model", "sha256:../../../etc/passwd"))
    (store / "manifests" / "registry.ollama.ai" / "library" / "torn").mkdir()
    (store / "manifests" / "registry.ollama.ai" / "library" / "torn" / "latest").write_text("{")
    (store / "blobs").mkdir()
    models = discover_models([store])
    assert [model.name for model in models] == ["llama3.2:1b", "me/own:latest"]
    assert {model.path for model in models} == {store / "blobs" / ("sha256-" + "a" * 64)}
    assert [(adapter.name, adapter.format) for adapter in discover_adapters([store])] == [
        ("me/own:latest adapter", "gguf")
    ]


def test_adapters_of_both_forms_are_found_and_are_no_models(tmp_path, tiny_gguf):
    from gguf_fixture import write_gguf_adapter

    write_gguf_adapter(tmp_path / "calm.gguf", tiny_gguf())
    (tmp_path / "runs" / "terse").mkdir(parents=True)
    (tmp_path / "runs" / "terse" / "adapter_config.json").touch()
    (tmp_path / "runs" / "terse" / "adapter_model.safetensors").touch()
    found = discover_adapters([tmp_path])
    assert [(adapter.name, adapter.format) for adapter in found] == [("calm", "gguf"), ("terse", "peft")]
    assert discover_models([tmp_path]) == ()
