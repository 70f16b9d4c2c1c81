"""Models and adapters on a node, found by their content, and copies of small ones that it did not have."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench import files
from workbench.errors import FileError, WorkbenchError
from workbench.models.discovery import default_folders, discover_adapters, discover_models
from workbench.runs.cluster.messages import FileReport, PackedFile, WantedFile
from workbench.settings import load_settings
from workbench.store.fingerprints import fingerprint
from workbench.store.store import Store
from workbench.units import format_bytes


class NodeFiles:
    """See the module. folder: of this node's cache, for copies and for what is known of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = Store(folder / "fingerprints.sqlite")

    def find(self, wanted: WantedFile) -> FileReport:
        """The file with the wanted content: at the same path as where the run is, a copy of it, or one of the models
        or adapters that this node finds."""
        different = ""
        for path in self._list_candidates(wanted):
            try:
                if fingerprint(self._store, path) == wanted.fingerprint:
                    return FileReport(path)
                if path == wanted.path:
                    different = f"{path} has another content there, and "
            except WorkbenchError:
                continue
        return FileReport(
            problem=f"{different}no {wanted.kind} with the fingerprint {wanted.fingerprint[:12]} was found: not at"
            f" {wanted.path} and not among the {wanted.kind}s of its folders"
        )

    def save(self, wanted: WantedFile, packed: list[PackedFile]) -> FileReport:
        """Keep a copy, under a name by which it is found again. It is there whole or not at all."""
        kept = self._copy_path(wanted)
        fresh = kept.parent.with_name(f"{kept.parent.name}.{secrets.token_hex(4)}.new")
        try:
            for one in packed:
                path = fresh / kept.name / _check_name(one.name) if one.name else fresh / kept.name
                files.make_folder(path.parent)
                path.write_bytes(one.content)
            shutil.rmtree(kept.parent, ignore_errors=True)
            fresh.replace(kept.parent)
            if fingerprint(self._store, kept) != wanted.fingerprint:
                return FileReport(problem=f"the copy of {wanted.path} is not the same as the original")
        except (OSError, WorkbenchError) as error:
            reason = error.message if isinstance(error, WorkbenchError) else error.strerror or str(error)
            return FileReport(problem=f"the copy of {wanted.path} could not be written to {kept.parent}: {reason}")
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return FileReport(kept)

    def fingerprint(self, path: Path) -> str:
        """The digest of a file or folder, remembered. Raises FileError."""
        return fingerprint(self._store, path)

    def close(self) -> None:
        self._store.close()

    def _list_candidates(self, wanted: WantedFile) -> Iterator[Path]:
        """Paths that exist and have the wanted size, the likeliest first."""
        for path in (wanted.path, self._copy_path(wanted)):
            if path.exists() and measure(path) == wanted.bytes:
                yield path
        folders = default_folders(load_settings(), Path.cwd())
        found = discover_models(folders) if wanted.kind == "model" else discover_adapters(folders)
        yield from (one.path for one in found if one.path != wanted.path and measure(one.path) == wanted.bytes)

    def _copy_path(self, wanted: WantedFile) -> Path:
        return self._folder / "copies" / wanted.fingerprint / wanted.path.name


def measure(path: Path) -> int:
    """The bytes of a file, or of all files of a folder that its fingerprint is made of; 0 where it cannot be read."""
    try:
        return sum(file.stat().st_size for _, file in _list_files(path))
    except OSError:
        return 0


def pack_files(path: Path) -> list[PackedFile]:
    """A file or folder, to be sent. Raises FileError."""
    try:
        return [PackedFile(name, file.read_bytes()) for name, file in _list_files(path)]
    except OSError as error:
        raise FileError(f"Cannot read {path}: {error.strerror}.", "Check the path and its permissions.") from error


def describe_size(wanted: WantedFile) -> str:
    return f"{wanted.path} ({format_bytes(wanted.bytes)})"


def _list_files(path: Path) -> Iterator[tuple[str, Path]]:
    """The files by their names in the folder; "" for a file that is in none."""
    if not path.is_dir():
        yield "", path
        return
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield inside.as_posix(), file


def _check_name(name: str) -> PurePosixPath:
    """A name inside a folder, and nothing that leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise FileError(f"{name!r} is not a name inside a folder.", "Rename the file.")
    return path
