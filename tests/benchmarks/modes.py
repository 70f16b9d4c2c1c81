"""The embedded model's greedy answers to its 200 test cases in the usual mode and in the deterministic one: how many
differ, how near the choices were at which they part, and whether the deterministic ones come again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from queue import SimpleQueue
from typing import NamedTuple

from tests.inference.listener import submit
from workbench import paths
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Event, Failure, Sampling, TokenLogprob
from workbench.library.library import Library
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message
from workbench.prompting.render import render

FILES = ("desk-q8_0", "desk-f16")
Written = dict[int, list[TokenLogprob]]


class Way(NamedTuple):
    """What is asked: a prompt of the library, and what is laid over the model."""

    name: str
    prompt: str
    adapters: tuple[Applied, ...] = ()


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    lora = Applied(Adapter("queues-lora", paths.find_shipped("assets/queues-lora.gguf"), "gguf"))
    ways = (Way("plain", "queues/plain"), Way("few-shot", "queues/few-shot"), Way("LoRA", "queues/plain", (lora,)))
    with contextlib.closing(Pool()) as pool:
        return [row for file in FILES for way in ways for row in _compare(pool, file, way)]


def _compare(pool: Pool, file: str, way: Way) -> list[tuple[str, str, str]]:
    model = Model(file, paths.find_shipped(f"assets/{file}.gguf"))
    asked = _read_cases(way.prompt)
    usual, alone, again = (_answer(pool, model, way, asked, mode) for mode in (False, True, True))
    margins = {case: margin for case in alone if (margin := _part(alone[case], usual[case])) is not None}
    told = ", ".join(f"case {case}: {margin:.3f}" for case, margin in sorted(margins.items())[:6])
    moved = sum(alone[case] != again[case] for case in alone)
    return [
        (
            f"{file}, {way.name}: answers that differ between the modes",
            f"{len(margins)} of {len(alone)}{f'  (logits apart: {told})' if told else ''}",
            "told, with the margin",
        ),
        (f"{file}, {way.name}: deterministic answers that differ, to the last bit", f"{moved} of {len(alone)}", "0"),
    ]


def _read_cases(prompt: str) -> list[tuple[Message, ...]]:
    """The test messages as the prompt shows them to the model."""
    opened = Library(paths.find_shipped("prompts")).open(prompt).prompt
    lines = paths.find_shipped("assets/data/queues/test.jsonl").read_text("utf-8").splitlines()
    return [render(opened, {"message": json.loads(line)["message"]}, opened.examples) for line in lines]


def _answer(pool: Pool, model: Model, way: Way, asked: Sequence[tuple[Message, ...]], deterministic: bool) -> Written:
    """Each case's tokens, with the two likeliest at every place."""
    happened: SimpleQueue[tuple[int, Event]] = SimpleQueue()
    for case, messages in enumerate(asked, 1):
        submit(
            pool,
            model,
            messages,
            Sampling(max_tokens=24),
            "chat",
            lambda event, case=case: happened.put((case, event)),
            way.adapters,
            top_logprobs=2,
            priority=1,
            deterministic=deterministic,
        )
    written: Written = {case: [] for case in range(1, len(asked) + 1)}
    left = len(written)
    while left:
        case, event = happened.get()
        if isinstance(event, Failure):
            raise RuntimeError(f"case {case} failed: {event.message}")
        if isinstance(event, Chunk):
            written[case] += event.tokens
            left -= event.stop_reason is not None
    return written


def _part(alone: Sequence[TokenLogprob], usual: Sequence[TokenLogprob]) -> float | None:
    """How far the two likeliest tokens were apart where two answers part; None where they do not."""
    for one, other in zip(alone, usual, strict=False):
        if one.text != other.text:
            first, second = one.top_logprobs
            return first.logprob - second.logprob
    return None
