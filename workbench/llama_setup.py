"""`python -m workbench.llama_setup [cuda|metal|vulkan|rocm]`: llama.cpp for a graphics card, or for the processor.

It installs the prebuilt wheel where there is one, else compiles one that is kept in the user's cache for later clones,
and falls back to the processor. It runs before anything is installed, so it imports the standard library alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
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

from workbench.accelerators import Accelerator, find_accelerators

VERSION = "0.3.36"
"""The llama-cpp-python that pyproject.toml pins."""

INDEX = "https://abetlen.github.io/llama-cpp-python/whl"
"""Its prebuilt wheels: a folder for each of `_CUDA`, and one for each other backend."""

_CUDA = ((13, 2), (13, 0), (12, 5), (12, 4), (12, 3), (12, 2), (12, 1), (11, 8))
_FOLDERS = {"metal": "metal", "vulkan": "vulkan", "rocm": "rocm72"}
_OPTIONS = {"cuda": "-DGGML_CUDA=on", "vulkan": "-DGGML_VULKAN=on", "rocm": "-DGGML_HIP=on", "metal": "-DGGML_METAL=on"}
_NEEDS = {"cuda": "the CUDA toolkit (nvcc)", "vulkan": "the Vulkan SDK (glslc)", "rocm": "ROCm (hipcc)"}
_PROOF = """
import llama_cpp, sys
sys.exit(llama_cpp.__version__ != sys.argv[2] or not (sys.argv[1] == "cpu" or llama_cpp.llama_supports_gpu_offload()))
"""
_STEP = re.compile(r"\[\s*(\d+)(?:/(\d+)\]|%\])")  # of ninja: [12/345]; of make: [ 12%]
_LAST_LINES = 60
_CAUSE = re.compile(r"could not find|failed to find|no CMAKE_\w+_COMPILER|no matching distribution", re.IGNORECASE)

FLAGS = "-DCMAKE_C_FLAGS=-U__AMX_INT8__ -DCMAKE_CXX_FLAGS=-U__AMX_INT8__"
"""What the Makefile sets in CMAKE_ARGS, and says why, for whoever runs this module without it."""

FELL_BACK = 3
"""Exit code for a card that was asked for and a processor that is used instead."""


class BuildFailed(Exception):
    """A step of the set-up failed; carries the last lines that it printed."""


class Pip(NamedTuple):
    """How pip is run. out: where progress goes. cache: where compiled wheels are kept."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    cache: Path
    out: TextIO

    def run(self, *arguments: str, title: str = "", **variables: str) -> None:
        """Run it, with how far a build is in one line that is written over. Raises BuildFailed."""
        command = [*self.command, *arguments, "--disable-pip-version-check"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**self.environment, **variables}, text=True, errors="replace",
        )  # fmt: skip
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with process:
            assert process.stdout
            self._show(title, self._keep(process.stdout, last))
        if process.returncode:
            raise BuildFailed("".join(last))

    def _keep(self, lines: Iterable[str], last: deque[str]) -> Iterator[str]:
        for line in lines:
            last.append(line)
            yield line

    def _show(self, title: str, lines: Iterator[str]) -> None:
        shown = -1
        for line in lines:
            found = _STEP.search(line)
            percent = 100 * int(found[1]) // max(1, int(found[2] or 100)) if found else -1
            if title and percent > shown:  # on a terminal over the same line, in a log every tenth part
                live = self.out.isatty()
                if live or percent // 10 > shown // 10:
                    self.out.write(f"\r{title}: {percent} %" if live else f"{title}: {percent} %\n")
                    self.out.flush()
                shown = percent
        if shown >= 0 and self.out.isatty():
            self.out.write("\n")


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    out: TextIO = sys.stderr,
    proved: Callable[[str], bool] | None = None,
) -> int:
    """Install llama.cpp; the exit code: 0, FELL_BACK, or another where there is none now.

    Without a backend it is for the processor, with advice about the cards found. proved: see `is_installed`.
    """
    wanted = arguments[0] if arguments else ""
    if wanted and wanted not in (*_OPTIONS, "cpu"):
        out.write(f"GPU={wanted}: no such backend. Choose one of cuda, metal, vulkan, rocm, cpu.\n")
        return 2
    if not has_pip(environment):
        out.write(f"{sys.prefix} has no pip. Type: uv pip install --python {sys.executable} pip\n")
        return 1
    prove = proved or (lambda backend: is_installed(backend, environment))
    pip = Pip((sys.executable, "-m", "pip"), environment, cache_folder(environment) / "wheels", out)
    cards = find_accelerators()
    replaced = False
    if wanted in _OPTIONS:
        done, replaced = install_for_gpu(pip, wanted, cards, prove)
        if done:
            return 0
    elif not wanted:
        out.writelines(f"{line}\n" for line in advise(cards))
    if wanted == "cpu" or replaced or not prove("cpu"):
        try:
            _build(pip, "", force=bool(wanted))
        except BuildFailed as error:
            out.write(f"{error}\nllama.cpp could not be compiled; the lines above say why.\n")
            return 1
    return FELL_BACK if wanted in _OPTIONS else 0


def has_pip(environment: Mapping[str, str]) -> bool:
    """Whether this environment has pip; `uv tool install` makes one without, and Python brings it along."""
    if importlib.util.find_spec("pip"):
        return True
    command = [sys.executable, "-m", "ensurepip"]
    return subprocess.run(command, env=dict(environment), capture_output=True, check=False).returncode == 0


