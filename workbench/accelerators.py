"""Which graphics cards this machine has, as the vendors' own programs tell: nvidia-smi, rocminfo, vulkaninfo; Metal.

The set-up runs this before anything is installed, so it imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Backend = Literal["cuda", "rocm", "metal", "vulkan"]

OLDEST_CUDA = (11, 8)
"""The CUDA version that a driver must support: there are no builds of llama.cpp for an older one."""

LEAST_BYTES = 512 * 2**20
"""Free memory below which a card can hold neither weights nor buffers worth its while."""

_SECONDS = 10.0  # a driver that hangs must not hang the set-up
_END_SECONDS = 2.0
_MIB = 2**20
_CUDA_VERSION = re.compile(r"CUDA (?:UMD )?Version: *(\d+)\.(\d+)")  # UMD: since driver 610
_DRIVER_COMMANDS = {
    "ubuntu": "sudo ubuntu-drivers install",
    "fedora": "sudo dnf install akmod-nvidia",
    "arch": "sudo pacman -S nvidia-open",
    "suse": "sudo zypper install nvidia-open-driver-G06-signed-kmp-default",
}
_RELEASE_FILE = Path("/etc/os-release")


class Accelerator(NamedTuple):
    """A card, or a program that should list cards and cannot.

    memory_bytes, free_bytes: None where nobody tells. cuda: the version that the driver supports.
    problem: why it cannot be used now; empty where it can. command: what to run about that.
    """

    backend: Backend
    name: str
    memory_bytes: int | None = None
    free_bytes: int | None = None
    cuda: tuple[int, int] | None = None
    problem: str = ""
    command: str = ""


class ProgramOutput(NamedTuple):
    """What a program printed; its errors are part of it."""

    code: int
    text: str


RunProgram = Callable[[Sequence[str]], ProgramOutput | None]


def run_program(command: Sequence[str]) -> ProgramOutput | None:
    """Run a program of the system; None where there is none of that name."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError:
        return None
    try:
        out, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in a driver's call does not end even so
            process.wait(_END_SECONDS)
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        return ProgramOutput(1, f"{command[0]} did not answer within {_SECONDS:g} s")
    return ProgramOutput(process.returncode, (out + b"\n" + errors).decode("utf-8", "replace"))


def find_accelerators(run: RunProgram = run_program, system: str = "") -> tuple[Accelerator, ...]:
    """Every card, the best supported way to it first. system: as `platform.system()` has it."""
    found = [*_find_nvidia(run), *_find_amd(run), *_find_apple(system or platform.system())]
    return tuple(found or _find_vulkan(run))


def _find_nvidia(run: RunProgram) -> Iterator[Accelerator]:
    query = "name,memory.total,memory.free,driver_version"
    listed = run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"])
    if listed is None:
        return
    lines = [[cell.strip() for cell in line.rsplit(",", 3)] for line in listed.text.splitlines() if line.count(",") > 2]
    if listed.code or not lines:
        words = next((line.strip() for line in listed.text.splitlines() if line.strip()), "no card is listed")
        mends = "sudo reboot" if "mismatch" in words else "sudo modprobe nvidia"
        yield Accelerator("cuda", "NVIDIA", problem=f"nvidia-smi fails: {words.rstrip('.')}", command=mends)
        return
    summary, parts = run(["nvidia-smi"]), run(["nvidia-smi", "-L"])
    version = _CUDA_VERSION.search(summary.text if summary else "")
    cuda = (int(version[1]), int(version[2])) if version else None
    slices = _read_slices(parts.text if parts else "")
    for index, (name, total, free, driver) in enumerate(lines):
        card = Accelerator("cuda", name, _read_mib(total), _read_mib(free), cuda)
        yield _check_nvidia(card, driver, slices.get(index))


