"""Engine text: what an engine is doing: speed, prefix cache, KV cache, requests, memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from workbench.inference.types import EngineStatus
from workbench.models.reference import ModelInfo
from workbench.sanitize import sanitize
from workbench.units import format_bytes, format_count

_LABEL = 13
_WIDEST_BAR = 60
_FIGURES = 26
"""columns that the figures right of a bar take"""
_LEGEND = 75
"""columns that the memory's legend takes in full"""
_LEVELS = "▁▂▃▄▅▆▇█"
_MUTED = "$foreground 60%"
_STATES = {
    "loading": "Loading; figures appear with the first answer.",
    "stopped": "Not running. The next request starts it.",
    "failed": "It crashed. The next request restarts it.",
    "ready": "Ready; it reports no figures.",
}

Part = str | tuple[str, str]


class EngineFacts(NamedTuple):
    """One engine.

    memory_bytes: of its process. status: None while it tells nothing. info: None before it was first loaded.
    speeds: tokens a second over the last minute, the oldest first. note: what it waits for, in words.
    """

    name: str
    state: str
    memory_bytes: int
    status: EngineStatus | None
    info: ModelInfo | None = None
    speeds: tuple[float, ...] = ()
    note: str = ""


def describe_engine(engine: EngineFacts, width: int = 80) -> Content:
    """Its figures, a line each, in so many columns."""
    parts = _head(engine)
    if engine.status is None or engine.state != "ready":
        parts.append(sanitize(engine.note) or _STATES.get(engine.state, sanitize(engine.state)))
        return Content.assemble(*parts)
    status, bar = engine.status, max(8, min(_WIDEST_BAR, width - _LABEL - _FIGURES))
    parts += ["\n", *_writing(status), *_minute(engine.speeds, bar), *_requests(status), *_prompts(status)]
    parts += [*_cells(status, bar), *_memory(status, bar, width)]
    if engine.info:
        parts += _shares(engine.info)
    return Content.assemble(*parts)


def describe_activity(engine: EngineFacts) -> str:
    """Its state in a word or two."""
    status = engine.status
    if status is None or engine.state != "ready":
        return sanitize(engine.state)
    if status.running:
        return "decoding" if status.tokens_per_second else "prefill"
    return "waiting" if status.waiting else "idle"


def _head(engine: EngineFacts) -> list[Part]:
    """What it is and what it runs on."""
    facts = []
    if info := engine.info:
        where = f" on {info.device}" if info.device else ""
        facts += [info.engine + where if info.engine else "", info.quantization]
    if (status := engine.status) and status.cores:
        facts.append(f"{status.threads} of {_count(status.cores, 'core')}")
    if engine.memory_bytes:
        facts.append(f"process {format_bytes(engine.memory_bytes)}")
    line = sanitize("  ·  ".join(part for part in facts if part))
    return [(f"{line}\n", _MUTED)] if line else []


def _writing(status: EngineStatus) -> list[Part]:
    if not status.running and not status.waiting:
        return [*_label("decode"), "idle", (": no requests\n", _MUTED)]
    if not status.tokens_per_second:
        return [*_label("decode"), "waiting", (": prefill first\n", _MUTED)]
    speed: list[Part] = [*_label("decode"), (f"{status.tokens_per_second:,.0f} tok/s", "bold $primary")]
    if status.bandwidth_share is not None:
        speed.append(f"   {status.bandwidth_share:.0%} of the memory bandwidth")
    return [*speed, "\n"]


def _minute(speeds: Sequence[float], width: int) -> list[Part]:
    """The last minute as blocks, now at the right; what was not looked at stays empty."""
    peak = max(speeds, default=0.0)
    if not peak:
        return []
    heights = draw_minute(speeds, width)
    figures = (f"  {peak:,.0f} tok/s peak\n", _MUTED)
    return [*_label("last minute"), (heights, "$primary"), figures]


