"""llama.cpp and the Hugging Face engine: the build, the devices, and answers of the embedded model on each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.accelerators import LEAST_BYTES, Accelerator
from workbench.doctor.finding import Finding, failed, ok, warning
from workbench.errors import EngineError, WorkbenchError
from workbench.inference.device_probe import LlamaBuild
from workbench.inference.model_client import ModelClient
from workbench.inference.pool import Pool
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.device_share import Device, DeviceShare
from workbench.models.reference import Model
from workbench.offload import Offload
from workbench.prompting.prompt import Message
from workbench.units import format_bytes, format_plural

EMBEDDED = "assets/desk-q8_0.gguf"
EMBEDDED_SHA256 = "c6454462db602b5bc31c241a3bc4d2e6f7b543845b85506802091eeb5fb655a0"

NO_GPU = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
    "ROCR_VISIBLE_DEVICES": "-1",
    "GGML_VK_VISIBLE_DEVICES": "",
}
"""Variables by which a child sees no card, so that a build for one computes on the processor."""

TOKENS = 96
_SECONDS = 180.0
SET_UP = {"CUDA": "cuda", "ROCm": "rocm", "HIP": "rocm", "Metal": "metal", "MTL": "metal", "Vulkan": "vulkan"}
_QUESTION = (Message("user", "I was charged twice for the same order. Which queue should this go to?"),)


OnCancel = Callable[[Callable[[], object]], object]
"""takes what ends an answer early, to be called from any thread"""


def never_cancelled(stop: Callable[[], object]) -> None:
    """For checks that nobody ends early."""


class BackendAnswer(NamedTuple):
    """What a backend answered. device: as its engine says, such as cpu. error: empty where it did."""

    text: str = ""
    tokens_per_second: float = 0.0
    device: str = ""
    error: str = ""
    used_bytes: int | None = None
    """by how much the free memory of the cards fell while the model was loaded"""
    placement: tuple[DeviceShare, ...] = ()
    """what llama.cpp put where, RAM last"""


def check_build(build: LlamaBuild | str, install: Callable[[str], str]) -> Iterator[Finding]:
    """The library and each of its devices. build: or why it cannot be probed. install: the command for a backend."""
    if isinstance(build, str) or build.error:
        yield failed("llama.cpp", build if isinstance(build, str) else build.error, install("cpu"))
        return
    backends = ", ".join(dict.fromkeys(device.backend for device in build.devices)) or "no backend"
    rpc = "with RPC" if build.has_rpc else "without RPC"
    figures = {"version": build.version, "ggml": build.ggml, "features": build.features}
    text = f"llama-cpp-python {build.version}, ggml {build.ggml}, backends: {backends}; {rpc}"
    yield ok("llama.cpp", text, rpc=float(build.has_rpc), **figures)
    for device in build.devices:
        yield _check_device(device)


def _check_device(device: Device) -> Finding:
    name, figures = f"device {device.name}", {"free_bytes": device.free_bytes, "total_bytes": device.total_bytes}
    if device.total_bytes and device.free_bytes >= LEAST_BYTES:
        text = f"{device.description}, {format_bytes(device.free_bytes)} free of {format_bytes(device.total_bytes)}"
        return ok(name, text, **figures)
    command = "nvidia-smi" if device.backend == "CUDA" else "rocm-smi" if device.is_gpu else "ps aux --sort=-rss"
    if not device.total_bytes:
        return failed(name, f"{device.description} reports no memory", command, **figures)
    text = f"{device.description} has only {format_bytes(device.free_bytes)} free; another program holds the rest"
    return failed(name, text, command, **figures)


def check_cards(
    cards: Sequence[Accelerator], devices: Sequence[Device], install: Callable[[str], str]
) -> Iterator[Finding]:
    """Whether the cards of this machine are those that llama.cpp computes on."""
    used = {SET_UP.get(device.backend, device.backend.lower()) for device in devices if device.is_gpu}
    for card in cards:
        if card.backend in used or (used and not card.problem):
            continue
        name = f"card {card.name}"
        if card.problem and card.command:
            yield warning(name, f"not used: {card.problem}", card.command)
        elif not card.problem:
            yield warning(name, "not used: llama.cpp was built without it", install(card.backend))


def check_embedded(path: Path, digest: str, restore: str) -> Finding:
    """The embedded model's file, by its SHA-256. restore: the command that brings it back."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return failed("embedded model", f"{path} cannot be read: {error.strerror}", restore)
    if found != digest:
        text = f"{path} is not the shipped file: expected SHA-256 {digest[:12]}…, found {found[:12]}…"
        return failed("embedded model", text, restore, sha256=found)
    return ok("embedded model", f"{path.name}, SHA-256 {found[:12]}…", sha256=found)


