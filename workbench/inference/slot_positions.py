"""Positions in a slot where a picture has fewer positions than it has tokens (M-RoPE, as Qwen2-VL has it).

The scheduler counts tokens. Such a picture's tokens all stand at one position of the text's dimension, and the text
behind goes on after as many positions as the picture is wide or high.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.inference.picture_tokens import PictureSpan


class SlotPositions:
    """By slot, the pictures that move what stands behind them."""

    def __init__(self) -> None:
        self._slots: dict[int, tuple[PictureSpan, ...]] = {}

    def begin(self, slot: int, pictures: Sequence[PictureSpan]) -> None:
        """A slot is to hold a prompt with these pictures."""
        moving = tuple(span for span in pictures if span.chunk.positions != len(span.chunk.ids))
        if moving:
            self._slots[slot] = moving
        else:
            self._slots.pop(slot, None)

    def free(self, slot: int) -> None:
        self._slots.pop(slot, None)

    def copy(self, source: int, target: int) -> None:
        """A slot that was begun with nothing of its own goes on from another one's tokens."""
        if source in self._slots:
            self._slots.setdefault(target, self._slots[source])

    def moved(self, slot: int) -> bool:
        """Whether any picture of a slot has fewer positions than tokens."""
        return slot in self._slots

    def find(self, slot: int, index: int) -> int:
        """The position of a slot's so-manieth token; that of a number below 0, which means the end, is itself."""
        saved = (len(span.chunk.ids) - span.chunk.positions for span in self._slots.get(slot, ()) if span.end <= index)
        return index - sum(saved)
