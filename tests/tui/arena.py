"""A bench with train, validation and test splits on the scripted model, and adapters that were trained on it."""

from __future__ import annotations

import json
from pathlib import Path

from workbench.training.manifest import DatasetScores, DataTrace, Manifest, Rank, write_manifest
from workbench.training.registry import Registry

RULES = [
    {"adapter": "mine", "regex": r"question (?P<n>\d+)", "reply": "answer {n}"},
    {"adapter": "worn", "regex": r"question (?P<n>\d*[05])\b", "reply": "answer {n}"},
    {"adapter": "", "regex": r"please.*question (?P<n>\d*[02468])\b", "reply": "answer {n}"},
    {"reply": "no idea"},
]
BENCH = """\
dataset: {path: data/test.jsonl}
scorers: [exact_match, token_f1]
variants:
  - {name: plain, prompt: plain, model: arena.script.json}
  - {name: wordy, prompt: wordy, model: arena.script.json}
  - {name: shots, prompt: shots, model: arena.script.json}
"""
RECIPE = "base: desk\nbench: arena.bench.yaml\nvariant: plain\nmethod: {{rank: {rank}}}\n"


def build_arena(folder: Path, rules: list[dict[str, object]] | None = None) -> None:
    """Write it; the adapter `mine` is always right, the prompt `wordy` half of the time."""
    (folder / "arena.bench.yaml").write_text(BENCH)
    (folder / "arena.script.json").write_text(json.dumps({"rules": rules or RULES, "context_tokens": 1000}))
    (folder / "plain.prompty").write_text("user:\n{{ message }}\n")
    (folder / "wordy.prompty").write_text("user:\nI ask you please: {{ message }}\n")
    shots = "---\nmetadata:\n  workbench:\n    placement: turns\n    examples: shots.jsonl\n---\nuser:\n{{ message }}\n"
    (folder / "shots.prompty").write_text(shots)
    (folder / "shots.jsonl").write_text('{"id": "e1", "message": "Why?", "answer": "no"}\n')
    (folder / "data").mkdir()
    for split, first in (("train", 0), ("validation", 100), ("test", 200)):
        rows = [{"message": f"question {n}", "expected": f"answer {n}"} for n in range(first, first + 40)]
        (folder / "data" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


def add_adapter(name: str, created: float, score: float, rank: Rank = "candidate", width: int = 8) -> Path:
    """An adapter in the registry, of which nothing is real but where it says it comes from."""
    folder = Registry().folder / name
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    traces = (DataTrace("train", "data/train.jsonl", "d" * 20, 400), DataTrace("validation", "v", "e" * 20, 100))
    made = Manifest(
        name, 1, created, "lora", "/models/desk", "abcdef0123456789", RECIPE.format(rank=width), prompt="plain",
        data=traces, metrics=DatasetScores({"exact_match": score}, 100, "v", "dv"), baseline={"exact_match": 0.1},
        tokens=500, seconds=9.0, rank=rank,
    )  # fmt: skip
    write_manifest(folder, made)
    return folder
