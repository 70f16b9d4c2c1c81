"""The autosave of a bench: what was changed of it and is in no file, kept so that a crash loses none of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench import files
from workbench.errors import BenchError
from workbench.library.autosave import AutosaveStore
from workbench.runs.bench import Bench, encode_bench, parse_bench

Inputs = Mapping[int, Mapping[str, str]]
"""number of a case -> what a person typed over its variables"""


class _AutosavedBench(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bench: as a bench file would hold it, so that it is read as strictly. digest: of the file it was made on."""

    digest: str
    bench: str
    inputs: dict[int, dict[str, str]]


class UnsavedBench(NamedTuple):
    """A bench with unsaved changes. digest: of the file they were made on. written: seconds since the epoch."""

    bench: Bench
    inputs: dict[int, dict[str, str]]
    digest: str
    written: float


class BenchAutosave:
    """The draft of the bench in one file."""

    def __init__(self, autosaves: AutosaveStore, path: Path) -> None:
        self._autosaves, self._key = autosaves, f"bench:{path.resolve()}"

    def keep(self, bench: Bench, inputs: Inputs, digest: str) -> None:
        """Keep the bench as it now is. Raises nothing, see AutosaveStore.keep."""
        typed = {number: dict(texts) for number, texts in inputs.items() if texts}
        self._autosaves.keep(self._key, _AutosavedBench(digest, encode_bench(bench), typed))

    def drop(self) -> None:
        """Nothing is unsaved any more. Raises FileError."""
        self._autosaves.drop(self._key)

    def find(self) -> UnsavedBench | None:
        """What an earlier process left unsaved; None where there is nothing. Raises BenchError or FileError."""
        text = self._autosaves.find(self._key)
        if text is None:
            return None
        written = self._autosaves.written(self._key)
        try:
            kept = msgspec.json.decode(text, type=_AutosavedBench)
            return UnsavedBench(parse_bench(kept.bench, "It", former_keys=True), kept.inputs, kept.digest, written)
        except (msgspec.DecodeError, BenchError) as error:
            aside = self._autosaves.quarantine(self._key)
            raise BenchError(
                f"The unsaved changes of the bench cannot be read: {error}.", f"They are kept in {aside}."
            ) from error

    def change(self, update: Callable[[str], str | None], before: str, after: str) -> None:
        """Change what an earlier session left unsaved as its file was. update: makes the new text of a bench, or None.
        before, after: the file's text. What cannot be read stays as it is: whoever opens the bench says so.
        """
        with contextlib.suppress(BenchError):
            if unsaved := self.find():
                digest = files.digest_text(after) if unsaved.digest == files.digest_text(before) else unsaved.digest
                text = encode_bench(unsaved.bench)
                self.keep(parse_bench(update(text) or text, "It"), unsaved.inputs, digest)
