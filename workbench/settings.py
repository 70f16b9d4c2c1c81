"""Settings: what a person may change for good, one TOML file, decoded strictly.

Knows nothing of who reads a setting. A missing file means the defaults; a typo in a key is an error that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from workbench import files, paths
from workbench.errors import SettingsError


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every setting with its default; the string under each says what it does."""

    theme: str = "workbench-dark"
    """a theme's name, as the command palette lists them"""

    library: str = ""
    """the prompt library's folder; empty: `prompts/` beside the bench, else one in the data folder"""

    model_folders: tuple[str, ...] = ()
    """further folders in which models are looked for"""

    live: bool = True
    """whether panes run again by themselves while you type"""

    live_delay_ms: int = 250
    """how long the keyboard must rest before they do"""

    context_strategy: Literal["refuse", "drop"] = "refuse"
    """what happens to a prompt that does not fit: refuse it, or drop its last examples until it fits"""

    threads: int = 0
    """processor threads for an engine; 0: as many as there are cores"""

    max_context_tokens: int = 8192
    """the largest context opened for a model that names no size of its own"""

    editor: str = ""
    """the command that edits a prompt outside; empty: $VISUAL, then $EDITOR"""

    keymap: dict[str, str] = {}
    """binding id -> keys, such as `bench.run = "f5,ctrl+r"`; F1 lists the ids"""


def load_settings(path: Path | None = None) -> Settings:
    """The person's settings; the defaults when there is no file.

    Raises SettingsError that names the file and the key.
    """
    file = path or paths.settings_file()
    if not file.exists():
        return Settings()
    try:
        return msgspec.toml.decode(files.read_text(file).encode(), type=Settings)
    except msgspec.DecodeError as error:
        known = ", ".join(Settings.__struct_fields__)
        raise SettingsError(f"{file}: {error}.", f"The settings are: {known}.") from error
