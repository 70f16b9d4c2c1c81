"""Figures as a person reads them: units, sensible digits, no more than the eye needs.

Knows nothing of where they stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.engines.engine import Chunk, Completion, Likelihood, Sampling
from workbench.evaluation.bench import AdapterChoice

_STOP_WORDS = {"eos": "ended", "stop": "stop text", "length": "cut at limit", "context": "context full"}


def show_seconds(seconds: float) -> str:
    """`9 ms` under a second, `1.2 s` under a minute, `2:05` above."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def show_bytes(count: int) -> str:
    """`4.2 MB`, in steps of a thousand."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def show_count(count: int) -> str:
    """`1,536`; `1.2 M` and `7.1 B` from a million up."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} B"
    if count >= 1_000_000:
        return f"{count / 1e6:.1f} M"
    return f"{count:,}"


def show_progress(chunk: Chunk) -> str:
    """The same two rows while the answer still comes."""
    speed = f"{chunk.tokens_per_second:.0f} tok/s" if chunk.tokens_per_second else ""
    return f"{chunk.prompt_tokens}→{chunk.output_tokens} tok  {show_seconds(chunk.seconds_to_first_token)}\n{speed}"


def show_completion(completion: Completion) -> str:
    """The two rows under an answer: tokens in and out and the time to the first one; speed and why it ended.

    A star after the time says that part of the prompt came from the cache, so the time is no latency.
    """
    cached = "*" if completion.cached_tokens else ""
    first = f"{completion.prompt_tokens}→{completion.output_tokens} tok  "
    first += f"{show_seconds(completion.seconds_to_first_token)}{cached}"
    speed = f"{completion.tokens_per_second:.0f} tok/s  " if completion.tokens_per_second else ""
    alone = "  reproducible" if completion.reproducible else ""
    return f"{first}\n{speed}{_STOP_WORDS.get(completion.stop_reason or '', '')}{alone}"


def show_likelihood(found: Likelihood) -> str:
    """`expected p 0.83 (-0.19)`; with a perplexity in place of the probability where there are several tokens."""
    if found.tokens == 1:
        return f"expected p {math.exp(found.logprob):.2g} ({found.logprob:.2f})"
    return f"expected ppl {found.perplexity:.3g} ({found.logprob:.1f})"


def show_adapters(adapters: Sequence[AdapterChoice]) -> str:
    """`+ queues ×1.0  (tone ×0.5)`: what is laid over the model; in brackets what is switched off."""
    parts = [f"{choice.adapter.rpartition('/')[2]} ×{choice.scale:.1f}" for choice in adapters]
    return "  ".join(f"+ {part}" if choice.on else f"({part})" for choice, part in zip(adapters, parts, strict=True))


def show_sampling(sampling: Sampling) -> str:
    """What of the sampling differs from always taking the likeliest token, in a few characters."""
    if sampling.temperature == 0:
        return "greedy"
    parts = [f"t {sampling.temperature:g}"]
    parts += [f"p {sampling.top_p:g}"] if sampling.top_p < 1 else []
    parts += [f"k {sampling.top_k}"] if sampling.top_k else []
    parts += [f"min-p {sampling.min_p:g}"] if sampling.min_p else []
    return " ".join(parts)