def _read_slices(listing: str) -> dict[int, list[int]]:
    """The bytes of each MIG instance, by the number of its card: `  MIG 1g.18gb     Device  0: (UUID: …)`."""
    slices: dict[int, list[int]] = {}
    card = -1
    for line in listing.splitlines():
        if found := re.match(r"GPU (\d+):", line):
            card = int(found[1])
        elif found := re.match(r"\s+MIG \S*?(\d+)gb\S*\s+Device", line):
            slices.setdefault(card, []).append(int(found[1]) * 2**30)
    return slices


def _check_nvidia(card: Accelerator, driver: str, slices: list[int] | None) -> Accelerator:
    if card.cuda is None or card.cuda < OLDEST_CUDA:
        supports = f"supports CUDA {card.cuda[0]}.{card.cuda[1]}" if card.cuda else "does not tell its CUDA version"
        needed = ".".join(map(str, OLDEST_CUDA))
        return card._replace(
            problem=f"its driver {driver} {supports}; llama.cpp needs one for CUDA {needed} or newer",
            command=_find_driver_command(),
        )
    if slices:  # a program gets one instance, never the whole card
        return card._replace(name=f"{card.name} (MIG instance)", memory_bytes=slices[0], free_bytes=None)
    if not card.memory_bytes:
        return card._replace(
            problem="it reports no memory: MIG may be on without an instance", command="nvidia-smi mig -lgi"
        )
    if card.free_bytes is not None and card.free_bytes < LEAST_BYTES:
        return card._replace(
            problem=f"only {card.free_bytes // _MIB} of {card.memory_bytes // _MIB} MiB are free", command="nvidia-smi"
        )
    return card


def _find_driver_command() -> str:
    """How this system installs NVIDIA's driver, by the names in its `os-release`; Debian's way where none is known."""
    try:
        text = _RELEASE_FILE.read_text(errors="replace")
    except OSError:
        text = ""
    names = [name for line in re.findall(r"(?m)^ID(?:_LIKE)?=(.*)$", text) for name in line.strip("\"'").split()]
    return next(
        (_DRIVER_COMMANDS[name] for name in names if name in _DRIVER_COMMANDS), "sudo apt install nvidia-driver"
    )


def _read_mib(text: str) -> int | None:
    return int(text) * _MIB if text.isdigit() else None  # `[N/A]`, `[Insufficient Permissions]`


def _find_amd(run: RunProgram) -> Iterator[Accelerator]:
    listed = run(["rocminfo"])
    if listed is None:
        return
    if listed.code:
        words = next((line.strip() for line in listed.text.splitlines() if line.strip()), "it prints nothing")
        command = "sudo usermod -aG render,video $USER"
        yield Accelerator("rocm", "AMD", problem=f"rocminfo fails: {words.rstrip('.')}", command=command)
        return
    for agent in re.split(r"\*+\s*\n\s*Agent \d+", listed.text):
        if re.search(r"Device Type:\s+GPU", agent):
            name = re.search(r"Marketing Name:[ \t]*(\S[^\n]*)", agent) or re.search(r"Name:[ \t]*(\S[^\n]*)", agent)
            size = re.search(r"Segment:\s+GLOBAL.*?Size:\s+(\d+)\(", agent, re.DOTALL)
            yield Accelerator("rocm", name[1].strip() if name else "AMD", int(size[1]) * 1024 if size else None)


def _find_apple(system: str) -> Iterator[Accelerator]:
    if system == "Darwin":
        yield Accelerator("metal", "Apple GPU")


def _find_vulkan(run: RunProgram) -> Iterator[Accelerator]:
    listed = run(["vulkaninfo", "--summary"])
    if listed is None or listed.code:
        return
    for kind, name in re.findall(r"deviceType\s*=\s*(\S+).*?deviceName\s*=\s*([^\n]+)", listed.text, re.DOTALL):
        card = Accelerator("vulkan", name.strip())
        software = "it is drawn by the processor, which is faster without it"
        yield card._replace(problem=software) if kind.endswith("TYPE_CPU") else card
