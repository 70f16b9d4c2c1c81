from __future__ import annotations

import json
import shutil

import pytest

from workbench.runs.cluster.messages import FileReport, PackedFile, WantedFile, pack, unpack
from workbench.runs.cluster.node_files import NodeFiles, measure, pack_files
from workbench.runs.cluster.node_shares import NodeShare, divide_node
from workbench.runs.cluster.node_worker import NodeWorker
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store

GIB = float(2**30)


@pytest.fixture
def node(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    files = NodeFiles(tmp_path / "node")
    yield files
    files.close()


@pytest.fixture
def want(tmp_path):
    """A file as a run on another machine asks for it."""
    store = Store(tmp_path / "run.sqlite")
    yield lambda path, kind="model": WantedFile(kind, path, fingerprint(store, path), measure(path))
    store.close()


def write_adapter(folder) -> None:
    (folder / "more").mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "more" / "weights.bin").write_bytes(b"\0\1\2" * 1000)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "hidden").write_text("not a part of it")


def test_a_file_at_the_same_path_is_taken_as_it_is(node, want, tmp_path):
    path = tmp_path / "models" / "one.gguf"
    path.parent.mkdir()
    path.write_bytes(b"GGUF and more")
    assert node.find(want(path)) == FileReport(path)


def test_another_file_at_the_same_path_is_not_taken(node, want, tmp_path):
    path = tmp_path / "one.gguf"
    path.write_bytes(b"GGUF one")
    wanted = want(path)
    path.write_bytes(b"GGUF two")
    found = node.find(wanted)
    assert "has another content there" in found.problem
    path.write_bytes(b"GGUF of another size")
    assert str(path) in node.find(wanted).problem


def test_a_model_in_another_folder_is_found_by_its_content(node, want, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = tmp_path / "gone" / "one.gguf"
    path.parent.mkdir()
    path.write_bytes(b"GGUF" + bytes(5000))
    wanted = want(path)
    settings = tmp_path / "home" / "config" / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"model_folders = [{json.dumps(str(elsewhere))}]\n")
    shutil.move(path, elsewhere / "renamed.gguf")
    assert node.find(wanted) == FileReport(elsewhere / "renamed.gguf")


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_copy_is_kept_and_found_again(node, want, tmp_path, is_folder):
    path = tmp_path / "run" / "adapter"
    if is_folder:
        write_adapter(path)
    else:
        path.parent.mkdir()
        path.write_bytes(b"GGUF adapter")
    wanted, packed = want(path, "adapter"), pack_files(path)
    shutil.rmtree(path.parent)
    assert node.find(wanted).problem
    kept = node.save(wanted, unpack(pack(packed), list[PackedFile]))
    assert kept.problem == ""
    assert kept.path.name == "adapter"
    assert not (kept.path / ".cache").exists()
    assert node.find(wanted) == kept
    assert [path.name for path in kept.path.parent.parent.iterdir()] == [wanted.fingerprint]  # nothing half-written


def test_a_copy_that_is_not_what_was_asked_for_is_refused(node, want, tmp_path):
    path = tmp_path / "one.gguf"
    path.write_bytes(b"GGUF one")
    wanted = want(path)
    found = node.save(wanted, [PackedFile("", b"GGUF two")])
    assert "not the same as the original" in found.problem


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", "c:\\outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused(node, want, tmp_path, name):
    path = tmp_path / "one.gguf"
    path.write_bytes(b"GGUF one")
    found = node.save(want(path), [PackedFile(name, b"x")])
    assert "is not a name inside a folder" in found.problem
    assert not list(tmp_path.rglob("outside"))


def test_a_node_whose_settings_are_wrong_says_so(tmp_path, monkeypatch, want):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    settings = tmp_path / "home" / "config" / "settings.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("model_folders = 3\n")
    path = tmp_path / "one.gguf"
    path.write_bytes(b"GGUF one")
    wanted = want(path)
    path.unlink()
    worker = NodeWorker(str(tmp_path / "node"))
    assert "model_folders" in unpack(worker.find(pack(wanted)), FileReport).problem
    worker.close()


@pytest.mark.parametrize(
    ("resources", "memory", "computes", "shares"),
    [
        ({"CPU": 16.0, "memory": 64 * GIB}, 8 * 2**30, True, [NodeShare(16.0, 0.0, 8 * 2**30)]),
        ({"CPU": 16.0, "GPU": 4.0, "memory": 64 * GIB}, 8 * 2**30, True, [NodeShare(4.0, 1.0, 8 * 2**30)] * 4),
        ({"CPU": 2.0, "GPU": 4.0, "memory": 64 * GIB}, 2**30, True, [NodeShare(1.0, 1.0, 2**30)] * 2),
        ({"CPU": 8.0, "GPU": 1.0, "memory": GIB}, 0, False, [NodeShare(1.0, 0.0, 0)]),
        ({"memory": GIB}, 0, False, "it offers no processors"),
        ({"CPU": 8.0, "memory": 2 * GIB}, 8 * 2**30, True, "it offers 2.0 GB of memory, and 8.0 GB are needed"),
        (
            {"CPU": 8.0, "GPU": 2.0, "memory": 9 * GIB},
            8 * 2**30,
            True,
            "it offers 9.0 GB of memory, and 16 GB are needed",
        ),
    ],
)
def test_a_node_is_divided_by_its_cards_and_left_out_where_the_model_does_not_fit(resources, memory, computes, shares):
    found = divide_node(resources, memory, computes)
    if isinstance(shares, str):
        assert isinstance(found, str)
        assert found.split("GB")[0][:9] == shares.split("GB")[0][:9]
    else:
        assert found == shares
