"""Which bench and which prompts are meant when a person names none."""

from __future__ import annotations

import contextlib
from pathlib import Path

from workbench import files, paths
from workbench.errors import BenchError
from workbench.library.library import Library
from workbench.runs.bench import Bench
from workbench.runs.project import BENCH_PATTERN, DEMO, find_library
from workbench.settings import Settings

_DATA = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
"""not .json or .txt, which are more often something else"""


def choose_bench(folder: Path) -> Path:
    """The bench to open in a working folder: its `prompts/demo.bench.yaml`, else the only bench in the folder or
    in its `prompts/`, else a person's own copy of the shipped demo.

    Raises BenchError when there are several to choose from.
    """
    if (folder / DEMO).is_file():
        return folder / DEMO
    for where in (folder, folder / "prompts"):
        benches = _list_in(where)
        if len(benches) > 1:
            names = ", ".join(path.name for path in benches)
            raise BenchError(f"{where} holds several benches: {names}.", f"Name one: workbench {benches[0].name}")
        if benches:
            return benches[0]
    return copy_demo()


def list_benches(folder: Path) -> tuple[Path, ...]:
    """The benches in a working folder and in its `prompts/`."""
    return (*_list_in(folder), *_list_in(folder / "prompts"))


def _list_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(BENCH_PATTERN) if path.is_file())


def find_data(folder: Path) -> tuple[Path, ...]:
    """What in a folder is likely a file of cases, by name."""
    with contextlib.suppress(OSError):
        return tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in _DATA and path.is_file()))
    return ()


def copy_demo() -> Path:
    """A person's own copy of the shipped demo, made once, so that what they change can be saved."""
    own = paths.data_folder() / "demo.bench.yaml"
    if not own.exists():
        files.write_text(own, files.read_text(paths.find_shipped(DEMO)), "")
    return own


def open_library(settings: Settings, bench: Bench | None = None, near: Path | None = None) -> Library:
    """The prompts that a bench draws on, or, without one, those of the project of the working folder; below them those
    of the settings' `prompt_folders`, of the user's own folder, and the shipped ones.

    near: the bench's folder.
    """
    own = bench.library if bench else ""
    return library_at(find_library(settings, own, near), settings)


def library_at(folder: Path, settings: Settings) -> Library:
    """The library in a folder, over all others that the user has."""
    further = [paths.working_folder() / paths.expand(name) for name in settings.prompt_folders]
    return Library(folder, paths.find_shipped("prompts"), shared=(*further, paths.data_folder()))
