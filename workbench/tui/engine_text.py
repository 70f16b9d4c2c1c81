"""What an engine is doing, as lines to read: speed, caches, requests, memory. Knows nothing of where they stand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content

from workbench.engines.engine import EngineStatus
from workbench.models.reference import ModelInfo
from workbench.sanitize import sanitize
from workbench.tui.figures import show_bytes, show_count

_LABEL = 13
_WIDEST_BAR = 60
_BESIDE = 26
"""columns that the figures right of a bar take"""
_LEGEND = 70
"""columns that the memory's legend takes in full"""
_LEVELS = "▁▂▃▄▅▆▇█"
_MUTED = "$foreground 60%"
_STATES = {
    "loading": "It is being loaded; its figures come with the first answer.",
    "stopped": "It does not run. The next answer starts it.",
    "failed": "It ended by itself. The next answer starts it again.",
    "ready": "It is ready, and tells nothing more of itself.",
}

Part = str | tuple[str, str]


class EngineFacts(NamedTuple):
    """One engine.

    memory_bytes: of its process. status: None while it tells nothing. info: None before it was first loaded.
    speeds: tokens a second over the last minute, the oldest first.
    """

    name: str
    state: str
    memory_bytes: int
    status: EngineStatus | None
    info: ModelInfo | None = None
    speeds: tuple[float, ...] = ()


def describe_engine(engine: EngineFacts, width: int = 80) -> Content:
    """Its figures, a line each, in so many columns."""
    parts = _head(engine)
    if engine.status is None or engine.state != "ready":
        parts.append(_STATES.get(engine.state, sanitize(engine.state)))
        return Content.assemble(*parts)
    status, bar = engine.status, max(8, min(_WIDEST_BAR, width - _LABEL - _BESIDE))
    parts += ["\n", *_writing(status), *_minute(engine.speeds, bar), *_requests(status), *_prompts(status)]
    parts += [*_cells(status, bar), *_memory(status, bar, width)]
    return Content.assemble(*parts)


def describe_activity(engine: EngineFacts) -> str:
    """Its state in a word or two."""
    status = engine.status
    if status is None or engine.state != "ready":
        return sanitize(engine.state)
    if status.running:
        return "writing" if status.tokens_per_second else "reading the prompt"
    return "waiting" if status.waiting else "idle"


def _head(engine: EngineFacts) -> list[Part]:
    """What it is and what it runs on."""
    told = []
    if info := engine.info:
        where = f" on {info.device}" if info.device else ""
        told += [info.engine + where if info.engine else "", info.quantization]
    if status := engine.status:
        told.append(f"{status.threads} of {_count(status.cores, 'core')}")
    if engine.memory_bytes:
        told.append(f"process {show_bytes(engine.memory_bytes)}")
    line = sanitize("  ·  ".join(part for part in told if part))
    return [(f"{line}\n", _MUTED)] if line else []


def _writing(status: EngineStatus) -> list[Part]:
    if not status.running and not status.waiting:
        return [*_label("writing"), "idle", (" until the next answer is asked for\n", _MUTED)]
    if not status.tokens_per_second:
        return [*_label("writing"), "nothing yet", (": prompts come first\n", _MUTED)]
    speed: list[Part] = [*_label("writing"), (f"{status.tokens_per_second:,.0f} tok/s", "bold $primary")]
    if status.bandwidth_share is not None:
        speed.append(f"   {status.bandwidth_share:.0%} of the memory bandwidth")
    return [*speed, "\n"]


def _minute(speeds: Sequence[float], width: int) -> list[Part]:
    """The last minute as blocks, now at the right; what was not looked at stays empty."""
    peak = max(speeds, default=0.0)
    if not peak:
        return []
    heights = draw_minute(speeds, width)
    beside = (f"  {peak:,.0f} tok/s at most\n", _MUTED)
    return [*_label("last minute"), (heights, "$primary"), beside]


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
        lines += [*_label("caches"), str(status.contexts), (", by set of adapters, spare ones included\n", _MUTED)]
    return lines


def _prompts(status: EngineStatus) -> list[Part]:
    read, taken = show_count(status.read_tokens), show_count(status.cached_tokens)
    asked = status.read_tokens + status.cached_tokens
    hits: list[Part] = (
        [(f"   {status.cached_share:.0%} cached", "$success" if status.cached_tokens else _MUTED)] if asked else []
    )
    line = f"{read} tokens read, {taken} taken over"
    answers = f"{show_count(status.written_tokens)} tokens written\n"
    return [*_label("prompts"), line, *hits, "\n", *_label("answers"), answers]


def _cells(status: EngineStatus, width: int) -> list[Part]:
    if not status.cells:
        return []
    used, free = split_bar((status.used_cells, max(0, status.cells - status.used_cells)), width)
    beside = f"  {show_count(status.used_cells)} of {show_count(status.cells)} tokens\n"
    return [*_label("live cache"), ("█" * used, "$success"), ("░" * free, "$border"), beside]


def _memory(status: EngineStatus, bar: int, width: int) -> list[Part]:
    """One bar for all of it, and what each stretch of it means."""
    short = width < _LABEL + _LEGEND
    parts = (
        ("█", "$primary", "weights", status.weights_bytes),
        ("▓", "$success", "cache" if short else "live cache", status.cache_bytes),
        ("▒", "$accent", _parked(status.parked, short), status.parked_bytes),
    )
    sizes = [size for *_, size in parts]
    if not any(sizes):
        return []
    stretches = zip(parts, split_bar(sizes, bar), strict=True)
    drawn: list[Part] = [(sign * cells, style) for (sign, style, *_), cells in stretches]
    legend: list[Part] = []
    for sign, style, name, size in parts:
        legend += ["  " if legend else " " * _LABEL, (sign, style), f" {name} {show_bytes(size)}"] if size else []
    return [*_label("memory"), *drawn, f"  {show_bytes(sum(sizes))}\n", *legend]


def _parked(number: int, short: bool) -> str:
    return f"{number} parked" if short else _count(number, "parked prefix", "parked prefixes")


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
