"""The project that a round is played in: two benches on a scripted model, prompts, cases, a trained adapter."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tui.conftest import BENCH, CASES, EXAMPLES, LISTED, PLAIN, SCRIPT
from workbench.training.manifest import DatasetScores, DataTrace, Manifest, write_manifest
from workbench.training.registry import Registry

OTHER = """\
dataset:
  path: cases.jsonl
variants:
  - name: only
    prompt: queues/plain
    model: desk.script.json
"""


def write_project(folder: Path) -> Path:
    """Write it; the path of the bench to open."""
    (folder / "queues").mkdir(parents=True)
    texts = {
        "queues/plain.prompty": PLAIN,
        "queues/listed.prompty": LISTED,
        "queues/examples.jsonl": "".join(json.dumps(row) + "\n" for row in EXAMPLES),
        "cases.jsonl": "".join(json.dumps(row) + "\n" for row in CASES),
        "desk.script.json": json.dumps(SCRIPT),
        "demo.bench.yaml": BENCH,
        "other.bench.yaml": OTHER,
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder / "demo.bench.yaml"


def write_adapter() -> None:
    """Put an adapter among the trained ones."""
    folder = Registry().folder / "routes"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    made = Manifest(
        "routes", 1, 1.7e9, "lora", "desk", "a" * 16, "name: routes", prompt="queues/plain",
        data=(DataTrace("train", "cases.jsonl", "d" * 20, 4),),
        metrics=DatasetScores({"exact": 0.5}, 100, "exact", "dv"),
    )  # fmt: skip
    write_manifest(folder, made)
