"""BenchFile: the file of an open bench, and the draft of what is in no file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from workbench import files
from workbench.library.autosave import AutosaveStore
from workbench.runs.bench import Bench, load_bench, parse_bench, save_bench
from workbench.runs.bench_autosave import BenchAutosave, Inputs, UnsavedBench


class Changed(NamedTuple):
    """A bench file that another program wrote."""

    bench: Bench
    digest: str


class BenchFile:
    """saved: the bench as the file has it. digest: of the file that the open bench was made on; saving asks where
    another program has changed it since."""

    def __init__(self, path: Path, autosaves: AutosaveStore) -> None:
        """Raises BenchError or FileError when there is no bench to open at all."""
        self.path = path
        self.digest = self._saved_digest = files.digest(path)
        files.remove_leftovers(path)
        self.saved = load_bench(path)
        self._autosaves = autosaves
        self._autosave = BenchAutosave(autosaves, path)

    def find_draft(self) -> UnsavedBench | None:
        """What an earlier session left unsaved; None where there is nothing. Raises BenchError or FileError."""
        return self._autosave.find()

    def keep_draft(self, bench: Bench, inputs: Inputs) -> None:
        """Keep what is in no file."""
        self._autosave.keep(bench, inputs, self.digest)

    def drop_draft(self) -> None:
        """Nothing is unsaved any more."""
        self._autosave.drop()

    def save(self, bench: Bench, force: bool) -> None:
        """Write the bench. Raises FileChangedError when another program changed the file; force overwrites."""
        self.note_saved(bench, save_bench(self.path, bench, None if force else self.digest))

    def save_as(self, path: Path, bench: Bench) -> None:
        """Write the bench under another name and go on with that file. Raises FileChangedError where it exists."""
        digest = save_bench(path, bench, "")
        self._autosave.drop()
        self.path, self._autosave = path, BenchAutosave(self._autosaves, path)
        self.note_saved(bench, digest)

    def read_changed(self) -> Changed | None:
        """The bench as another program has left it; None where it is as it was. Raises BenchError or FileError."""
        digest = files.digest(self.path)
        return Changed(load_bench(self.path), digest) if digest != self.digest else None

    def note_saved(self, bench: Bench, digest: str) -> None:
        """The file has this bench now."""
        self.saved, self.digest, self._saved_digest = bench, digest, digest

    def note_edited(self, path: Path, before: str, after: str) -> None:
        """A file was edited on our own behalf; where it is this one, that is no change by another program."""
        if path.resolve() == self.path.resolve() and files.digest_text(before) == self.digest:
            self.note_saved(parse_bench(after, str(path)), files.digest_text(after))

    def discard_draft(self) -> None:
        """The open bench is the saved one again."""
        self.digest = self._saved_digest
