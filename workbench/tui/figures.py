"""Figures of answers and variants in a few characters, for panes and titles."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from workbench.inference.types import Chunk, Completion, Likelihood, show_counts
from workbench.runs.bench import AdapterChoice
from workbench.units import format_duration

_BARS = "▁▂▃▄▅▆▇█"
_STOP_WORDS = {"eos": "eos", "stop": "stop string", "length": "max tokens", "context": "context full"}


def list_progress(chunk: Chunk) -> tuple[str, ...]:
    """The same while the answer still comes."""
    speed = f"{chunk.tokens_per_second:.0f} tok/s" if chunk.tokens_per_second else ""
    first = f"{show_counts(chunk)} tok", format_duration(chunk.seconds_to_first_token)
    return tuple(filter(None, (*first, speed)))


def list_completion(completion: Completion) -> tuple[str, ...]:
    """What stands under an answer: tokens in and out, the time to the first one, speed, and why it ended.

    Behind reasoning a second time follows, to the first token of the answer, and how many tokens it took.
    A star after the time says that part of the prompt came from the cache, so the time is no latency.
    """
    first = format_duration(completion.seconds_to_first_token) + ("*" if completion.cached_tokens else "")
    if completion.thinking_tokens and completion.seconds_to_first_answer_token:
        first += f" / {format_duration(completion.seconds_to_first_answer_token)}"
    retries = completion.server.retries if completion.server else 0
    figures = (
        f"{show_counts(completion)} tok",
        first,
        f"{completion.tokens_per_second:.0f} tok/s" if completion.tokens_per_second else "",
        f"{completion.thinking_tokens} thinking" if completion.thinking_tokens else "",
        _STOP_WORDS.get(completion.stop_reason or "", ""),
        "deterministic" if completion.deterministic else "",
        f"{retries} retr{'y' if retries == 1 else 'ies'}" if retries else "",
    )
    return tuple(filter(None, figures))


def show_likelihood(found: Likelihood) -> str:
    """`expected p 0.83 (-0.19)`; with a perplexity in place of the probability where there are several tokens."""
    if found.tokens == 1:
        return f"expected p {math.exp(found.logprob):.2g} ({found.logprob:.2f})"
    return f"expected ppl {found.perplexity:.3g} ({found.logprob:.1f})"


def list_adapters(adapters: Sequence[AdapterChoice]) -> tuple[str, ...]:
    """`+ queues ×1.0`, `(tone ×0.5)`: the adapters of a pane; in brackets those that are off."""
    parts = [f"{choice.adapter.rpartition('/')[2]} ×{choice.scale:.1f}" for choice in adapters]
    return tuple(f"+ {part}" if choice.on else f"({part})" for choice, part in zip(adapters, parts, strict=True))


def show_adapters(adapters: Sequence[AdapterChoice]) -> str:
    """The same in one text."""
    return "  ".join(list_adapters(adapters))


def cut_middle(text: str, width: int) -> str:
    """A text in at most `width` cells; one that is cut keeps its beginning and, longer, its end: `Qwen…-Q4_K_M`.

    The end of a model's name tells its quantization, that of a path the file.
    """
    if cell_len(text) <= width:
        return text
    head, tail = cut_points(text, width)
    return f"{text[:head]}…{text[len(text) - tail :]}"


def cut_points(text: str, width: int) -> tuple[int, int]:
    """How many characters of a text that is wider than `width` are kept at its beginning, and at its end."""
    room = max(width - 1, 0)
    head = tail = 0
    while tail < len(text) and cell_len(text[len(text) - tail - 1 :]) <= room - room // 3:
        tail += 1
    while head < len(text) - tail and cell_len(text[: head + 1]) + cell_len(text[len(text) - tail :]) <= room:
        head += 1
    return head, tail


def show_curve(curve: Sequence[tuple[float, float | None]], scale: float) -> tuple[str, str]:
    """`0 ▁▂▃▅▇█ 1.0` and `P(expected) 1.5% → 20% → 100%`: at no scale, at the pane's own and at the largest.

    curve: (scale, probability), in order; a dot stands for one that is not known yet.
    """
    if not curve:
        return "", ""
    bars = "".join("·" if p is None else _BARS[min(int(p * len(_BARS)), len(_BARS) - 1)] for _, p in curve)
    named = dict(curve)
    ends = dict.fromkeys((curve[0][0], scale, curve[-1][0]))
    shares = " → ".join(_show_share(named.get(one)) for one in ends)
    return f"0 {bars} {curve[-1][0]:.1f}", f"P(expected) {shares}"


def _show_share(p: float | None) -> str:
    if p is None:
        return "…"
    if 0 < p < 0.001:
        return "<0.1%"
    return f"{p:.1%}" if p < 0.1 else f"{p:.0%}"
