"""Wheels of llama-cpp-python: fetched or compiled by pip with its progress in one line, and kept in the user's cache.

The set-up runs this before anything is installed, so it imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from workbench.accelerators import Accelerator

VERSION = "0.3.36"
"""The llama-cpp-python that pyproject.toml pins."""

INDEX = "https://abetlen.github.io/llama-cpp-python/whl"
"""Its prebuilt wheels: a folder for each of `_CUDA`, and one for each other backend."""

FLAGS = "-DCMAKE_C_FLAGS=-U__AMX_INT8__ -DCMAKE_CXX_FLAGS=-U__AMX_INT8__"
"""What the Makefile sets in CMAKE_ARGS, and says why, for whoever runs the set-up without it."""

OPTIONS = {"cuda": "-DGGML_CUDA=on", "vulkan": "-DGGML_VULKAN=on", "rocm": "-DGGML_HIP=on", "metal": "-DGGML_METAL=on"}

_CUDA = ((13, 2), (13, 0), (12, 5), (12, 4), (12, 3), (12, 2), (12, 1), (11, 8))
_FOLDERS = {"metal": "metal", "vulkan": "vulkan", "rocm": "rocm72"}
_STEP = re.compile(r"\[\s*(\d+)(?:/(\d+)\]|%\])")  # of ninja: [12/345]; of make: [ 12%]
_LAST_LINES = 60
_HEADER_FOLDERS = ("/usr/include", "/usr/local/include")
_HEADER_VERSION = re.compile(r"VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(0, (\d+), (\d+)")


class BuildFailed(Exception):
    """A step of the set-up failed; carries the last lines that it printed."""


class Pip(NamedTuple):
    """How pip is run. out: where progress goes. cache: where wheels are kept."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    cache: Path
    out: TextIO

    def run(self, *arguments: str, title: str = "", **variables: str) -> bool:
        """Run it, with how far a build is in one line that is written over; whether it built anything.

        Raises BuildFailed.
        """
        command = [*self.command, *arguments, "--disable-pip-version-check"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**self.environment, **variables}, text=True, errors="replace",
        )  # fmt: skip
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with process:
            assert process.stdout
            built = self._show(title, self._keep(process.stdout, last))
        if process.returncode:
            raise BuildFailed("".join(last))
        return built

    def _keep(self, lines: Iterable[str], last: deque[str]) -> Iterator[str]:
        for line in lines:
            last.append(line)
            yield line

    def _show(self, title: str, lines: Iterator[str]) -> bool:
        shown = -1
        for percent in _read_percents(lines):
            if title and percent > shown:  # on a terminal over the same line, in a log every tenth part
                live = self.out.isatty()
                if live or percent // 10 > shown // 10:
                    self.out.write(f"\r{title}: {percent} %" if live else f"{title}: {percent} %\n")
                    self.out.flush()
                shown = percent
        if shown >= 0 and self.out.isatty():
            self.out.write("\n")
        return shown >= 0


def _read_percents(lines: Iterable[str]) -> Iterator[int]:
    """How far a build is, by its steps. A project inside another counts its own few, which say nothing of the whole."""
    whole = 0
    for line in lines:
        if found := _STEP.search(line):
            total = int(found[2] or 100)
            whole = max(whole, total)
            if total == whole:
                yield 100 * int(found[1]) // max(1, total)


class WheelSource(NamedTuple):
    """Where a wheel comes from. kept: its folder in the cache.

    make: puts it into a folder; whether it is to be kept.
    """

    kept: Path
    make: Callable[[Path], bool]

    def find_kept(self) -> Path | None:
        return next(self.kept.glob("*.whl"), None)


def prebuilt(pip: Pip, backend: str, cards: Sequence[Accelerator]) -> WheelSource:
    """The wheel of the index. Raises BuildFailed where it has none for the driver of this machine."""
    folder = choose_folder(backend, cards)
    if folder is None:
        raise BuildFailed(f"There is no prebuilt wheel for {backend} on this machine.")

    def fetch(target: Path) -> bool:
        pip.out.write(f"Looking for a prebuilt llama.cpp with {backend} ({folder}).\n")
        # pip caches a wheel by its version and not by how it was built, so its cache is left alone
        pip.run(
            "download", "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--retries", "1",
            "--dest", str(target), "--index-url", f"{INDEX}/{folder}", f"llama-cpp-python=={VERSION}",
        )  # fmt: skip
        return True

    return WheelSource(pip.cache / _key(f"{INDEX}/{folder}"), fetch)


