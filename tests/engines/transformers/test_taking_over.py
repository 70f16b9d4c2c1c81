"""What a row takes over of its prompt, apart from any model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch  # noqa: TID253 - what is kept

from workbench.engines.answer import Answer
from workbench.engines.engine import Request, Sampling
from workbench.engines.sampler import Sampler
from workbench.engines.tally import Tally
from workbench.engines.transformers.cache import Layers
from workbench.engines.transformers.ending import Ending
from workbench.engines.transformers.overlay import Overlay
from workbench.engines.transformers.prefixes import Prefixes
from workbench.engines.transformers.row import MemoryRow
from workbench.engines.transformers.sharing import Sharing

TOKEN_BYTES = 2 * 2 * 4
"""of one token, in one layer of one head and two numbers wide"""


class FakeMemory:
    """Memory that has room, or raises `shortage` when something is to be brought back."""

    longest = 8

    def __init__(self) -> None:
        self.shortage: Exception | None = None

    def save(self, row: int, start: int, end: int) -> Layers:
        return [(torch.zeros(1, end - start, 2), torch.zeros(1, end - start, 2))]

    def load(self, row: int, start: int, layers: Layers) -> None:
        if self.shortage:
            raise self.shortage


class Desk:
    """Sharing with room for four tokens."""

    def __init__(self) -> None:
        self.memory: Any = FakeMemory()
        self.sharing = Sharing(self.memory, Prefixes(4 * TOKEN_BYTES), Tally())

    def start(self, owner: str, prompt: Sequence[int]) -> MemoryRow:
        answer = Answer(Request(1, (), Sampling()), list(prompt), 0.0, (), None)
        return MemoryRow(answer, Sampler(Sampling(), {}, prompt), Overlay(None, key=owner))

    def read(self, owner: str, prompt: Sequence[int]) -> None:
        """Let a row read all of its prompt and leave it to the others."""
        row = self.start(owner, prompt)
        row.advance(len(prompt))
        self.sharing.keep(row, Ending(7, torch.zeros(3)))

    def take(self, owner: str, prompt: Sequence[int]) -> tuple[Ending | None, int]:
        """What stands behind a prompt, and how much of it need not be read."""
        row = self.start(owner, prompt)
        return self.sharing.take_over(row), row.position


def test_an_ending_is_known_only_as_long_as_its_prompt_is() -> None:
    desk = Desk()
    desk.read("a", [1, 2])
    found, seen = desk.take("a", [1, 2])
    assert found is not None and found.likeliest == 7
    assert seen == 2
    assert desk.take("b", [1, 2]) == (None, 0)
    desk.read("b", [3, 4, 5])
    assert desk.take("a", [1, 2]) == (None, 0)


def test_without_its_ending_the_last_token_of_a_prompt_is_read() -> None:
    desk = Desk()
    desk.read("a", [1, 2, 3])
    assert desk.take("a", [1, 2]) == (None, 1)


def test_an_ending_is_a_copy_for_sampling() -> None:
    desk = Desk()
    row = desk.start("a", [1, 2])
    row.advance(2)
    logits = torch.zeros(3, dtype=torch.bfloat16)
    desk.sharing.keep(row, Ending(0, logits))
    logits[0] = 9.0
    found, _ = desk.take("a", [1, 2])
    assert found is not None
    assert (found.logits.dtype, found.logits.tolist()) == (torch.float32, [0.0, 0.0, 0.0])


def test_what_was_cleared_is_read_again() -> None:
    desk = Desk()
    desk.read("a", [1, 2])
    desk.sharing.clear()
    assert desk.take("a", [1, 2]) == (None, 0)
