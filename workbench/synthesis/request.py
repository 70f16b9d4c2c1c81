"""SynthesisRequest: what a model is asked to write, as the review file keeps it."""

from __future__ import annotations

import msgspec


class SynthesisRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """source: path of a bench or of a file of cases. model: as the bench names it, or a path or address. count: rows
    wanted. out: the file of the accepted rows. about: what the rows are, in a person's words.
    balance: ask for the rarest labels first. personas: who writes a row, one drawn for each.
    shown: rows that each call shows as examples. similarity: how alike two rows must be to count as the same, from 0 to
    1. max_calls: 0 takes four for each row wanted. seed: of everything that is drawn.
    """

    source: str
    model: str
    count: int
    out: str
    about: str = ""
    balance: bool = False
    personas: tuple[str, ...] = ()
    shown: int = 4
    similarity: float = 0.9
    temperature: float = 0.9
    constrained: bool = True
    max_calls: int = 0
    concurrency: int = 4
    seed: int = 0

    @property
    def most_calls(self) -> int:
        return self.max_calls or 4 * self.count + 8
