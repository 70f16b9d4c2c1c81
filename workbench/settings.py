"""Settings: what a person may change for good, one TOML file, decoded strictly.

Knows nothing of who reads a setting. A missing file means the defaults; a typo in a key is an error that names it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from workbench import files, paths
from workbench.errors import FileError, SettingsError
from workbench.measures import Bytes, Seconds, read_measure

_LONGEST_REASON = 300

NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every setting with its default; the string under each says what it does."""

    theme: str = "workbench-dark"
    """a theme's name, as the command palette lists them"""

    library: str = ""
    """the prompt library's folder; empty: the folder of the bench, or else `prompts/` where you are"""

    model_folders: tuple[str, ...] = ()
    """further folders in which models are looked for"""

    live: bool = True
    """whether panes run again by themselves while you type"""

    live_delay_ms: NotNegative = 250
    """how long the keyboard must rest before they do"""

    context_strategy: Literal["refuse", "drop"] = "refuse"
    """what happens to a prompt that does not fit: refuse it, or drop its last examples until it fits"""

    threads: NotNegative = 0
    """processor threads at most, for an engine or a training; 0: as many as there are cores that others leave"""

    max_context_tokens: Positive = 8192
    """the largest context opened for a model that names no size of its own"""

    parked_memory: Bytes = Bytes(512 * 2**20)
    """memory for the beginnings of prompts that nobody needs just now, such as "1 GiB"; 0: none are kept"""

    step_seconds: Seconds = Seconds(0.05)
    """how long an engine may compute at a stretch while someone looks on, such as "50 ms" or 0.05"""

    expected_likelihood: bool = False
    """whether the panes tell how probable their model finds the expected answer; `w` on a pane turns it"""

    editor: str = ""
    """the command that edits a prompt outside; empty: $VISUAL, then $EDITOR"""

    keymap: dict[str, str] = {}
    """binding id -> keys, such as `bench.run = "f5,ctrl+r"`; F1 lists the ids"""


def load_settings(path: Path | None = None) -> Settings:
    """The person's settings; the defaults when there is no file.

    Raises SettingsError that names the file, and the line and key of every wrong setting.
    """
    file = path or paths.settings_file()
    if not os.path.lexists(file):  # a link that leads nowhere is no missing file
        return Settings()
    try:
        text = files.read_text(file)
        values = tomllib.loads(text)
    except FileError as error:
        raise SettingsError(error.message, error.hint) from error
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, and brackets in brackets
        reason = "it nests too deeply" if isinstance(error, RecursionError) else str(error).partition(";")[0]
        raise SettingsError(f"{file} is not TOML: {reason}.", "A setting is a line such as `live = true`.") from error
    problems = [f"{file}:{_find_line(text, key)}: {problem}" for key, problem in _find_problems(values)]
    if problems:
        known = ", ".join(Settings.__struct_fields__)
        raise SettingsError("\n".join(problems), f"The settings are: {known}.")
    return msgspec.convert(values, Settings, dec_hook=read_measure)


def _find_problems(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        near = difflib.get_close_matches(key, Settings.__struct_fields__, 1)
        if key not in Settings.__struct_fields__:
            yield key, f"`{key}` is not a setting" + (f"; did you mean `{near[0]}`?" if near else "")
            continue
        try:
            msgspec.convert({key: value}, Settings, dec_hook=read_measure)
        except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
            yield key, f"`{key}`: {str(error)[:_LONGEST_REASON] or 'it nests too deeply'}"


def _find_line(text: str, key: str) -> int:
    """Where a key of the top level stands, as a key or as a table; 1 when it is written in a rarer form."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[\].=]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
