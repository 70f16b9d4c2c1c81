"""DeviceInventory: the devices that llama.cpp offloads to, with what is free on each, asked of a child process.

The terminal's process never loads the library itself. A build for the CPU alone is told by its files, without a child.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from workbench.errors import EngineError
from workbench.inference.device_probe import LlamaBuild, probe_llama
from workbench.inference.rpc_check import NO_RPC
from workbench.models.device_share import Device, select_devices
from workbench.models.offload_fit import describe_missing
from workbench.offload import Offload

_FRESH_SECONDS = 5.0
"""For so long a device's free memory is not asked for again."""

_BACKEND = re.compile(r"(?:lib)?ggml-([a-z0-9]+)")
_WITHOUT_DEVICES = frozenset({"base", "blas", "cpu"})
_SUFFIXES = (".so", ".dylib", ".dll")

Probe = Callable[[Mapping[str, str] | None, Offload], LlamaBuild]


class FoundDevices(NamedTuple):
    """devices: that a model may be offloaded to, RPC servers first. problems: why others are not among them."""

    devices: tuple[Device, ...] = ()
    problems: tuple[str, ...] = ()


class DeviceInventory:
    """The devices of this machine and of RPC servers. Its methods may be called from any thread.

    environment: variables of the child that differ from those here. probe: asks llama.cpp.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        probe: Probe = probe_llama,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environment = dict(environment or {})
        self._probe = probe
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[tuple[str, ...], bool], tuple[float, FoundDevices]] = {}
        self._has_backend = probe is not probe_llama or has_device_backend(self._environment)

    def find(self, offload: Offload) -> FoundDevices:
        """The devices for a model with these options; may wait a second or more for the child."""
        return _explain_missing(offload, self._find(offload))

    def _find(self, offload: Offload) -> FoundDevices:
        if not self._has_backend or offload.gpu_layers in ("none", 0):
            return FoundDevices(problems=(NO_RPC,) if offload.rpc and not self._has_backend else ())
        key = (offload.rpc, offload.public_rpc)
        with self._lock:  # a second thread waits for the first one's answer
            known = self._peek(offload)
            if known is None:
                known = self._ask(offload)
                self._known[key] = (self._clock(), known)
            return known

    def peek(self, offload: Offload) -> FoundDevices | None:
        """What `find` would return at once; None where it would have to wait."""
        if not self._has_backend or offload.gpu_layers in ("none", 0):
            return self.find(offload)
        known = self._peek(offload)
        return _explain_missing(offload, known) if known is not None else None

    def _peek(self, offload: Offload) -> FoundDevices | None:
        asked, known = self._known.get((offload.rpc, offload.public_rpc), (0.0, None))
        return known if known is not None and self._clock() - asked < _FRESH_SECONDS else None

    def _ask(self, offload: Offload) -> FoundDevices:
        try:
            build = self._probe(self._environment, offload)
        except EngineError as error:
            return FoundDevices(problems=(error.message,))
        problems = (build.error,) if build.error else tuple(build.rpc_problems.values())
        return FoundDevices(select_devices(build.devices), problems)


def _explain_missing(offload: Offload, found: FoundDevices) -> FoundDevices:
    """The same, with a word where layers are to be on a GPU and there is none."""
    if found.devices or found.problems or offload.gpu_layers in ("auto", "none", 0):
        return found
    return FoundDevices(problems=(describe_missing(offload.gpu_layers),))


def has_device_backend(environment: Mapping[str, str]) -> bool:
    """Whether llama.cpp's libraries have a backend besides the CPU's, by the names of their files; True if unknown."""
    folder = environment.get("LLAMA_CPP_LIB_PATH") or os.environ.get("LLAMA_CPP_LIB_PATH") or _find_library_folder()
    try:
        names = [entry.name for entry in Path(folder).iterdir() if any(part in entry.name for part in _SUFFIXES)]
    except OSError:
        return True
    found = {match[1] for name in names if (match := _BACKEND.match(name))}
    return not found or bool(found - _WITHOUT_DEVICES)


def _find_library_folder() -> str:
    spec = importlib.util.find_spec("llama_cpp")
    return str(Path(spec.origin).parent / "lib") if spec and spec.origin else ""
