from __future__ import annotations

import shutil

import pytest

from workbench.errors import FileError, TrainingError
from workbench.models.discovery import default_folders, discover_adapters
from workbench.settings import Settings
from workbench.training.manifest import DatasetScores, Manifest, read_manifest
from workbench.training.registry import Registry


@pytest.fixture
def registry(lesson):
    return Registry()


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "optimizer.pt", "README.md"):
        (folder / name).write_bytes(b"{}")
    return folder


def made(name: str, **changes: object) -> Manifest:
    fields = {"version": 1, "created": 1.0, "method": "lora", "base": "b", "base_digest": "d", "recipe": "", **changes}
    return Manifest(name=name, **fields)  # type: ignore[arg-type]


def test_an_adapter_holds_its_weights_and_where_they_come_from(registry, state):
    path = registry.publish(state, made("queues", parent="older"))
    assert {file.name for file in path.iterdir()} == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "manifest.json",
    }
    assert read_manifest(path).files == {"adapter_config.json": 2, "adapter_model.safetensors": 2}


def test_model_lists_find_what_was_trained(registry, state):
    registry.publish(state, made("queues"))
    assert "queues" in [adapter.name for adapter in discover_adapters(default_folders(Settings()))]


def test_a_name_that_is_taken_becomes_a_further_version(registry, state):
    registry.publish(state, made("queues"))
    path = registry.publish(state, made("queues"))
    assert (path.name, read_manifest(path).name, read_manifest(path).version) == ("queues-2", "queues-2", 2)


def test_a_name_with_a_path_in_it_stays_in_the_folder(registry, state):
    assert registry.publish(state, made("../few-shot, warm")).parent == registry.folder


def test_promoting_one_takes_the_place_of_the_other_of_its_kind(registry, state):
    for name, base in (("a", "x"), ("b", "x"), ("c", "y")):
        registry.publish(state, made(name, base_digest=base))
    registry.promote("a")
    registry.promote("c")
    assert registry.promote("b") == ("a",)
    assert {entry.name: entry.rank for entry in registry.entries()} == {
        "a": "candidate",
        "b": "promoted",
        "c": "promoted",
    }


def test_notes_tags_and_measurements_stay_with_a_folder_that_moves(registry, state, tmp_path):
    path = registry.publish(state, made("queues"))
    registry.note("queues", "the good one")
    assert registry.tag("queues", add=["friday", "mine"]) == ("friday", "mine")
    assert registry.tag("queues", remove=["mine"]) == ("friday",)
    registry.measured("queues", DatasetScores({"exact_match": 0.5}, 10))
    shutil.move(path, tmp_path / "elsewhere")
    held = registry.find(str(tmp_path / "elsewhere")).manifest
    assert held is not None
    assert (held.notes, held.tags, held.later[0].scores) == ("the good one", ("friday",), {"exact_match": 0.5})


def test_a_deleted_adapter_lies_in_the_trash(registry, state):
    registry.publish(state, made("queues"))
    target = registry.delete("queues")
    assert (target / "adapter_model.safetensors").exists()
    assert registry.entries() == ()
    with pytest.raises(TrainingError, match="queues"):
        registry.find("queues")


def test_lineage_leads_back_to_the_first(registry, state):
    registry.publish(state, made("a"))
    registry.publish(state, made("b", parent="a"))
    registry.publish(state, made("c", parent="b"))
    assert registry.lineage("c") == ("c", "b", "a")


def test_a_full_disk_leaves_no_half_adapter(registry, state, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(FileError, match="No space left"):
        registry.publish(state, made("queues"))
    assert list(registry.folder.iterdir()) == []


def test_a_manifest_that_is_broken_is_told_and_stops_no_list(registry, state):
    path = registry.publish(state, made("queues"))
    registry.publish(state, made("other"))
    (path / "manifest.json").write_text("{")
    assert {entry.name: bool(entry.problem) for entry in registry.entries()} == {"queues": True, "other": False}
