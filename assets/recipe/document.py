"""Document: a piece of training text whose parts carry a weight in the loss.

Knows nothing of tasks or of the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIALS = (PAD, END, SYSTEM, USER, ASSISTANT)

ANSWER = 1.0
"""weight of what the model is asked for"""
TEXT = 0.1
"""weight of what a person wrote: worth knowing, but mostly chance"""


@dataclass(frozen=True, slots=True)
class Document:
    """Parts in order, each with its weight."""

    parts: tuple[tuple[str, float], ...]

    @property
    def text(self) -> str:
        return "".join(part for part, _ in self.parts)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer; weight 0 where the answer could not be known."""

    question: str
    answer: str
    weight: float = ANSWER


def chat(system: str, turns: Iterable[Turn]) -> Document:
    """A conversation as the chat template writes it; no system turn when `system` is empty."""
    parts: list[tuple[str, float]] = []
    if system:
        parts.append((f"{SYSTEM}{system}{END}", TEXT))
    for turn in turns:
        parts.append((f"{USER}{turn.question}{END}{ASSISTANT}", TEXT))
        parts.append((turn.answer, turn.weight))
        parts.append((END, ANSWER))
    return Document(tuple(parts))


def raw(parts: Sequence[tuple[str, float]]) -> Document:
    """Plain text that ends by itself."""
    return Document((*parts, (END, ANSWER)))
