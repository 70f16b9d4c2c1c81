"""The draft of a bench: what was changed of it and is in no file, kept so that a crash loses none of it.

Knows nothing of the prompts that the bench names, whose texts have drafts of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.errors import BenchError
from workbench.evaluation import document
from workbench.evaluation.bench import Bench, parse_bench
from workbench.library.drafts import Drafts

Inputs = Mapping[int, Mapping[str, str]]
"""number of a case -> what a person typed over its variables"""


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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

    def __init__(self, drafts: Drafts, path: Path) -> None:
        self._drafts, self._key = drafts, f"bench:{path.resolve()}"

    def keep(self, bench: Bench, inputs: Inputs, digest: str) -> None:
        """Keep the bench as it now is. Raises nothing, see Drafts.keep."""
        typed = {number: dict(texts) for number, texts in inputs.items() if texts}
        self._drafts.keep(self._key, _Kept(digest, document.encode(bench), typed))

    def drop(self) -> None:
        """Nothing is unsaved any more. Raises FileError."""
        self._drafts.drop(self._key)

    def find(self) -> UnsavedBench | None:
        """What an earlier process left unsaved; None where there is nothing. Raises BenchError or FileError."""
        text = self._drafts.find(self._key)
        if text is None:
            return None
        written = self._drafts.written(self._key)
        try:
            kept = msgspec.json.decode(text, type=_Kept)
            return UnsavedBench(parse_bench(kept.bench, "It"), kept.inputs, kept.digest, written)
        except (msgspec.DecodeError, BenchError) as error:
            aside = self._drafts.set_aside(self._key)
            raise BenchError(
                f"The unsaved changes of the bench cannot be read: {error}.", f"They are kept in {aside}."
            ) from error