def compiled(pip: Pip, backend: str, fresh: bool) -> WheelSource:
    """A wheel compiled here. fresh: never one that pip has cached, of which nobody knows how it was built.

    Raises BuildFailed where it is known beforehand that it will not compile.
    """
    options = f"{pip.environment.get('CMAKE_ARGS', FLAGS)} {OPTIONS.get(backend, '')}".strip()

    def compile_wheel(target: Path) -> bool:
        if backend == "vulkan":
            check_vulkan_headers(pip.environment)
        takes = f" with {backend}: up to half an hour" if backend else ": a few minutes"
        pip.out.write(f"Compiling llama.cpp {VERSION}{takes}, once.\n")
        return pip.run(
            "wheel", "--verbose", "--no-deps", "--wheel-dir", str(target), *(["--no-cache-dir"] if fresh else []),
            f"llama-cpp-python=={VERSION}", title="Compiling", CMAKE_ARGS=options,
        )  # fmt: skip

    return WheelSource(pip.cache / _key(options), compile_wheel)


def install_kept(pip: Pip, source: WheelSource, force: bool) -> bool:
    """Install the wheel of the cache; whether there is one that pip takes."""
    wheel = source.find_kept()
    if wheel is None:
        return False
    try:
        _install(pip, wheel, force)
    except BuildFailed:
        return False
    return True


def install_new(pip: Pip, source: WheelSource, force: bool) -> None:
    """Make the wheel, keep it in the place of another, and install it. force: also over the same version.

    Raises BuildFailed.
    """
    with tempfile.TemporaryDirectory(dir=pip.cache) as folder:
        keep = source.make(Path(folder))
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise BuildFailed("pip made no wheel.")
        if keep:
            shutil.rmtree(source.kept, ignore_errors=True)
            source.kept.mkdir(parents=True, exist_ok=True)
            wheel = wheel.replace(source.kept / wheel.name)
        _install(pip, wheel, force)


def _install(pip: Pip, wheel: Path, force: bool) -> None:
    if force:
        pip.run("install", "--no-cache-dir", "--force-reinstall", "--no-deps", str(wheel))
    pip.run("install", str(wheel))  # what it requires, from the usual index


def choose_folder(backend: str, cards: Sequence[Accelerator]) -> str | None:
    """The folder of the index with wheels for this backend; None where the driver is too old for any."""
    if backend != "cuda":
        return _FOLDERS[backend]
    supported = max((card.cuda for card in cards if card.cuda), default=None)
    fitting = (version for version in _CUDA if supported and version[0] == supported[0] and version <= supported)
    return next((f"cu{major}{minor}" for major, minor in fitting), None)


def check_vulkan_headers(environment: Mapping[str, str]) -> None:
    """Raise BuildFailed for headers that ggml cannot be compiled with, which would show after half an hour.

    Headers that are nowhere here are left to cmake, which looks in more places and fails at once.
    """
    folders = [Path(environment["VULKAN_SDK"], "include")] if environment.get("VULKAN_SDK") else []
    for folder in (*folders, *map(Path, _HEADER_FOLDERS)):
        try:
            text = (folder / "vulkan/vulkan_core.h").read_text(errors="replace")
        except OSError:
            continue
        if "VkLayerSettingEXT" not in text:  # what ggml-vulkan.cpp needs and Debian 12 lacks
            found = _HEADER_VERSION.search(text)
            number = re.search(r"#define VK_HEADER_VERSION (\d+)", text)
            version = f" {found[1]}.{found[2]}.{number[1]}" if found and number else ""
            raise BuildFailed(f"The Vulkan headers{version} in {folder} are too old for llama.cpp {VERSION}.")
        return


@contextlib.contextmanager
def open_cache(environment: Mapping[str, str]) -> Iterator[Path]:
    """The folder of wheels in the user's cache; one for this time alone where that cannot be written."""
    try:
        folder = cache_folder(environment) / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):  # a home that nobody can write to; no home at all
        usable = False
    if usable:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="workbench-wheels-") as own:
        yield Path(own)


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The user's cache, as the workbench itself finds it once platformdirs is installed.

    Raises RuntimeError where the user has no home.
    """
    if own := environment.get("WORKBENCH_HOME"):
        return Path(own).expanduser() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/workbench"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"


def _key(origin: str) -> str:
    """A folder's name for what decides how a wheel turns out: version, Python, processor, where it comes from."""
    parts = (VERSION, sys.implementation.cache_tag, sys.platform, os.uname().machine, _processor(), origin)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _processor() -> str:
    """What the processor can do: ggml is compiled for exactly that, and a home may be shared by several machines."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
