"""Few-shot examples: JSON lines beside a prompt."""

from __future__ import annotations

from pathlib import Path

from workbench.files import read_text
from workbench.library.examples import load_examples

from .kinds import kind


def make_seeds(folder: Path) -> list[Path]:
    path = folder / "queues.examples.jsonl"
    path.write_text(
        '{"id": "e1", "message": "Where is my parcel?", "answer": "Lantern"}\n'
        '{"id": "e2", "message": "Crème — ça va?", "answer": "Abacus"}\n'
    )
    return [path]


@kind("examples", make_seeds)
def read(path: Path) -> object:
    return load_examples(read_text(path), path)
