"""The registry of trained adapters: PEFT folders with a manifest, published, ranked, trashed and restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import paths
from workbench.datasets.row_digests import RowDigests, write_digests
from workbench.errors import FileError, TrainingError, WorkbenchError
from workbench.training.manifest import MANIFEST, DatasetScores, Manifest, Rank, read_manifest, write_manifest

_KEPT = (".safetensors", ".json", ".jinja", ".model", ".txt")
_LEFT_OUT = ("checkpoint.json", "trainer_state.json", "optimizer.pt", "scheduler.pt", "training_args.bin")
_TOKENIZER = ("token", "vocab", "merges", "spiece", "special_tokens", "chat_template", "added_tokens")


_STAMP = len("20260102-030405-678901-")
"""Characters before the name of a trashed adapter."""


class TrashedAdapter(NamedTuple):
    """An adapter in the trash. when: it was deleted, as in its folder's name."""

    name: str
    path: Path
    when: str


class RegistryEntry(msgspec.Struct, frozen=True):
    """An adapter of the registry. problem: why its manifest cannot be read; the manifest is then None."""

    name: str
    path: Path
    manifest: Manifest | None
    problem: str = ""

    @property
    def rank(self) -> Rank:
        return self.manifest.rank if self.manifest else "candidate"


class Registry:
    """The adapters in a folder. Methods raise TrainingError and FileError."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or paths.data_folder() / "adapters"

    def entries(self) -> tuple[RegistryEntry, ...]:
        """Every adapter that has a manifest, the newest first."""
        found = [self._read(path) for path in self._list()]
        return tuple(sorted(found, key=lambda entry: -(entry.manifest.created if entry.manifest else 0)))

    def find(self, name: str) -> RegistryEntry:
        """The adapter of that name, or in that folder."""
        for path in (self.folder / name, paths.expand(name)):
            if name and paths.exists(path / MANIFEST):
                return self._read(path)
        known = ", ".join(entry.name for entry in self.entries()[:8])
        raise TrainingError(
            f"No such trained adapter: {name!r}.",
            f"Known adapters: {known}." if known else "Train one: workbench train FILE.recipe.yaml",
        )

    def publish(self, state: Path, manifest: Manifest, digests: Sequence[RowDigests] = ()) -> Path:
        """Publish a checkpoint's weights as an adapter; its folder. The manifest is written last, then it is renamed.

        manifest: its name and version are set to free ones. digests: of the training rows.
        Raises FileError when the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name, version = self._free(manifest.name)
        scratch = self.folder / f".{name}.making"
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            for path in sorted(state.iterdir()):
                if _belongs(path, whole=(state / "config.json").exists()):
                    shutil.copyfile(path, scratch / path.name)
            if digests:
                write_digests(scratch, digests)
            sizes = {path.name: path.stat().st_size for path in sorted(scratch.iterdir())}
            write_manifest(scratch, msgspec.structs.replace(manifest, name=name, version=version, files=sizes))
            scratch.rename(self.folder / name)
        except (OSError, FileError) as error:
            shutil.rmtree(scratch, ignore_errors=True)
            reason = error.message if isinstance(error, FileError) else str(error.strerror)
            raise FileError(
                f"The adapter {name} could not be written to {self.folder}: {reason}.",
                "Free some space; the checkpoints are kept, and `--resume` publishes the adapter from them.",
            ) from error
        return self.folder / name

    def note(self, name: str, text: str) -> None:
        self._change(name, notes=text)

    def tag(self, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> tuple[str, ...]:
        """Add and remove tags; those it has now."""
        manifest = self._manifest(name)
        tags = tuple(dict.fromkeys(tag for tag in (*manifest.tags, *add) if tag not in remove))
        self._change(name, tags=tags)
        return tags

    def promote(self, name: str) -> tuple[str, ...]:
        """Make it the adapter to use for its base and prompt; the names of those it replaces."""
        chosen = self._manifest(name)
        family = _family(chosen)
        replaced = []
        for entry in self.entries():
            held = entry.manifest
            if held and held.rank == "promoted" and held.name != chosen.name and _family(held) == family:
                self._change(entry.name, rank="candidate")
                replaced.append(entry.name)
        self._change(name, rank="promoted")
        return tuple(replaced)

    def retire(self, name: str) -> None:
        """Hide it from lists of current adapters."""
        self._change(name, rank="retired")

    def reinstate(self, name: str) -> None:
        """Undo `promote` and `retire`."""
        self._change(name, rank="candidate")

    def measured(self, name: str, measured: DatasetScores) -> None:
        """Record its scores on further data."""
        self._change(name, later=(*self._manifest(name).later, measured))

    def delete(self, name: str, now: datetime | None = None) -> Path:
        """Move it into the trash; where it is now."""
        entry = self.find(name)
        stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S-%f")
        target = self._trash / f"{stamp}-{entry.path.name}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(entry.path, target)
        except OSError as error:
            raise FileError(
                f"Cannot move {entry.path} to the trash: {error.strerror}.", "It is still there."
            ) from error
        return target

    def trash(self) -> tuple[TrashedAdapter, ...]:
        """Deleted adapters that can be restored, the latest first."""
        try:
            paths_there = sorted(self._trash.iterdir(), reverse=True)
        except OSError:
            return ()
        return tuple(
            TrashedAdapter(path.name[_STAMP:], path, path.name[: _STAMP - 1]) for path in paths_there if path.is_dir()
        )

    def restore(self, name: str) -> str:
        """Restore the latest one of that name, or the one in that folder of the trash; the name it has now.

        Where its name is taken it gets that of a further version. Raises TrainingError where there is none.
        """
        held = next((one for one in self.trash() if name in (one.name, one.path.name)), None)
        if held is None:
            known = ", ".join(one.name for one in self.trash()[:8])
            raise TrainingError(
                f"No adapter {name!r} in the trash.", f"In the trash: {known}." if known else "The trash is empty."
            )
        free, _ = self._free(held.name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.move(held.path, self.folder / free)
        except OSError as error:
            raise FileError(f"Cannot move {held.path} back: {error.strerror}.", "It is still in the trash.") from error
        if free != held.name:
            self._change(free, name=free)
        return free

    @property
    def _trash(self) -> Path:
        return paths.data_folder() / "trash" / "adapters"

    def lineage(self, name: str) -> tuple[str, ...]:
        """Names from the adapter to its first ancestor; the last one may be missing."""
        names = [name]
        while True:
            try:
                parent = self._manifest(names[-1]).parent
            except WorkbenchError:
                return tuple(names)
            if not parent or parent in names:
                return tuple(names)
            names.append(parent)

    def _change(self, name: str, /, **changes: object) -> None:
        entry = self.find(name)
        write_manifest(entry.path, msgspec.structs.replace(read_manifest(entry.path), **changes))

    def _manifest(self, name: str) -> Manifest:
        return read_manifest(self.find(name).path)

    def _read(self, path: Path) -> RegistryEntry:
        try:
            return RegistryEntry(path.name, path, read_manifest(path))
        except WorkbenchError as error:
            return RegistryEntry(path.name, path, None, error.message)

    def _list(self) -> Iterator[Path]:
        try:
            entries = sorted(self.folder.iterdir())
        except OSError:
            return iter(())
        return (path for path in entries if paths.exists(path / MANIFEST) and not path.name.startswith("."))

    def _free(self, name: str) -> tuple[str, int]:
        """A free folder name, and the version it stands for."""
        plain = (
            "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".-") or "adapter"
        )
        version = 1
        while (self.folder / (plain if version == 1 else f"{plain}-{version}")).exists():
            version += 1
        return (plain if version == 1 else f"{plain}-{version}"), version


def _family(manifest: Manifest) -> tuple[str, str]:
    """What makes two adapters alternatives to each other: the same base and the same prompt."""
    return manifest.base_digest or manifest.base, manifest.prompt


def _belongs(path: Path, whole: bool) -> bool:
    """Whether a file of a checkpoint belongs to the adapter. whole: every weight was trained, so that the folder is a
    model with its tokenizer."""
    if not path.is_file() or path.name in _LEFT_OUT or path.suffix not in _KEPT or path.name.startswith("rng_state"):
        return False
    return whole or not path.name.startswith(_TOKENIZER)
