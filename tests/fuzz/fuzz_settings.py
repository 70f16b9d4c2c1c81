"""What a person or another program wrote for the workbench: settings, benches, drafts, amounts, Ollama's manifests."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.files import read_text
from workbench.library.autosave import AutosaveStore
from workbench.library.library import Library
from workbench.library.workspace import Workspace
from workbench.models.discovery import find_in_ollama
from workbench.prompting.prompt import Prompt
from workbench.runs.bench import load_bench, save_bench
from workbench.scoring.factory import make_scorers
from workbench.settings import load_settings
from workbench.units import read_bytes, read_seconds

from .grammars import mutate_yaml
from .kinds import kind

BENCH = """# a comparison
variants:
  - name: plain   # the baseline
    prompt: queues/plain
    model: desk
    sampling: {max_tokens: 10, temperature: 0.0, stop: ["\\n"], seed: 1}
  - name: few-shot
    prompt: queues/few-shot
    model: desk
    examples_off: [e1]
    adapters:
      - {adapter: poem, scale: 0.5}
dataset: {path: queues.jsonl, columns: {message: text}, expected: label, where: {lang: [en, null]}, sample: 10}
scorers:
  - exact_match
  - regex: {pattern: "(\\\\w+)$", group: 1}
  - contains: {text: x}
models: {desk: {path: ~/models/desk.gguf, context_tokens: 2048}}
thresholds: {exact_match: {min: 0.5, variant: plain}}
prices: {desk: {input: 0.1, output: 0.2}}
inputs: {message: "Hello"}
repeats: 2
"""

SETTINGS = """theme = "workbench-dark"
model_folders = ["~/models", "/srv"]
live_delay_ms = 300
prompt_cache_ram = "1 GiB"
step_seconds = "50 ms"
threads = 0
[keymap]
"bench.run" = "f5,ctrl+r"
"""


def _write(folder: Path, name: str, text: str) -> list[Path]:
    (folder / name).write_text(text)
    return [folder / name]


@kind("bench", lambda folder: _write(folder, "a.bench.yaml", BENCH), mutate_yaml)
def read_bench(path: Path) -> object:
    bench = load_bench(path)
    save_bench(path.with_name("again.bench.yaml"), bench)
    save_bench(path, bench)
    return make_scorers(bench.scorers, path.parent)


@kind("settings", lambda folder: _write(folder, "settings.toml", SETTINGS))
def read_settings(path: Path) -> object:
    return load_settings(path)


def make_drafts(folder: Path) -> list[Path]:
    drafts = folder / "drafts"
    workspace = _open(drafts)
    workspace.create(
        "queues/new", Prompt("queues/new", "user:\n{{ message }}", "Route.", {"message": "x"}, {"n": "integer"})
    )
    (drafts / "trash").mkdir()
    return [drafts]


def _open(drafts: Path) -> Workspace:
    folder = Path("/nonexistent")
    return Workspace(Library(folder, trash=folder / "trash"), AutosaveStore(drafts))


@kind("drafts", make_drafts)
def read_drafts(path: Path) -> object:
    problems = _open(path).recover(["queues/new"])
    if problems:
        raise problems[0]
    return AutosaveStore(path).all()


@kind("amounts", lambda folder: _write(folder, "amounts.txt", "512 MiB\n1.5 GB\n50 ms\n0.05 s\n2e3\n7"))
def read_amounts(path: Path) -> object:
    found: list[object] = []
    for line in path.read_bytes().decode("utf-8", "surrogateescape").splitlines():
        for read in (read_bytes, read_seconds):
            for value in (line, _number(line)):
                try:
                    found.append(read(value))
                except ValueError as error:
                    found.append(str(error).encode())
    return found


def _number(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def make_manifests(folder: Path) -> list[Path]:
    store = folder / "ollama"
    for kind_of, name in (("model", "latest"), ("adapter", "tuned")):
        path = store / "manifests" / "registry.ollama.ai" / "library" / "desk" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        layers = [{"mediaType": f"application/vnd.ollama.image.{kind_of}", "digest": f"sha256:{'0' * 64}", "size": 9}]
        path.write_text(json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:1"}, "layers": layers}))
    (store / "blobs").mkdir()
    (store / "blobs" / f"sha256-{'0' * 64}").write_bytes(b"GGUF")
    return [store]


@kind("ollama", make_manifests)
def read_ollama(path: Path) -> object:
    return [(found.name.encode(), str(found.path).encode()) for found in find_in_ollama(path)]


def make_libraries(folder: Path) -> list[Path]:
    library = folder / "prompts"
    (library / "queues").mkdir(parents=True)
    (library / "queues" / "a.prompty").write_text(
        "---\nmetadata: {workbench: {examples: examples.jsonl, placement: turns}}\n---\nuser:\n{{ message }}"
    )
    (library / "queues" / "examples.jsonl").write_text('{"id": "e1", "message": "x", "urgent": false, "answer": "y"}\n')
    return [library]


@kind("library", make_libraries)
def read_library(path: Path) -> object:
    library = Library(path, trash=path.parent / "trash")
    for entry in library.entries():
        if not entry.problem:
            opened = library.open(entry.name)
            library.changed(opened)
    return read_text(path / "queues" / "a.prompty")
