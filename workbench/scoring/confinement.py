"""Confinement: what a process that runs a user's function gives up before it does so.

It loads the user's modules only as they were agreed to, from their source; it has no network where the system can take
that away, and limits of memory, files and processes. It keeps an eye on honest code and is no wall against hostile code
that a user has agreed to.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.abc
import importlib.machinery
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec
from workbench.inference.worker.spawn import limit_resources
from workbench.scoring.local_code import LocalCode, is_installed

MAX_OPEN_FILES = 256
"""open at a time"""

MAX_FILE_BYTES = 1 << 30
"""bytes of one that is written"""

MAX_PROCESSES = 64
"""further ones, threads included, of this user"""

MIN_MEMORY_BYTES = 2 << 30
"""bytes; elsewhere half of what the machine has"""

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # of unshare(2)
_SUFFIXES = (".py", ".pyc", ".so", ".pyd")


def confine(network: bool = False) -> tuple[str, ...]:
    """Take away what a function has no need of; what could not be taken, with the reason. network: it may keep that."""
    reason = "" if network else remove_network()
    return (*((f"the network ({reason})",) if reason else ()), *(f"the limit {name}" for name in apply_limits()))


def main() -> None:
    """Try it in a worker process, and reply what cannot be taken from one here."""
    channel: ParentChannel[None] = ParentChannel(FrameCodec(type(None)))
    channel.send(confine())


def remove_network() -> str:
    """Leave this process, and what it starts, without a network; why that cannot be, or "".

    To be called before there is a second thread: the system gives a new user namespace to such a process alone.
    """
    if sys.platform != "linux":
        return f"{sys.platform} does not offer it to a process"
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_NETWORK) == 0:
        return ""
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return os.strerror(ctypes.get_errno())
    with contextlib.suppress(OSError):  # the user keeps the name that files know; else it is nobody
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return ""


def apply_limits() -> tuple[str, ...]:
    """Lower the limits of memory, files and processes; those that this system does not know."""
    memory = max(MIN_MEMORY_BYTES, psutil.virtual_memory().total // 2)
    return limit_resources(
        RLIMIT_CORE=0,
        RLIMIT_DATA=memory,
        RLIMIT_NOFILE=MAX_OPEN_FILES,
        RLIMIT_FSIZE=MAX_FILE_BYTES,
        RLIMIT_NPROC=_count_threads() + MAX_PROCESSES,  # the system counts all of a user's, and lets root have any
    )


def _count_threads() -> int:
    if not hasattr(os, "getuid"):
        return 0
    own, count = os.getuid(), 0
    for process in psutil.process_iter():
        try:
            if process.uids().real == own:
                count += process.num_threads()
        except psutil.Error:
            continue
    return count


def confine_imports(codes: Sequence[LocalCode], local: Sequence[Path], scratch: Path) -> None:
    """From now on load only those of the user's modules that are in `codes`, and each as it was when it was agreed to.

    local: the user's folders. scratch: the process's own, in which it may do as it likes.
    """
    sys.dont_write_bytecode = True
    sources = {path: digest for code in codes for path, digest in code.modules.items()}
    begun = frozenset(sys.path)
    sys.meta_path.insert(0, _TrustedFinder(sources, [str(Path(code.file).parent) for code in codes], begun))
    sys.addaudithook(_OpenAudit(sources, local, begun, scratch))


class _TrustedFinder(importlib.abc.MetaPathFinder):
    """Finds modules beside the scorers' files, and in folders that they put on sys.path: only those agreed to, so that
    no other neighbour stands in for an installed module."""

    def __init__(self, sources: dict[str, str], folders: Sequence[str], begun: frozenset[str]) -> None:
        self._sources, self._folders, self._begun = sources, folders, begun

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or fullname in sys.stdlib_module_names:
            return None
        for index in (*self._folders, *(one for one in sys.path if one not in self._begun)):
            spec = importlib.machinery.PathFinder.find_spec(fullname, [index])
            if spec and self._is_agreed(spec):
                return spec
        return None

    def _is_agreed(self, spec: importlib.machinery.ModuleSpec) -> bool:
        if spec.origin:
            return os.path.realpath(spec.origin) in self._sources
        inside = tuple(f"{os.path.realpath(index)}{os.sep}" for index in spec.submodule_search_locations or ())
        return any(path.startswith(inside) for path in self._sources)


class _OpenAudit:
    """Refuses to open a file that Python would run, where it is the user's own and not what was agreed to.

    Compiled files count as well: Python then takes the source, of which the content is known.
    """

    def __init__(self, sources: dict[str, str], local: Sequence[Path], begun: frozenset[str], own: Path) -> None:
        self._sources, self._begun = sources, begun
        self._local = tuple(f"{path}{os.sep}" for path in local)
        self._own = f"{own.resolve()}{os.sep}"
        self._reading = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "import") or getattr(self._reading, "on", False):
            return
        path = arguments[0] if event == "open" else arguments[1]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if isinstance(path, str) and path.endswith(_SUFFIXES):
            self._reading.on = True
            try:
                self._check(os.path.realpath(path))
            finally:
                self._reading.on = False

    def _check(self, path: str) -> None:
        digest = self._sources.get(path)
        if digest is None and self._is_foreign(path):
            raise PermissionError(f"{path} was not agreed to: name it in an `import` of the scorer's file")
        if digest is not None and hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest() != digest:
            raise PermissionError(f"{path} has changed since it was agreed to: run again, and it is asked about again")

    def _is_foreign(self, path: str) -> bool:
        """Whether it is the user's own, and neither the interpreter's nor an installed package's."""
        added = tuple(f"{os.path.realpath(entry)}{os.sep}" for entry in sys.path if entry and entry not in self._begun)
        mine = path.startswith((*self._local, *added)) and not path.startswith(self._own)
        return mine and not is_installed(Path(path))
