"""All checks in their order, as findings that come one by one."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench import paths
from workbench.accelerators import find_accelerators
from workbench.doctor import engines, machine
from workbench.doctor.finding import Finding, failed, ok, pip_install
from workbench.doctor.servers import check_servers
from workbench.errors import EngineError, SettingsError
from workbench.inference.device_probe import LlamaBuild, probe_llama
from workbench.models.reference import Model, with_precision
from workbench.settings import load_settings


def run_checks(
    on_cancel: engines.OnCancel = engines.never_cancelled, ask_keyboard: Callable[[], bool | None] = lambda: None
) -> Iterator[Finding]:
    """Every check of this machine; the engines last, since they take longest.

    on_cancel: is told, by the engine that answers, what ends it early. Raises EngineError where that was called.
    ask_keyboard: asks the terminal; for a program that has no screen on it.
    """
    yield ok("python", f"{sys.version.split()[0]} in {sys.prefix}")
    yield from machine.check_libraries()
    yield check_settings()
    for name, folder in {"data": paths.data_folder(), "cache": paths.cache_folder()}.items():
        yield machine.check_folder(f"{name} folder", folder)
    yield machine.check_sqlite(paths.data_folder())
    yield from machine.check_terminal(
        size=_read_size(), encoding=_read_encoding(), read_tmux=_read_tmux, ask_keyboard=ask_keyboard
    )
    yield from check_servers()
    yield from check_engines(on_cancel)


def check_settings() -> Finding:
    file = paths.settings_file()
    try:
        load_settings()
    except SettingsError as error:
        return failed("settings", error.message, f"${{EDITOR:-nano}} '{file}'")
    return ok("settings", str(file) if file.exists() else "defaults")


def check_engines(on_cancel: engines.OnCancel = engines.never_cancelled) -> Iterator[Finding]:
    """The build, the cards, and the embedded model on each backend."""
    try:
        build: LlamaBuild | str = probe_llama()
    except EngineError as error:
        build = error.message
    yield from engines.check_build(build, install_command)
    devices = () if isinstance(build, str) else build.devices
    yield from engines.check_cards(find_accelerators(), devices, install_command)
    path = paths.find_shipped(engines.EMBEDDED)
    yield engines.check_embedded(path, engines.EMBEDDED_SHA256, _restore_command(path))
    if isinstance(build, str) or build.error or not path.exists():
        return
    yield from _check_answers(build, path, on_cancel)


def _check_answers(
    build: LlamaBuild, path: Path, on_cancel: engines.OnCancel = engines.never_cancelled
) -> Iterator[Finding]:
    model = Model(path.stem, path)
    cards = [device for device in build.devices if device.is_gpu]
    asked = functools.partial(engines.ask, on_cancel=on_cancel)
    answers = {"cpu": asked(engines.with_offload(model, gpu_layers="none"), engines.NO_GPU if cards else None)}
    yield engines.check_answer("llama.cpp on the cpu", answers["cpu"], "cpu", install_command("cpu"))
    for number, card in enumerate(cards):
        if card.backend not in answers:
            on_card = engines.with_offload(model, gpu_layers="all", main_gpu=number)
            answers[card.backend] = asked(on_card, None, _read_free_bytes)
            command = install_command(engines.SET_UP.get(card.backend, "cpu"))
            yield engines.check_answer(f"llama.cpp on {card.backend}", answers[card.backend], "gpu", command)
    if not cards:
        answers["cpu again"] = asked(model)
    if equal := engines.check_equal(answers, install_command("cpu")):
        yield equal
    with_it, without = (asked(engines.with_offload(model, flash_attention=kind)) for kind in ("on", "off"))
    yield engines.check_flash_attention(with_it, without, install_command("cpu"))
    folder = Model("desk", paths.find_shipped("assets/desk"), "hf")
    answer = asked(folder)
    yield engines.check_answer("transformers", answer, "", pip_install("--force-reinstall", "torch transformers peft"))
    if machine.find_version("bitsandbytes"):
        packed = asked(with_precision(folder, "", "4bit"))
        yield engines.check_answer("bitsandbytes, 4 bits", packed, "", pip_install("-U", "bitsandbytes"))


def install_command(backend: str) -> str:
    """How llama.cpp is installed for a backend: by the Makefile of a checkout, else in this environment."""
    root = paths.shipped_folder()
    if (root / "Makefile").exists():
        return f"make -C '{root}' run GPU={backend}"
    return f"{sys.executable} -m workbench.llama_setup {backend}"


def _restore_command(path: Path) -> str:
    root = paths.shipped_folder()
    if (root / ".git").exists():
        return f"git -C '{root}' checkout -- {path.relative_to(root)}"
    return pip_install("--force-reinstall", "--no-deps", "workbench")


def _read_free_bytes() -> int:
    return sum(device.free_bytes for device in probe_llama().devices if device.is_gpu)


def _read_size() -> tuple[int, int] | None:
    """None where it is no terminal; (0, 0) on one that does not tell."""
    terminal = sys.__stdout__  # the screen puts something of its own in the place of sys.stdout
    return tuple(os.get_terminal_size(terminal.fileno())) if terminal and terminal.isatty() else None  # type: ignore[return-value]


def _read_encoding() -> str:
    return (sys.__stdout__ or sys.stdout).encoding or ""


def _read_tmux() -> str:
    try:
        command = ["tmux", "show", "-gv", "set-clipboard"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