def install_for_gpu(
    pip: Pip, backend: str, cards: Sequence[Accelerator], prove: Callable[[str], bool]
) -> tuple[bool, bool]:
    """Whether a build that offloads is installed now, and whether the one that was there is gone.

    One sentence says why there is none.
    """
    problems = (f"{card.name}: {card.problem}" for card in cards if card.backend == backend and card.problem)
    reason, replaced = next(problems, ""), False
    for attempt in (_fetch, _build):
        try:
            attempt(pip, backend, cards)
        except BuildFailed as error:
            pip.out.write(_last_reason(str(error)))
            continue
        if prove(backend):
            pip.out.write(f"llama.cpp {VERSION} with {backend} is installed.\n")
            return True, True
        replaced = True
        reason = reason or f"what was installed for {backend} does not load, or finds no device"
    needs = f"a build needs {_NEEDS[backend]}" if backend in _NEEDS else "it did not compile"
    pip.out.write(
        f"llama.cpp for {backend} could not be installed ({reason or needs}), so models run on the processor.\n"
    )
    return False, replaced


def advise(cards: Sequence[Accelerator]) -> Iterator[str]:
    """What to do about the cards found, a sentence each."""
    for card in cards:
        size = f" ({card.memory_bytes / 2**30:.0f} GiB)" if card.memory_bytes else ""
        if not card.problem:
            yield f"Found {card.name}{size}: models run on the processor until `make run GPU={card.backend}`."
        elif card.command:
            yield f"Found {card.name}{size}, but {card.problem}. Try: {card.command}"


def choose_folder(backend: str, cards: Sequence[Accelerator]) -> str | None:
    """The folder of the index with wheels for this backend; None where the driver is too old for any."""
    if backend != "cuda":
        return _FOLDERS[backend]
    supported = max((card.cuda for card in cards if card.cuda), default=None)
    fitting = (version for version in _CUDA if supported and version[0] == supported[0] and version <= supported)
    return next((f"cu{major}{minor}" for major, minor in fitting), None)


def is_installed(backend: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the pinned llama.cpp loads here and can offload; for `cpu`, whether it loads."""
    command = [sys.executable, "-c", _PROOF, backend, VERSION]
    return subprocess.run(command, env=dict(environment), capture_output=True, check=False).returncode == 0


def cache_folder(environment: Mapping[str, str]) -> Path:
    """The user's cache, as the workbench itself finds it once platformdirs is installed."""
    if own := environment.get("WORKBENCH_HOME"):
        return Path(own).expanduser() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/workbench"
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "workbench"


def _fetch(pip: Pip, backend: str, cards: Sequence[Accelerator]) -> None:
    folder = choose_folder(backend, cards)
    if folder is None:
        raise BuildFailed(f"There is no prebuilt wheel for {backend} on this machine.")
    pip.out.write(f"Looking for a prebuilt llama.cpp with {backend} ({folder}).\n")
    # pip caches a wheel by its version and not by how it was built, so its cache is left alone
    pip.run(
        "install", "--no-cache-dir", "--force-reinstall", "--no-deps", "--only-binary", ":all:", "--retries", "1",
        "--index-url", f"{INDEX}/{folder}", f"llama-cpp-python=={VERSION}",
    )  # fmt: skip
    pip.run("install", f"llama-cpp-python=={VERSION}")  # what it requires, from the usual index


def _build(pip: Pip, backend: str, cards: Sequence[Accelerator] = (), force: bool = True) -> None:
    """Compile a wheel, or take the one that was compiled with the same options before, and install it."""
    options = f"{pip.environment.get('CMAKE_ARGS', FLAGS)} {_OPTIONS.get(backend, '')}".strip()
    kept = pip.cache / _key(options)
    wheel = next(kept.glob("*.whl"), None)
    if wheel is None:
        pip.out.write(f"Compiling llama.cpp {VERSION}{f' with {backend}' if backend else ''}: a few minutes, once.\n")
        wheel = _compile(pip, options, kept, fresh=bool(backend))
    try:
        if force:
            pip.run("install", "--no-cache-dir", "--force-reinstall", "--no-deps", str(wheel))
        pip.run("install", str(wheel))
    except BuildFailed:
        shutil.rmtree(kept, ignore_errors=True)  # it may be damaged: the next attempt compiles it anew
        raise


def _compile(pip: Pip, options: str, kept: Path, fresh: bool) -> Path:
    pip.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pip.cache) as folder:
        pip.run(
            "wheel", "--verbose", "--no-deps", "--wheel-dir", folder, *(["--no-cache-dir"] if fresh else []),
            f"llama-cpp-python=={VERSION}", title="Compiling", CMAKE_ARGS=options,
        )  # fmt: skip
        made = next(Path(folder).glob("*.whl"), None)
        if made is None:
            raise BuildFailed("pip made no wheel.")
        kept.mkdir(parents=True, exist_ok=True)
        return made.replace(kept / made.name)


def _key(options: str) -> str:
    """A folder's name for what decides how a wheel turns out: version, Python, processor, options."""
    parts = (VERSION, sys.implementation.cache_tag, sys.platform, os.uname().machine, _processor(), options)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _processor() -> str:
    """What the processor can do: ggml is compiled for exactly that, and a home may be shared by several machines."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")


def _last_reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.search(line)][:1] or [line for line in lines if "error" in line.lower()]
    return f"  {(causes or lines or ['pip failed'])[-1][:200]}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
