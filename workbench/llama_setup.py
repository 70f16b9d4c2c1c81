"""`python -m workbench.llama_setup [cuda|metal|vulkan|rocm|cpu]`: llama.cpp for a graphics card, or for the processor.

It installs the prebuilt wheel where there is one, else compiles one; both are kept in the user's cache for later
clones. Where neither works it falls back to the processor. It runs before anything is installed, so it imports the
standard library alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from workbench.accelerators import Accelerator, find_accelerators
from workbench.llama_wheels import (
    OPTIONS,
    VERSION,
    BuildFailed,
    Pip,
    WheelSource,
    compiled,
    install_kept,
    install_new,
    open_cache,
    prebuilt,
)

_NEEDS = {
    "cuda": "the CUDA toolkit (nvcc)",
    "vulkan": "the Vulkan SDK, on Debian 13 or newer: apt install libvulkan-dev glslc spirv-headers",
    "rocm": "ROCm (hipcc)",
}
_PROGRAMS = {"cuda": "nvidia-smi", "rocm": "rocminfo"}
_PROOF = """
import llama_cpp, sys
sys.exit(llama_cpp.__version__ != sys.argv[2] or not (sys.argv[1] == "cpu" or llama_cpp.llama_supports_gpu_offload()))
"""
_PROOF_SECONDS = 120.0  # a driver that hangs must not hang the set-up
_CAUSE = re.compile(
    r"could not find|failed to find|no CMAKE_\w+_COMPILER|no matching distribution|toolkit not found|too old",
    re.IGNORECASE,
)

FELL_BACK = 3
"""Exit code for a card that was asked for and a processor that is used instead."""

Prove = Callable[[str], bool]
"""whether what is installed for a backend works"""


class GpuInstall(NamedTuple):
    """done: a build for the card works now. replaced: the build that was there is gone."""

    done: bool
    replaced: bool


def main(
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    out: TextIO = sys.stderr,
    proved: Prove | None = None,
) -> int:
    """Install llama.cpp; the exit code: 0, FELL_BACK, or another where there is none now.

    Without a backend it is for the processor, with advice about the cards found. proved: see `is_installed`.
    """
    wanted = arguments[0] if arguments else ""
    if wanted and wanted not in (*OPTIONS, "cpu"):
        out.write(f"GPU={wanted}: no such backend. Choose one of cuda, metal, vulkan, rocm, cpu.\n")
        return 2
    if not has_pip(environment):
        python = shlex.quote(sys.executable)
        out.write(f"{sys.prefix} has no pip. Type: uv pip install --python {python} pip\n")
        return 1
    prove = proved or (lambda backend: is_installed(backend, environment))
    with open_cache(environment) as cache:
        return _install(Pip((sys.executable, "-m", "pip"), environment, cache, out), wanted, prove)


def _install(pip: Pip, wanted: str, prove: Prove) -> int:
    cards = find_accelerators()
    replaced = False
    if wanted in OPTIONS:
        done, replaced = install_for_gpu(pip, wanted, cards, prove)
        if done:
            remember(wanted)
            return 0
    elif not wanted:
        pip.out.writelines(f"{line}\n" for line in advise(cards))
    if (wanted == "cpu" or replaced or not prove("cpu")) and not _install_for_cpu(pip, wanted, prove):
        return 1
    if wanted == "cpu":
        remember(wanted)
    elif wanted:
        remember("")
        return FELL_BACK
    return 0


def install_for_gpu(pip: Pip, backend: str, cards: Sequence[Accelerator], prove: Prove) -> GpuInstall:
    """Install a build that offloads, from the cache, the index or the compiler. One sentence says why there is none."""
    reason, replaced = _find_obstacle(backend, cards), False
    if backend == "metal" and sys.platform != "darwin":
        return _give_up(pip, backend, "Metal is Apple's", replaced)
    sources: tuple[Callable[[], WheelSource], ...] = (
        lambda: prebuilt(pip, backend, cards),
        lambda: compiled(pip, backend, fresh=True),
    )
    for find in sources:
        try:
            installed, works = _try_source(pip, find(), lambda: prove(backend), force=True)
        except BuildFailed as error:
            pip.out.write(_last_reason(str(error)))
            continue
        replaced = replaced or installed
        if works:
            pip.out.write(f"llama.cpp {VERSION} with {backend} is installed.\n")
            return GpuInstall(True, True)
        reason = reason or f"what was installed for {backend} does not load, or finds no device"
    return _give_up(pip, backend, reason, replaced)


def _give_up(pip: Pip, backend: str, reason: str, replaced: bool) -> GpuInstall:
    needs = f"a build needs {_NEEDS[backend]}" if backend in _NEEDS else "it did not compile"
    pip.out.write(
        f"llama.cpp for {backend} could not be installed ({reason or needs}), so models run on the processor.\n"
    )
    return GpuInstall(False, replaced)


def _find_obstacle(backend: str, cards: Sequence[Accelerator]) -> str:
    """Why no card can be used, whatever is installed; empty where one can, or nobody knows."""
    own = [card for card in cards if card.backend == backend]
    if own:
        return "" if any(not card.problem for card in own) else f"{own[0].name}: {own[0].problem}"
    program = _PROGRAMS.get(backend)
    if program is None:
        return ""
    return f"{program} lists no card" if shutil.which(program) else f"no driver is installed: {program} was not found"


def _install_for_cpu(pip: Pip, wanted: str, prove: Prove) -> bool:
    try:
        # plain, a wheel that pip has cached will do; one that is asked for replaces what does not work
        _, works = _try_source(pip, compiled(pip, "", fresh=bool(wanted)), lambda: prove("cpu"), force=bool(wanted))
    except BuildFailed as error:
        pip.out.write(f"{error}\nllama.cpp could not be compiled; the lines above say why.\n")
        return False
    if not works:
        pip.out.write(f"llama.cpp {VERSION} was installed, but does not load: `workbench doctor` says why.\n")
    return works


def _try_source(pip: Pip, source: WheelSource, works: Callable[[], bool], force: bool) -> tuple[bool, bool]:
    """Install its wheel: whether one was, and whether that works. A kept one that does not work is made anew."""
    if install_kept(pip, source, force) and works():
        return True, True
    install_new(pip, source, force)
    if works():
        return True, True
    shutil.rmtree(source.kept, ignore_errors=True)
    return True, False


def has_pip(environment: Mapping[str, str]) -> bool:
    """Whether this environment has pip; `uv tool install` makes one without, and Python brings it along."""
    if importlib.util.find_spec("pip"):
        return True
    command = [sys.executable, "-m", "ensurepip"]
    return subprocess.run(command, env=dict(environment), capture_output=True, check=False).returncode == 0


def advise(cards: Sequence[Accelerator]) -> Iterator[str]:
    """What to do about the cards found, a sentence each."""
    for card in cards:
        size = f" ({card.memory_bytes / 2**30:.0f} GiB)" if card.memory_bytes else ""
        if not card.problem:
            yield f"Found {card.name}{size}: models run on the processor until `{_write_command(card.backend)}`."
        elif card.command:
            yield f"Found {card.name}{size}, but {card.problem}. Try: {card.command}"


def _write_command(backend: str) -> str:
    """What a person types for a backend: in a checkout make, elsewhere this module."""
    checkout = (Path(__file__).parents[1] / "Makefile").exists()
    return f"make run GPU={backend}" if checkout else install_command(backend)


def install_command(backend: str) -> str:
    """What installs llama.cpp for a backend anew, wherever one stands, also where it was chosen before."""
    return f"{shlex.quote(sys.executable)} -m workbench.llama_setup {backend}"


def remember(backend: str) -> None:
    """Leave the choice in this environment, where `make` looks for it; empty for none."""
    folder = Path(sys.prefix)
    with contextlib.suppress(OSError):  # an environment of the system, which make does not use
        for mark in folder.glob(".gpu-*"):
            mark.unlink(missing_ok=True)
        if backend:
            (folder / f".gpu-{backend}").touch()


def is_installed(backend: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the pinned llama.cpp loads here and can offload; for `cpu`, whether it loads."""
    command = [sys.executable, "-c", _PROOF, backend, VERSION]
    try:
        done = subprocess.run(command, env=dict(environment), capture_output=True, check=False, timeout=_PROOF_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _last_reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if _CAUSE.search(line)][:1] or [line for line in lines if "error" in line.lower()]
    return f"  {(causes or lines or ['pip failed'])[-1][:200]}\n"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
