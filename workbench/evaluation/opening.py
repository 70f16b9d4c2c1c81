"""Opening: which bench and which prompts are meant when a person names none.

Knows nothing of screens or commands.
"""

from __future__ import annotations

from pathlib import Path

from workbench import files, paths
from workbench.errors import BenchError
from workbench.evaluation.bench import Bench
from workbench.library.library import Library
from workbench.settings import Settings

_DEMO = "prompts/demo.bench.yaml"
_PATTERN = "*.bench.yaml"


def choose_bench(folder: Path) -> Path:
    """The bench to open in a working folder: its `prompts/demo.bench.yaml`, else the only bench in the folder or
    in its `prompts/`, else a person's own copy of the shipped demo.

    Raises BenchError when there are several to choose from.
    """
    if (folder / _DEMO).is_file():
        return folder / _DEMO
    for place in (folder, folder / "prompts"):
        benches = sorted(path for path in place.glob(_PATTERN) if path.is_file())
        if len(benches) > 1:
            names = ", ".join(path.name for path in benches)
            raise BenchError(f"{place} holds several benches: {names}.", f"Name one: workbench {benches[0].name}")
        if benches:
            return benches[0]
    return copy_demo()


def copy_demo() -> Path:
    """A person's own copy of the shipped demo, made once, so that what they change can be saved."""
    own = paths.data_folder() / "demo.bench.yaml"
    if not own.exists():
        files.write_text(own, files.read_text(paths.find_shipped(_DEMO)), "")
    return own


def open_library(settings: Settings, bench: Bench | None = None, near: Path | None = None) -> Library:
    """The prompts that a bench draws on, or, without one, those of the working folder.

    near: the bench's folder.
    """
    return Library(_library_folder(settings, bench, near), shipped=paths.find_shipped("prompts"))


def _library_folder(settings: Settings, bench: Bench | None, near: Path | None) -> Path:
    if bench and near and bench.library:
        return paths.find_input(bench.library, near)
    if settings.library:
        return paths.working_folder() / paths.expand(settings.library)
    if near:
        return near
    project = paths.working_folder() / "prompts"
    return project if project.is_dir() else paths.data_folder()
