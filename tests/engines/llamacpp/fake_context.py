"""A context without a model: it keeps count of every cell, and its numbers follow from what a sequence has seen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from workbench.engines.likelihood import Logits
from workbench.engines.llamacpp.context import Run

END, VOCABULARY = 0, 12


class FakeContext:
    """Fails the moment a sequence is evaluated out of order, or a cell is missing."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.evaluated = 0
        self.batches: list[list[Run]] = []
        self.abort_next = False
        self._sequences: dict[int, dict[int, tuple[int, object]]] = {}
        self._outputs: dict[int, Logits] = {}

    @property
    def used(self) -> int:
        return len({id(cell) for places in self._sequences.values() for _, cell in places.values()})

    def evaluate(self, runs: Sequence[Run], apart: bool = False) -> tuple[int, list[int]]:
        self.batches.append(list(runs))
        if self.abort_next:
            self.abort_next = False
            return 2, []
        count, indices = 0, []
        self._outputs = {}
        for run in runs:
            places = self._sequences.setdefault(run.sequence, {})
            for offset, token in enumerate(run.tokens):
                assert sorted(places) == list(range(run.position + offset)), "evaluated out of order"
                places[run.position + offset] = (token, object())
                if run.wants_all or (run.wants_logits and offset == len(run.tokens) - 1):
                    self._outputs[count] = numbers([places[place][0] for place in range(len(places))])
                count += 1
            indices.append(count - 1)
        self.evaluated += count
        assert self.used <= self.cells, "more cells than there are"
        return 0, indices

    def logits(self, index: int) -> Logits:
        return self._outputs[index]

    def use_threads(self, threads: int) -> None:
        pass

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        taken = self._sequences[source].items()
        found = {place: cell for place, cell in taken if place >= start and (end < 0 or place < end)}
        places = self._sequences.setdefault(target, {})
        assert places.keys().isdisjoint(found)
        places.update(found)

    def cut(self, sequence: int, start: int, end: int = -1) -> None:
        places = self._sequences.get(sequence, {})
        for place in [place for place in places if place >= start and (end < 0 or place < end)]:
            del places[place]

    def forget(self, sequence: int) -> None:
        self._sequences.pop(sequence, None)

    def clear(self) -> None:
        self._sequences.clear()

    def save(self, sequence: int) -> bytes:
        places = self._sequences[sequence]
        return json.dumps([places[place][0] for place in range(len(places))]).encode()

    def load(self, sequence: int, state: bytes) -> bool:
        assert not self._sequences.get(sequence)
        self._sequences[sequence] = {place: (token, object()) for place, token in enumerate(json.loads(state))}
        assert self.used <= self.cells, "more cells than there are"
        return True


class FakeVocabulary:
    """Tokens that are letters."""

    size = VOCABULARY

    def ends(self, token: int) -> bool:
        return token == END

    def control_text(self, token: int) -> str:
        return ""

    def piece(self, token: int) -> bytes:
        return bytes([ord("a") + token])

    spell = piece


def numbers(tokens: Sequence[int]) -> Logits:
    """The numbers behind some tokens, always the same."""
    return np.random.default_rng([len(tokens), *tokens]).standard_normal(VOCABULARY).astype(np.float32)


def expect(prompt: Sequence[int], most: int) -> str:
    """What is written behind a prompt."""
    seen, text = list(prompt), ""
    while len(text) < most and (token := int(np.argmax(numbers(seen)))) != END:
        seen.append(token)
        text += chr(ord("a") + token)
    return text


def count_prefixes(prompts: Iterable[Sequence[int]]) -> int:
    """Tokens in the tree of some prompts."""
    return len({tuple(prompt[:end]) for prompt in prompts for end in range(1, len(prompt) + 1)})
