"""The machine in words, and how busy other programs keep it, before a measurement and during it."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("llama-cpp-python", "transformers", "torch", "textual")
_WIDE = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "BF16"}
_SECONDS = 2.0


def describe() -> str:
    """Processor, cores, memory, system and versions; nothing that says whose machine it is."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{_describe_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {system}; {', '.join(_versions())}"


def count_busy() -> float:
    """Cores that are busy while this process waits."""
    return psutil.cpu_percent(_SECONDS) / 100 * (os.cpu_count() or 1)


class Others:
    """What other programs compute from now on: all that is computed, less what this process and its children do."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.perf_counter(), _read_busy(), _read_own()

    def count(self) -> float:
        """Cores, on average; children count once they have ended."""
        elapsed = time.perf_counter() - self._started
        return max(0.0, _read_busy() - self._busy - _read_own() + self._own) / elapsed


def _read_busy() -> float:
    times = psutil.cpu_times()._asdict()
    idle = ("idle", "iowait", "guest", "guest_nice", "steal")
    return float(sum(seconds for name, seconds in times.items() if name not in idle))


def _read_own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _versions() -> list[str]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _describe_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    known = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    flags = set(known.get("flags", "").split())
    wide = ", ".join(word for flag, word in _WIDE.items() if flag in flags)
    name = known.get("model name", platform.machine())
    family = f"family {known['cpu family']} model {known['model']}" if "cpu family" in known else ""
    return f"{name} ({', '.join(filter(None, (family, wide)))})" if family or wide else name
