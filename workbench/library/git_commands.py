"""Questions to git about a repository that may be a stranger's: nothing that its configuration names is run.

Bounded in time and size. Reads only; the index is left alone and nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from workbench.errors import FileError

_SECONDS = 10.0
_LONGEST = 64 * 2**20  # bytes of an answer
_HINT = "The history goes by the runs in the store."
_SETTINGS = (
    "core.fsmonitor=false",  # a command
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "log.showSignature=false",  # runs gpg.program
    "log.mailmap=false",
    "diff.external=",
    "diff.renames=true",
    "diff.renameLimit=400",
    "gpg.program=false",
    "core.sshCommand=false",
    "core.gitProxy=",
    "protocol.allow=never",
    "safe.bareRepository=explicit",  # a folder of the project that only looks like a repository is none
    "core.quotePath=false",
    "i18n.logOutputEncoding=UTF-8",
)
"""Given on the command line, they go before whatever the repository's own configuration says."""


def ask_git(folder: Path, arguments: Sequence[str], given: bytes = b"") -> bytes:
    """What git prints. Raises FileError where git is not there, refuses, or takes too long."""
    git = shutil.which("git")
    if git is None:
        raise FileError("git is not installed.", _HINT)
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    command = [git, "--no-pager", "--no-optional-locks", "--literal-pathspecs", *settings, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        try:
            code = subprocess.run(
                command, cwd=folder, env=_make_environment(os.environ), stdin=stdin, stdout=out, stderr=words,
                timeout=_SECONDS, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise FileError(f"git took more than {_SECONDS:g} s in {folder}.", _HINT) from error
        except OSError as error:
            raise FileError(f"git could not be started in {folder}: {error.strerror}.", _HINT) from error
        if code:
            raise FileError(f"git cannot read {folder}: {_read_reason(words)}.", _HINT)
        return _read(out, folder)


def _make_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Without what another git put there, such as a hook that started us; nothing is asked for, nothing fetched."""
    kept = {name: value for name, value in given.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": "false",
        "LC_ALL": "C",
    }


def _read(stream: IO[bytes], folder: Path) -> bytes:
    size = stream.seek(0, os.SEEK_END)
    if size > _LONGEST:
        raise FileError(f"The history in {folder} is larger than {_LONGEST // 2**20} MiB.", _HINT)
    stream.seek(0)
    return stream.read()


def _read_reason(stream: IO[bytes]) -> str:
    stream.seek(0)
    lines = stream.read(2000).decode(errors="replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").rstrip(".") if lines else "it gives no reason"
