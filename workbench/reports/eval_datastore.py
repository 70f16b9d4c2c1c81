"""Writes a run into a folder as the datastore of Every Eval Ever wants it: for each variant a record and its samples.

    data/BENCH/DEVELOPER/MODEL/UUID.json
    data/BENCH/DEVELOPER/MODEL/UUID_samples.jsonl

The UUID is made of the run and the variant, so that a run that is written again gets the same names.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec

from workbench import files
from workbench.analysis.summary import Summary
from workbench.errors import FileError
from workbench.reports.eval_samples import encode_sample, read_samples
from workbench.reports.every_eval_ever import describe_records
from workbench.runs.view import RunView

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def write_datastore(view: RunView, summary: Summary, folder: Path) -> list[Path]:
    """Write both files of every variant that has a score; their paths. Raises FileError where one exists already."""
    records = describe_records(view, summary)
    names = {variant: _name_files(view, variant, record) for variant, record in records.items()}
    if taken := [folder / one for one in names.values() if (folder / one).exists()]:
        raise FileError(f"Nothing was written, since {taken[0]} exists already.", "Choose another folder with --out.")
    written = []
    with ExitStack() as opened:
        streams = {variant: opened.enter_context(tempfile.TemporaryFile()) for variant in records}
        counts = dict.fromkeys(records, 0)
        for sample in read_samples(view, records):
            streams[sample.variant].write(encode_sample(sample).encode() + b"\n")
            counts[sample.variant] += 1
        for variant, record in records.items():
            path = folder / names[variant]
            if counts[variant]:
                samples = path.with_name(f"{path.stem}_samples.jsonl")
                record["detailed_evaluation_results"] = {
                    "format": "jsonl",
                    "file_path": f"{names[variant].parent.as_posix()}/{samples.name}",
                    "hash_algorithm": "sha256",
                    "checksum": _copy(streams[variant], samples),
                    "total_rows": counts[variant],
                }
                written.append(samples)
            files.write_text(path, msgspec.json.format(msgspec.json.encode(record)).decode() + "\n", "")
            written.append(path)
    return written


def _copy(stream: IO[bytes], target: Path) -> str:
    """Write what is in a stream to a file; its SHA-256."""
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    stream.seek(0)
    files.write_stream(target, lambda out: shutil.copyfileobj(stream, out))
    return digest


def _name_files(view: RunView, variant: str, record: dict[str, Any]) -> Path:
    """The path of a variant's record, below the folder."""
    developer, _, model = str(record["model_info"]["id"]).partition("/")
    held = hashlib.sha256(f"{view.id}\n{view.run.started}\n{variant}".encode()).digest()
    name = uuid.UUID(bytes=held[:16], version=4)
    return Path("data", _to_component(view.run.bench), _to_component(developer), _to_component(model), f"{name}.json")


def _to_component(text: str) -> str:
    """A text as one component of a path that every system can have."""
    return _UNSAFE.sub("_", text).rstrip(". ") or "unnamed"
