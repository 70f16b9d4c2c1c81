"""All checks in their order, as findings that come one by one."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from workbench import paths
from workbench.accelerators import find_accelerators
from workbench.doctor import engines, machine, terminal
from workbench.doctor.finding import Finding, failed, ok
from workbench.doctor.rpc_servers import check_rpc_answer, check_servers_named, read_settings_offload
from workbench.doctor.servers import check_servers
from workbench.doctor.stored import check_store
from workbench.errors import EngineError, FileError, SettingsError
from workbench.inference.device_probe import LlamaBuild, probe_llama
from workbench.llama_setup import install_command
from workbench.models.reference import Model, with_precision
from workbench.package_commands import mend_import, pip_install, restore_own
from workbench.settings import load_settings


def run_checks(
    on_cancel: engines.OnCancel = engines.never_cancelled, ask_keyboard: Callable[[], bool | None] = lambda: None
) -> Iterator[Finding]:
    """Every check of this machine; the engines last, since they take longest.

    on_cancel: is told, by the engine that answers, what ends it early. Raises EngineError where that was called.
    ask_keyboard: asks the terminal; for a program that has no screen on it.
    """
    yield ok("python", f"{sys.version.split()[0]} in {sys.prefix}")
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "libraries": machine.check_libraries,
        "clock": lambda: iter([machine.check_clock()]),
        "folders": _check_home,
        "terminal": lambda: terminal.check_terminal(
            size=terminal.read_size(),
            encoding=terminal.read_encoding(),
            read_tmux=terminal.read_tmux,
            ask_keyboard=ask_keyboard,
        ),
        "servers": check_servers,
        "engines": lambda: check_engines(on_cancel),
    }
    for name, check in checks.items():
        yield from _contain(name, check)


def _contain(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; where it fails by itself, that is a finding too, and the others go on."""
    try:
        yield from check()
    except EngineError:  # stopped
        raise
    except FileError as error:
        yield failed(name, error.message, error.hint)
    except ImportError as error:
        package = (error.name or "workbench").partition(".")[0]
        yield failed(name, f"{package} cannot be loaded: {error}", mend_import(package))
    except Exception as error:  # noqa: BLE001  whatever a broken machine brings about, the other checks are of use
        report = "workbench doctor --json > doctor.json"
        yield failed(name, f"this check broke off with {type(error).__name__}: {error}", report)


def _check_home() -> Iterator[Finding]:
    """Settings, folders and what is in them; without its folder, neither sqlite nor the store can be tried."""
    yield check_settings()
    data, cache = paths.data_folder(), paths.cache_folder()
    found = [machine.check_folder("data folder", data), machine.check_folder("cache folder", cache)]
    yield from found
    if found[0].status == "ok":
        yield machine.check_sqlite(data)
        yield check_store(data / "workbench.sqlite")


def check_settings() -> Finding:
    file = paths.settings_file()
    quoted = shlex.quote(str(file))
    try:
        load_settings()
    except SettingsError as error:
        command = f"${{EDITOR:-nano}} {quoted}"
        if isinstance(error.__cause__, FileError):  # nothing that an editor could open
            command = f"mv {quoted} {quoted}.old"
        return failed("settings", error.message, command)
    return ok("settings", str(file) if file.exists() else "defaults")


def check_engines(on_cancel: engines.OnCancel = engines.never_cancelled) -> Iterator[Finding]:
    """The build, the cards, and the embedded model on each backend."""
    try:
        build: LlamaBuild | str = probe_llama(offload=read_settings_offload())
    except EngineError as error:
        build = error.message
    yield from engines.check_build(build, install_command)
    devices = () if isinstance(build, str) else build.devices
    if not isinstance(build, str):
        yield from check_servers_named(build, install_command)
    yield from engines.check_cards(find_accelerators(), devices, install_command)
    path = paths.find_shipped(engines.EMBEDDED)
    embedded = engines.check_embedded(path, engines.EMBEDDED_SHA256, _restore_command(path))
    yield embedded
    if isinstance(build, str) or build.error or embedded.status == "failed":
        return
    yield from _check_answers(build, path, on_cancel)


def _check_answers(
    build: LlamaBuild, path: Path, on_cancel: engines.OnCancel = engines.never_cancelled
) -> Iterator[Finding]:
    yield from _check_llama(build, Model(path.stem, path), functools.partial(engines.ask, on_cancel=on_cancel))
    needed = {name: machine.find_version(name) for name in ("torch", "transformers", "peft")}
    if not all(needed.values()):
        return  # the check of libraries says so
    asked = functools.partial(engines.ask, on_cancel=on_cancel)
    folder = Model("desk", paths.find_shipped("assets/desk"), "hf")
    answer = asked(folder)
    yield engines.check_answer("transformers", answer, "", _reinstall(needed))
    if machine.find_version("bitsandbytes"):
        packed = asked(with_precision(folder, "", "4bit"))
        yield engines.check_answer("bitsandbytes, 4 bits", packed, "", pip_install("-U", "bitsandbytes"))


def _reinstall(versions: Mapping[str, str | None]) -> str:
    """The same versions anew: without their suffix for a kind of build, which the index does not list."""
    exact = (f"{name}=={(version or '').partition('+')[0]}" for name, version in versions.items())
    return pip_install("--force-reinstall", "--no-deps", *exact)


def _check_llama(build: LlamaBuild, model: Model, asked: Callable[..., engines.BackendAnswer]) -> Iterator[Finding]:
    """An answer on the CPU and on each kind of card; what would fail for the same reason as another is left out."""
    cards = [device for device in build.devices if device.is_gpu and device.backend != "RPC"]
    answers = {"cpu": asked(engines.with_offload(model, gpu_layers="none"), engines.NO_GPU if cards else None)}
    yield engines.check_answer("llama.cpp on the cpu", answers["cpu"], "cpu", install_command("cpu"))
    if answers["cpu"].error:
        return
    for number, card in enumerate(cards):
        if card.backend not in answers:
            on_card = engines.with_offload(model, gpu_layers="all", main_gpu=number)
            answers[card.backend] = asked(on_card, None, _read_free_bytes)
            command = install_command(engines.SET_UP.get(card.backend, "cpu"))
            yield engines.check_answer(f"llama.cpp on {card.backend}", answers[card.backend], card.name, command)
    if served := check_rpc_answer(build, read_settings_offload(), model, asked):
        answers["RPC"], finding = served
        yield finding
    if not cards:
        answers["cpu again"] = asked(model)
    if equal := engines.check_equal(answers, install_command("cpu")):
        yield equal
    if any(answer.error for answer in answers.values()):
        return
    with_it, without = (asked(engines.with_offload(model, flash_attention=kind)) for kind in ("on", "off"))
    yield engines.check_flash_attention(with_it, without, install_command("cpu"))


def _restore_command(path: Path) -> str:
    root = paths.shipped_folder()
    if (root / ".git").exists():
        return f"git -C {shlex.quote(str(root))} checkout -- {path.relative_to(root)}"
    return restore_own()


def _read_free_bytes() -> int:
    return sum(device.free_bytes for device in probe_llama().devices if device.is_gpu)
