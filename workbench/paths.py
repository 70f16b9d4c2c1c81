"""Where settings, data and the shipped prompts and assets are. WORKBENCH_HOME moves all of the user's to one folder."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from functools import cache
from pathlib import Path

import platformdirs

from workbench.errors import FileError

_SHOWN = 200  # characters of a path that is none

WORKING_FOLDER = "WORKBENCH_WORKING_FOLDER"
"""Variable by which a child, which stands in a folder of its own, knows where the user stands."""


def working_folder() -> Path:
    """The folder in which the user started the workbench, from which relative paths are looked up."""
    inherited = os.environ.get(WORKING_FOLDER)
    return Path(inherited) if inherited else Path.cwd()


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


def expand(name: str) -> Path:
    """The path that a person wrote, `~` read as a home. Raises FileError for one that no file can have."""
    try:
        path = Path(name).expanduser()
        os.fsencode(path)
    except (RuntimeError, ValueError) as error:  # `~nosuchuser`; half a character
        shown = ascii(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
        reason = str(error).rstrip(".")
        raise FileError(f"{shown} is not a valid path: {reason}.", "Write the whole path.") from error
    if "\0" in name:
        raise FileError(
            f"{name[:_SHOWN]!a} is not a valid path: it contains a null character.", "Write the whole path."
        )
    return path


def read_pasted(text: str) -> Path:
    """The path that a person typed or pasted: also in quotes, as a `file://` address, or with escaped blanks.

    Raises FileError for one that no file can have.
    """
    name = text.strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    if name.lower().startswith("file://"):
        address = urllib.parse.urlsplit(name)
        name = urllib.parse.unquote(address.path)
    elif "\\ " in name and not exists(Path(name)):
        name = name.replace("\\ ", " ")
    return expand(name)


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; not for a name that is too long to be one."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def resolve(path: Path) -> Path:
    """The path without symbolic links. Raises FileError where they lead in a circle, or for a name that is too long."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FileError(f"{str(path)[:_SHOWN]!a} cannot be resolved: {error}.", "Correct the path.") from error


def write_relative(name: str, folder: Path) -> str:
    """How a file in `folder` names this one: an absolute path inside it from there on, anything else as it is."""
    path = Path(name)
    inside = path.is_absolute() and path.is_relative_to(folder.absolute())
    return path.relative_to(folder.absolute()).as_posix() if inside else name


def find_input(relative: str, folder: Path) -> Path:
    """The file or folder that a bench names: in its `folder`, the working folder or the shipped files.

    An absolute path, or one that begins with `~`, is taken as it is.
    Raises FileError, with the paths that were tried, when there is nothing of that name.
    """
    own = expand(relative)
    candidates = [own] if own.is_absolute() else [base / own for base in (folder, working_folder(), shipped_folder())]
    for path in candidates:
        if exists(path):
            return path
    searched = ", ".join(map(str, dict.fromkeys(candidates)))
    raise FileError(f"No such file: `{relative}`. Searched: {searched}.", "Correct the path, or move the file there.")


def _home(kind: str) -> Path:
    """Raises FileError, with a command that helps, where there is no place for it."""
    hint = "export WORKBENCH_HOME=/var/tmp/workbench-$(id -u)"
    if own := os.environ.get("WORKBENCH_HOME"):
        try:
            return _make_private(expand(own) / kind)
        except FileError as error:
            raise FileError(f"WORKBENCH_HOME: {error.message}", hint) from error
    try:
        path = Path(getattr(platformdirs.PlatformDirs("workbench", appauthor=False), f"user_{kind}_dir"))
    except RuntimeError:
        path = Path("~")
    if "~" in path.parts:  # older versions of platformdirs leave it as it is
        raise FileError("This user has no home folder: neither HOME nor the system names one.", hint)
    return _make_private(path)


def is_own(path: Path) -> bool:
    """Whether a path lies in one of the user's own folders, which nobody else has any business in."""
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in map(_home, ("data", "config", "cache")))


@cache
def _make_private(folder: Path) -> Path:
    """Make a folder of the user's own, or take it away from others; files in it follow (`files.write_text`).

    One that was open until now is gone through once. A folder that cannot be made is left to whoever writes there.
    """
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            for path in folder.rglob("*"):
                _close_to_others(path)
            _close_to_others(folder)
    return folder


def _close_to_others(path: Path) -> None:
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if mode & 0o077 and not path.is_symlink():
            path.chmod(mode & 0o700)
