"""The record of a prompt search, which a verdict reads: what it made, what that cost and what it scored."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from workbench import files, paths
from workbench.analysis.summary import Estimate
from workbench.datasets.row_digests import RowDigests, write_digests
from workbench.errors import FileError, TrainingError, WorkbenchError

RECORD = "record.json"

SearchMethod = Literal["examples", "instructions", "both"]


class SearchRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A finished search. search: its id, the name of its folder; created: seconds since 1970.

    prompt: the library's name of the prompt that it wrote, "" for none; digest: of that prompt's version, as
    library/versions.py has it; parent: the prompt that it started from. candidates: those that were evaluated; refused:
    those that never were. calls: of every model, without cached answers; tokens: of prompts and completions, those of
    the reflector included. money: None without a price. dev, test: of the prompt that it wrote; parent_dev,
    parent_test: of the one it started from. p: of the test figures, paired and corrected; None where they were not
    compared. opened: how often the test part was opened so far, this search included.
    """

    search: str
    created: float
    bench: str
    variant: str
    prompt: str
    digest: str
    parent: str
    method: SearchMethod
    model: str
    reflector: str = ""
    candidates: int = 0
    refused: int = 0
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    money: float | None = None
    metric: str = ""
    dev: Estimate | None = None
    parent_dev: Estimate | None = None
    test: Estimate | None = None
    parent_test: Estimate | None = None
    p: float | None = None
    opened: int = 0
    improved: bool = False


def searches_folder() -> Path:
    """Where every search has a folder."""
    return paths.data_folder() / "searches"


def write_record(folder: Path, record: SearchRecord, digests: Sequence[RowDigests] = ()) -> None:
    """Write it into a search's folder. digests: of the rows that the search used. Raises FileError."""
    if digests:
        write_digests(folder, digests)
    files.write_text(folder / RECORD, msgspec.json.format(msgspec.json.encode(record)).decode() + "\n")


def read_record(folder: Path) -> SearchRecord:
    """Raises TrainingError for a search without a record, FileError for one that cannot be read."""
    try:
        return msgspec.convert(_restore(msgspec.json.decode((folder / RECORD).read_bytes(), type=dict)), SearchRecord)
    except OSError as error:
        raise TrainingError(f"The search {folder.name} has no record.", "Finish it: it has not ended yet.") from error
    except msgspec.DecodeError as error:
        raise FileError(
            f"{folder / RECORD} cannot be read: {error}.", "Delete the folder, and search again."
        ) from error


def list_records() -> tuple[SearchRecord, ...]:
    """Every finished search, the newest first; what cannot be read is left out."""
    return tuple(sorted(_read_all(), key=lambda record: -record.created))


def find_record(prompt: str) -> SearchRecord | None:
    """The newest search that wrote this prompt of the library."""
    return next((record for record in list_records() if record.prompt == prompt), None)


def _read_all() -> Iterator[SearchRecord]:
    folder = searches_folder()
    for path in sorted(folder.iterdir()) if paths.exists(folder) else ():
        with contextlib.suppress(WorkbenchError):
            yield read_record(path)


def _restore(held: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: an interval's null is one."""
    for name in ("dev", "parent_dev", "test", "parent_test"):
        if isinstance(held.get(name), dict):
            held[name] = {key: math.nan if value is None else value for key, value in held[name].items()}
    return held