def draw_minute(speeds: Sequence[float], width: int, kept: int = 120) -> str:
    """The highest of each stretch of a minute's speeds as a block; the latest at the right."""
    peak = max(speeds, default=0.0)
    full = [*itertools.repeat(None, kept - len(speeds)), *speeds]
    edges = [kept * column // width for column in range(width + 1)]
    stretches = (full[start : max(end, start + 1)] for start, end in itertools.pairwise(edges))
    return "".join(_level([speed for speed in stretch if speed is not None], peak) for stretch in stretches)


def _level(speeds: Sequence[float], peak: float) -> str:
    if not speeds:
        return " "
    return _LEVELS[round((len(_LEVELS) - 1) * max(speeds) / peak)] if peak else _LEVELS[0]


def _requests(status: EngineStatus) -> list[Part]:
    lines: list[Part] = [*_label("requests"), f"{status.running} running, {status.waiting} waiting\n"]
    if status.contexts > 1:
        lines += [*_label("contexts"), str(status.contexts), (", one per set of adapters\n", _MUTED)]
    return lines


def _prompts(status: EngineStatus) -> list[Part]:
    read, taken = format_count(status.prefill_tokens), format_count(status.cached_tokens)
    asked = status.prefill_tokens + status.cached_tokens
    hits: list[Part] = (
        [(f"   {status.cached_share:.0%}", "$success" if status.cached_tokens else _MUTED)] if asked else []
    )
    line = f"{read} prompt tokens, {taken} from the prefix cache"
    answers = f"{format_count(status.completion_tokens)} completion tokens\n"
    return [*_label("prefill"), line, *hits, "\n", *_label("decoded"), answers]


def _cells(status: EngineStatus, width: int) -> list[Part]:
    if not status.kv_tokens:
        return []
    used, free = split_bar((status.used_kv_tokens, max(0, status.kv_tokens - status.used_kv_tokens)), width)
    figures = f"  {format_count(status.used_kv_tokens)} of {format_count(status.kv_tokens)} tokens\n"
    return [*_label("KV cache"), ("█" * used, "$success"), ("░" * free, "$border"), figures]


def _memory(status: EngineStatus, bar: int, width: int) -> list[Part]:
    """One bar for all of it, and what each stretch of it means."""
    short = width < _LABEL + _LEGEND
    parts = (
        ("█", "$primary", "weights", status.weights_bytes),
        ("▓", "$success", "KV" if short else "KV cache", status.kv_cache_bytes),
        ("▒", "$accent", _offloaded(status.offloaded_prefixes, short), status.prompt_cache_bytes),
    )
    sizes = [size for *_, size in parts]
    if not any(sizes):
        return []
    stretches = zip(parts, split_bar(sizes, bar), strict=True)
    drawn: list[Part] = [(sign * cells, style) for (sign, style, *_), cells in stretches]
    legend: list[Part] = []
    for sign, style, name, size in parts:
        legend += ["  " if legend else " " * _LABEL, (sign, style), f" {name} {format_bytes(size)}"] if size else []
    return [*_label("memory"), *drawn, f"  {format_bytes(sum(sizes))}\n", *legend]


def _shares(info: ModelInfo) -> list[Part]:
    """What is on each device, where there are any besides the CPU; what the load had to give up."""
    parts: list[Part] = []
    if len(info.placement) > 1:
        for share in info.placement:
            layers = _count(share.layers, "layer")
            sizes = f"weights {format_bytes(share.weights_bytes)}, KV {format_bytes(share.kv_bytes)}"
            parts += ["\n", *_label(sanitize(share.device.name)), f"{layers}, {sizes}"]
            parts.append(f", buffers {format_bytes(share.compute_bytes)}")
    for number, line in enumerate(info.step_plan.lines if info.step_plan else ()):
        parts += ["\n", *_label("" if number else "steps"), sanitize(line)]
    return parts + [part for note in info.load_notes for part in ("\n", (sanitize(note), "$text-warning"))]


def _offloaded(number: int, short: bool) -> str:
    return f"{number} in RAM" if short else _count(number, "offloaded prefix", "offloaded prefixes")


def split_bar(sizes: Sequence[int], width: int) -> list[int]:
    """So many columns for each size, together the width; what is not nothing is seen, the largest gives way."""
    whole = sum(sizes)
    if not whole:
        return [0] * len(sizes)
    cells = [max(1, round(width * size / whole)) if size else 0 for size in sizes]
    cells[cells.index(max(cells))] += width - sum(cells)
    return cells


def _label(name: str) -> list[Part]:
    return [(name.ljust(_LABEL), _MUTED)]


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {several or what + 's'}"
