"""The answers that a training sampled, by update: what a reward was given for, kept in the job's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from workbench import files

FILE = "samples.jsonl"


class SampledAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer that was sampled for an update. reward: None where nothing could be scored."""

    step: int
    case: int
    asked: str
    expected: str
    answer: str
    reward: float | None
    scores: dict[str, float] = {}


def append_answers(folder: Path, answers: Sequence[SampledAnswer]) -> None:
    """Add to those of a job. Raises OSError."""
    with (folder / FILE).open("ab") as stream:
        stream.write(b"".join(msgspec.json.encode(one) + b"\n" for one in answers))


def forget_after(folder: Path, step: int) -> None:
    """Drop those of later updates, which are made again after a resume."""
    kept = [one for one in read_answers(folder) if one.step <= step]
    if (folder / FILE).exists():
        files.write_text(folder / FILE, "".join(msgspec.json.encode(one).decode() + "\n" for one in kept))


def read_answers(folder: Path, step: int | None = None) -> tuple[SampledAnswer, ...]:
    """Those of a job, of one update or of all; a line that is not whole is left out."""
    return tuple(one for one in _read(folder / FILE) if step is None or one.step == step)


def _read(path: Path) -> Iterator[SampledAnswer]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=SampledAnswer)
        except msgspec.DecodeError:
            continue
