"""Keeps a round in its folder: what writes elsewhere, connects or starts a foreign process is refused, and a fault."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
_CONNECTING = {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}
_STARTING = {"os.system", "os.posix_spawn", "os.exec", "os.forkpty", "webbrowser.open"}
_OWN_WORKERS = ("workbench.analysis.", "workbench.scoring.")
"""modules of processes that a screen may start: figures and scorers"""


class Enclosure:
    """While `folder` is set, nothing leaves it. broken: what was refused, in words.

    A hook that the interpreter calls: it cannot be removed, so this is for a process that does nothing else.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.broken: list[str] = []
        sys.dont_write_bytecode = True
        sys.addaudithook(self._audit)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITING and not self._is_inside(path):
                self._refuse(f"writes {path}")
        elif event in _CHANGING:
            for path in args[: 2 if event in ("os.rename", "os.link") else 1]:
                if not self._is_inside(path):
                    self._refuse(f"{event} {path}")
        elif event in _CONNECTING and not (args and getattr(args[0], "family", None) == 1):
            self._refuse(f"{event} {args[1:]}")
        elif event in _STARTING:
            self._refuse(f"{event} {args}")
        elif event == "subprocess.Popen" and not any(str(one).startswith(_OWN_WORKERS) for one in args[1]):
            self._refuse(f"starts {args[1]}")

    def _is_inside(self, path: Any) -> bool:
        if isinstance(path, int) or self.folder is None:
            return True
        place = Path.cwd() / os.fsdecode(path)
        return str(place) == os.devnull or Path(os.path.normpath(place)).is_relative_to(self.folder)

    def _refuse(self, what: str) -> None:
        self.broken.append(what)
        raise PermissionError(1, f"Outside of the project: {what}")


def move_into(folder: Path, set_variable: Callable[[str, str], None]) -> None:
    """Have every place where the app keeps something be in a folder."""
    for name in ("HOME", "WORKBENCH_HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        place = folder / name.lower()
        place.mkdir(parents=True, exist_ok=True)
        set_variable(name, str(place))
    os.chdir(folder / "project")
