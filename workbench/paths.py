"""Folders: where settings, data and the shipped prompts and assets are.

Knows nothing of what is in them. WORKBENCH_HOME moves everything a person's own into one folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from workbench.errors import FileError


def settings_file() -> Path:
    """The person's settings, a TOML file that need not exist."""
    return _home("config") / "settings.toml"


def data_folder() -> Path:
    """The person's own data: drafts, trash, logs, the prompt library when no project folder holds one."""
    return _home("data")


def cache_folder() -> Path:
    """What can be deleted at any time."""
    return _home("cache")


def shipped_folder() -> Path:
    """The folder that holds the shipped `prompts/` and `assets/`: the checkout, or the installed package."""
    package = Path(__file__).parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent


def find_shipped(relative: str) -> Path:
    """A file of the shipped folder, such as `assets/desk-q8_0.gguf`; it need not exist."""
    return shipped_folder() / relative


def find_input(relative: str, folder: Path) -> Path:
    """The file or folder that a bench names: in its `folder`, the working folder or the shipped files.

    An absolute path, or one that begins with `~`, is taken as it is.
    Raises FileError, with the places that were looked in, when there is nothing of that name.
    """
    own = Path(relative).expanduser()
    places = [own] if own.is_absolute() else [base / own for base in (folder, Path.cwd(), shipped_folder())]
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(str(place) for place in dict.fromkeys(places))
    raise FileError(f"There is no `{relative}`; looked for {looked}.", "Correct the path, or put it there.")


def _home(kind: str) -> Path:
    own = os.environ.get("WORKBENCH_HOME")
    if own:
        return Path(own).expanduser() / kind
    folders = platformdirs.PlatformDirs("workbench", appauthor=False)
    places = {
        "config": folders.user_config_path,
        "data": folders.user_data_path,
        "cache": folders.user_cache_path,
    }
    return places[kind]
