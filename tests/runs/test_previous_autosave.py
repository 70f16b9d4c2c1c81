"""Unsaved changes that the version before the renaming of keys kept are restored by this one.

The files in previous_version/ were written by that version, in a project at /tmp/previous/project.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest

from workbench.runs.session import Session
from workbench.settings import Settings

PREVIOUS = Path(__file__).with_name("previous_version")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The project and its drafts in a folder of this test: a draft's key holds the path, its file name the key."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    shutil.copytree(PREVIOUS / "project", project)
    drafts = tmp_path / "home/data/drafts"
    drafts.mkdir(parents=True)
    for path in (PREVIOUS / "drafts").glob("*.json"):
        draft = msgspec.json.decode(path.read_bytes())
        draft["key"] = draft["key"].replace("/tmp/previous/project", str(project))
        digest = hashlib.blake2b(draft["key"].encode(), digest_size=16).hexdigest()
        owner = path.name.partition(".")[2]
        (drafts / f"{digest}.{owner}").write_bytes(msgspec.json.encode(draft))
    return Session(project / "demo.bench.yaml", Settings())


def test_a_bench_of_the_previous_version_is_restored(session: Session):
    assert not session.problems
    first, second = session.variants
    assert (first.name, second.name) == ("renamed", "plain 2")
    assert first.examples_off == ("e1",)
    assert first.sampling.temperature == 0.7
    assert first.sampling.max_tokens == 64
    assert first.sampling.stop == ("\n",)
    assert (first.adapters[0].adapter, first.adapters[0].scale, first.adapters[0].on) == ("lora", 0.5, False)
    assert getattr(first, "deterministic", None) or getattr(first, "reproducible", None)
    assert session.case.variables == {"message": "typed over"}


def test_prompts_of_the_previous_version_are_restored(session: Session):
    assert session.prompt("queues/plain").body.endswith("Queues: Lantern\n")
    assert session.prompt("queues/plain-2").examples[0].id == "e1"
    assert session.prompt("queues/plain").examples[0].answer == "half an ans"  # it was being typed
    assert set(session.recovered) >= {"queues/plain", "queues/plain-2"}