def ask(
    model: Model,
    environment: Mapping[str, str] | None = None,
    free_bytes: Callable[[], int] | None = None,
    on_cancel: OnCancel = never_cancelled,
) -> BackendAnswer:
    """One greedy answer of a model in a worker process of its own. free_bytes: of the cards, read before and after.

    Raises EngineError where it was cancelled.
    """
    before = free_bytes() if free_bytes else 0
    with contextlib.closing(Pool(max_context_tokens=2048, isolate=True, environment=environment)) as pool:
        try:
            return asyncio.run(_ask_in_time(pool.client(model), before, free_bytes, on_cancel))
        except asyncio.CancelledError:
            raise EngineError("The checks were stopped.") from None
        except WorkbenchError as error:
            return BackendAnswer(error=error.message)
        except TimeoutError:
            return BackendAnswer(error=f"no answer within {_SECONDS:.0f} s")


async def _ask_in_time(
    client: ModelClient, before: int, free_bytes: Callable[[], int] | None, on_cancel: OnCancel
) -> BackendAnswer:
    task, loop = asyncio.ensure_future(_ask(client, before, free_bytes)), asyncio.get_running_loop()

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the answer is there
            loop.call_soon_threadsafe(task.cancel)

    on_cancel(stop)
    return await asyncio.wait_for(task, _SECONDS)


async def _ask(client: ModelClient, before: int, free_bytes: Callable[[], int] | None) -> BackendAnswer:
    info = await client.load()
    request = GenerateRequest(0, _QUESTION, Sampling(max_tokens=TOKENS, ignore_eos=True))
    await client.complete(request)  # the first answer waits for buffers and, on a card, for kernels
    completion = await client.complete(request)
    used = before - free_bytes() if free_bytes else None
    return BackendAnswer(completion.text, completion.tokens_per_second, info.device, "", used, info.placement)


def check_answer(name: str, answer: BackendAnswer, expected: str, command: str) -> Finding:
    """Whether a backend answers, computes where it should, and how fast. expected: its device, as engines say."""
    if answer.error:
        return failed(name, answer.error, command)
    if not answer.text.strip():
        return failed(name, f"{TOKENS} tokens were decoded, but no text came of them", command)
    if expected and answer.device != expected:  # "CUDA0 and cpu" is not all on the card
        return failed(name, f"the model ran on {answer.device}, not on {expected}", command)
    speed = f"{answer.tokens_per_second:,.0f} tokens/s"
    figures = {"tokens_per_second": round(answer.tokens_per_second, 1), **list_figures(answer.placement)}
    resident = describe_placement(answer.placement)
    if answer.used_bytes is None:
        return ok(name, f"{speed}{resident}", **figures)
    if answer.used_bytes <= 0 and any(share.bytes for share in answer.placement if share.device.is_gpu):
        # Vulkan drivers without VK_EXT_memory_budget always call all of their memory free
        return ok(name, f"{speed}, on a card whose driver does not tell what is in use{resident}", **figures)
    if answer.used_bytes <= 0:
        return failed(name, f"{speed}, but the card's free memory did not fall: nothing was offloaded", command)
    text = f"{speed}, {format_bytes(answer.used_bytes)} on the card{resident}"
    return ok(name, text, used_bytes=answer.used_bytes, **figures)


def describe_placement(placement: Sequence[DeviceShare]) -> str:
    """The layers and bytes on each device, behind a semicolon; "" where the engine does not tell."""
    parts = [
        f"{share.device.name} has {format_plural(share.layers, 'layer')}, {format_bytes(share.bytes)}"
        for share in placement
    ]
    return f"; {', '.join(parts)}" if parts else ""


def list_figures(placement: Sequence[DeviceShare]) -> dict[str, float | str]:
    """The same for programs, by the device's name."""
    figures: dict[str, float | str] = {}
    for share in placement:
        figures |= {f"{share.device.name}_layers": share.layers, f"{share.device.name}_bytes": share.bytes}
    return figures


def with_offload(model: Model, **fields: Any) -> Model:
    """The model on other devices. fields: of Offload."""
    return msgspec.structs.replace(model, offload=Offload(**fields))


def check_flash_attention(with_it: BackendAnswer, without: BackendAnswer, command: str) -> Finding:
    """Whether llama.cpp's flash attention works where models are computed, and what it gives."""
    if with_it.error:
        return failed("flash attention", with_it.error, command)
    speeds = f"{with_it.tokens_per_second:,.0f} tokens/s with it, {without.tokens_per_second:,.0f} without"
    same = "the same answer" if with_it.text == without.text else "another answer, as rounding may bring about"
    figures = {"with": round(with_it.tokens_per_second, 1), "without": round(without.tokens_per_second, 1)}
    return ok("flash attention", f"{speeds}, {same}", **figures)


def check_equal(answers: Mapping[str, BackendAnswer], command: str) -> Finding | None:
    """Whether the greedy answers to one question are the same; None where fewer than two came."""
    given = {name: answer.text for name, answer in answers.items() if not answer.error}
    if len(given) < 2:
        return None
    (first, text), *others = given.items()
    for name, other in others:
        if other != text:
            at = next(
                (i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(map(len, (text, other)))
            )
            differs = f"{first} and {name} part after {at} characters: {text[at:][:20]!r}, {other[at:][:20]!r}"
            return failed("greedy answers", differs, command)
    return ok("greedy answers", f"equal: {', '.join(given)}")
