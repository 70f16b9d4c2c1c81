"""Which versions of prompts were run in a pane, of which no run in a store tells.

One JSON line a version, in a file of the user's data folder; the newest are kept. What is typed live is no version:
only what was asked by a key is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from workbench import files, paths
from workbench.library.prompt_renames import NameSpan
from workbench.library.versions import digest_prompt
from workbench.prompting.prompt import Prompt
from workbench.prompting.steps import without_contents

MOST_VERSIONS = 2_000


class PaneVersion(msgspec.Struct, frozen=True):
    """library: the folder of the prompt, without links. at: when it was first run, in seconds since 1970."""

    library: str
    name: str
    digest: str
    at: float
    prompt: Prompt


class PaneVersions:
    """The versions that were run in panes on this machine. Methods raise FileError."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self._path, self._clock = path, clock
        self._noted: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def note(self, library: Path, prompt: Prompt) -> bool:
        """Keep a version that was run, unless it is known; whether it was kept. From any thread."""
        prompt = without_contents(prompt).without_header()
        one = PaneVersion(_name(library), prompt.name, digest_prompt(prompt), self._clock().timestamp(), prompt)
        key = (one.library, one.name, one.digest)
        with self._lock:
            if key in self._noted:
                return False
            kept = False

            def add(text: str) -> str:
                nonlocal kept
                held = list(_read(text))
                kept = key not in {(old.library, old.name, old.digest) for old in held}
                lines = files.split_lines(text)[1 - MOST_VERSIONS :] if kept else []
                return "".join(f"{line}\n" for line in (*lines, msgspec.json.encode(one).decode())) if kept else text

            files.update_text(self._path, add)
            self._noted.add(key)
            return kept

    def list(self, library: Path, spans: Sequence[NameSpan]) -> tuple[PaneVersion, ...]:
        """Those of a prompt of a library, by the names it has had; the first run first."""
        if not paths.exists(self._path):
            return ()
        own = _name(library)
        found = [
            one
            for one in _read(files.read_text(self._path))
            if one.library == own and any(span.holds(one.name, one.at) for span in spans)
        ]
        return tuple(sorted(found, key=lambda one: one.at))


def _read(text: str) -> Iterator[PaneVersion]:
    """Those that can be read: a line that is damaged costs its own version alone."""
    for line in files.split_lines(text):
        try:
            yield msgspec.json.decode(line, type=PaneVersion)
        except (msgspec.DecodeError, RecursionError):
            continue


def _name(library: Path) -> str:
    return str(paths.resolve(library)).encode("utf-8", "backslashreplace").decode()
