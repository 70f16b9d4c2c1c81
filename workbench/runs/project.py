"""The project that a folder belongs to: its library of prompts, so that a prompt has one name wherever a command is
started, and its benches and recipes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workbench import files, paths
from workbench.errors import WorkbenchError
from workbench.library.library import is_foreign
from workbench.library.names import strip_suffix
from workbench.settings import Settings
from workbench.yaml_tree import YamlParseError, parse_yaml

DEMO = "prompts/demo.bench.yaml"
BENCH_PATTERN = "*.bench.yaml"
_SUFFIXES = (".bench.yaml", ".bench.yml", ".recipe.yaml", ".recipe.yml")
_MARKERS = (".git", ".hg", "pyproject.toml")
_MOST_FOLDERS = 20_000


class ProjectFiles(NamedTuple):
    """Benches and recipes, sorted. complete: False where the search ended early, in a folder with too many others."""

    paths: tuple[Path, ...]
    complete: bool = True


def find_library(settings: Settings, own: str = "", near: Path | None = None) -> Path:
    """The folder of the prompts. own: what the bench or recipe says. near: its folder; None: the working folder's
    project is meant, and a person's own folder where it has none. Raises FileError.
    """
    if own and near:
        return paths.find_input(own, near)
    if settings.library:
        return _find_above(paths.expand(settings.library))
    if near:
        return near
    return find_library_at(paths.working_folder()) or paths.data_folder()


def find_library_at(folder: Path) -> Path | None:
    """The library of the project that a folder is in: of the nearest folder, from there upwards, that has a bench or a
    `prompts` folder. None where there is none up to the root of the project, or to the home folder."""
    for here in _list_upwards(folder):
        if found := _find_library_of(here):
            return found
    return None


def locate_prompt(path: Path) -> tuple[Path, str]:
    """The library that a prompt's file lies in, and the name that it has there."""
    folder = find_library_at(path.parent)
    if folder is None or not path.is_relative_to(folder):
        folder = path.parent
    return folder, strip_suffix(path.relative_to(folder).as_posix())


def find_root(library: Path) -> Path:
    """The project's folder: the nearest above the library with a repository, else the one that `prompts` is in."""
    for here in _list_upwards(library):
        if here != Path.home() and any((here / marker).exists() for marker in _MARKERS):
            return here
    return library.parent if library.name == "prompts" else library


def list_project_files(library: Path) -> ProjectFiles:
    """The benches and recipes of the library's project."""
    found: list[Path] = []
    for number, (here, inner, names) in enumerate(os.walk(find_root(library))):
        if number == _MOST_FOLDERS:
            return ProjectFiles(tuple(sorted(found)), complete=False)
        inner[:] = [name for name in inner if not is_foreign(Path(here, name))]
        found += [Path(here, name) for name in names if name.endswith(_SUFFIXES) and not name.startswith(".")]
    return ProjectFiles(tuple(sorted(found)))


def _list_upwards(folder: Path) -> Iterator[Path]:
    """The folder and those above it, up to a repository's or the home folder; none that others may write to."""
    home, start = Path.home(), folder.absolute()
    for here in (start, *start.parents):
        if here != start and _is_shared(here):
            return
        yield here
        if here == home or (here / ".git").exists():
            return


def _is_shared(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def _find_library_of(folder: Path) -> Path | None:
    """The library of the bench that is opened in a folder when none is named."""
    if (folder / DEMO).is_file():
        return folder / "prompts"
    if benches := sorted(path for path in folder.glob(BENCH_PATTERN) if path.is_file()):
        named = {_read_library(path) for path in benches}
        return named.pop() if len(named) == 1 else folder
    return folder / "prompts" if (folder / "prompts").is_dir() else None


def _read_library(bench: Path) -> Path:
    """The library of a bench; the bench's folder also where it cannot be read."""
    try:
        tree = parse_yaml(files.read_text(bench))
        name = tree.get("library") if isinstance(tree, dict) else ""
        return paths.find_input(str(name), bench.parent) if name else bench.parent
    except (WorkbenchError, YamlParseError):
        return bench.parent


def _find_above(named: Path) -> Path:
    """The folder that the settings name: of a relative one, the nearest from the working folder upwards."""
    here = paths.working_folder()
    candidates = [folder / named for folder in _list_upwards(here)]
    return next((path for path in candidates if path.is_dir()), here / named)
